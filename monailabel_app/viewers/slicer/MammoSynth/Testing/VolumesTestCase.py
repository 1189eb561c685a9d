import tempfile
import unittest
from pathlib import Path

import numpy as np
import slicer
from scenes import Scene, breast

from MammoSynthLib.volumes import (
    Source,
    VolumeError,
    load_result,
    load_source,
    matrix_of,
    provenance_of,
    source_of,
    write_labels,
    write_nrrd,
)

_PROVENANCE = {"task": "contrast", "seed": 3, "warnings": ["the window was assumed"], "parameters": {"passes": 2}}


class VolumesTestCase(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "image.nrrd"
        self.volume = self.scene.volume(breast())
        write_nrrd(self.volume, self.file)

    def test_a_result_lies_on_its_source_with_every_bit(self):
        result = load_result(self.scene.mrml, self.file, "SYNTHESIZED R CC", _PROVENANCE, self.volume)
        self.assertTrue((slicer.util.arrayFromVolume(result)[0] == breast()).all())
        self.assertEqual(slicer.util.arrayFromVolume(result).dtype, np.uint16)
        self.assertTrue((matrix_of(result) == matrix_of(self.volume)).all())

    def test_a_result_is_shown_from_the_dark_to_the_bright_of_the_breast_beside_background_and_mark(self):
        pixels = np.zeros((40, 30), np.uint16)
        pixels[:, :20] = np.linspace(7000, 37000, 800).reshape(40, 20)
        pixels[:2, 25:] = 65535
        write_nrrd(self.scene.volume(pixels), self.file)
        display = load_result(self.scene.mrml, self.file, "r", {}, self.volume).GetDisplayNode()
        self.assertFalse(display.GetAutoWindowLevel())
        self.assertAlmostEqual(display.GetWindowLevelMin(), 7300, delta=1)
        self.assertAlmostEqual(display.GetWindowLevelMax(), 36850, delta=1)

    def test_a_result_that_holds_nothing_is_shown_black(self):
        write_nrrd(self.scene.volume(np.zeros((40, 30), np.uint16)), self.file)
        display = load_result(self.scene.mrml, self.file, "r", {}, self.volume).GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), (65535, 32767.5))

    def test_provenance_stays_on_the_node(self):
        result = load_result(self.scene.mrml, self.file, "r", _PROVENANCE, self.volume)
        expected = {
            "task": "contrast",
            "seed": "3",
            "warnings": '["the window was assumed"]',
            "parameters": '{"passes": 2}',
        }
        self.assertEqual(provenance_of(result), expected)
        self.assertEqual(provenance_of(self.volume), {})

    def test_a_result_of_another_geometry_is_refused_and_leaves_no_node(self):
        other = self.scene.volume(breast(), spacing_mm=0.6)
        count = self.scene.mrml.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
        with self.assertRaisesRegex(VolumeError, "does not lie on R CC"):
            load_result(self.scene.mrml, self.file, "r", {}, other)
        self.assertEqual(self.scene.mrml.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"), count)

    def test_a_result_with_a_geometry_of_its_own_keeps_it(self):
        other = self.scene.volume(breast(20, 20), spacing_mm=0.6)
        write_nrrd(other, self.file)
        result = load_result(self.scene.mrml, self.file, "r", _PROVENANCE)
        self.assertTrue((matrix_of(result) == matrix_of(other)).all())
        self.assertEqual(result.GetImageData().GetDimensions(), (20, 20, 1))
        self.assertEqual(provenance_of(result)["seed"], "3")

    def test_labels_are_written_on_the_matrix_of_the_image_that_they_are_drawn_on(self):
        labels = (breast() > 40000).astype(np.uint8) * 7
        write_labels(labels, self.volume, self.file)
        back = load_result(self.scene.mrml, self.file, "labels", {}, self.volume)
        self.assertEqual(slicer.util.arrayFromVolume(back).dtype, np.uint8)
        self.assertTrue((slicer.util.arrayFromVolume(back)[0] == labels).all())

    def test_a_result_that_is_turned_about_its_far_corner_is_refused(self):
        square = self.scene.volume(breast(30, 30))
        write_nrrd(square, self.file)
        turned = matrix_of(square)[:, [1, 0, 2, 3]]  # rows for columns: the far corner stays where it is
        square.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(turned))
        with self.assertRaisesRegex(VolumeError, "does not lie on R CC"):
            load_result(self.scene.mrml, self.file, "r", {}, square)

    def test_what_was_synthesized_is_no_source(self):
        result = load_result(self.scene.mrml, self.file, "SYNTHESIZED R CC", _PROVENANCE, self.volume)
        with self.assertRaisesRegex(VolumeError, "SYNTHESIZED R CC: was synthesized itself; choose its source"):
            source_of(result)

    def test_several_slices_are_no_source(self):
        volume = self.scene.volume(breast())
        slicer.util.updateVolumeFromArray(volume, np.stack([breast(), breast()]))
        with self.assertRaisesRegex(VolumeError, "no single image; load the views of a series one by one"):
            source_of(volume)

    def test_an_image_of_the_server_knows_where_it_comes_from(self):
        source = Source("R CC", "1.2", "1.2.3", "1.2.3.4")
        self.assertEqual(source_of(load_source(self.scene.mrml, self.file, source)), source)

    def test_a_volume_of_any_file_is_a_source_without_a_study(self):
        self.assertEqual(source_of(self.volume), Source("R CC"))

    def test_a_file_that_is_no_image_is_refused_in_words(self):
        self.file.write_bytes(b"no image")
        with self.assertRaisesRegex(VolumeError, "image.nrrd: what the server sent cannot be read"):
            load_source(self.scene.mrml, self.file, Source("R CC"))


if __name__ == "__main__":
    unittest.main()
