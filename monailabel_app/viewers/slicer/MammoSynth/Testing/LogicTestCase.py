import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import slicer
from scenes import EXAM, SERVER, Scene, needs_server

from MammoSynthLib import logic
from MammoSynthLib.background import Stopped
from MammoSynthLib.client import Client, ServerError
from MammoSynthLib.masks import load_mask, mask_of, set_lesion_class
from MammoSynthLib.parameters import Parameters
from MammoSynthLib.volumes import Source, load_source, matrix_of, provenance_of, source_of

_SIDES = {"L": "first", "R": "last"}  # column at the chest wall of a mammogram as it is stored


class FolderDatabase:
    """What `logic` asks of ctkDICOMDatabase, over a folder of DICOM files."""

    def __init__(self, folder):
        self._files = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): file for file in folder}

    def fileForInstance(self, uid):  # noqa: N802 - as CTK has it
        return str(self._files.get(uid, ""))

    def fileValue(self, file, tag):  # noqa: N802 - as CTK has it
        group, element = (int(part, 16) for part in tag.split(","))
        return str(pydicom.dcmread(file, stop_before_pixels=True)[group, element].value)


def _ignore(fraction, message):
    pass


def _never():
    return False


@needs_server
class LogicTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = sorted(EXAM.rglob("*.dcm"))
        cls.database = FolderDatabase(cls.files)

    def setUp(self):
        self.scene = Scene()
        self.client = Client(SERVER)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.parameters = Parameters(address=SERVER, model="contrast", values={"burned_in_mark": False})

    def dicom(self, name="L CC low energy"):
        """A volume as Slicer's DICOM module loads it: ITK's reader, and the UIDs as attribute."""
        file = next(file for file in self.files if _header(file).SeriesDescription.endswith(name))
        storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
        storage.SetFileName(str(file))
        storage.SetSingleFile(1)
        volume = self.scene.mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        self.assertTrue(storage.ReadData(volume))
        volume.CreateDefaultDisplayNodes()
        volume.SetAttribute("DICOM.instanceUIDs", _header(file).SOPInstanceUID)
        return volume

    def made(self, parameters, volume, **prepared):
        order = logic.prepare(parameters, volume, self.folder, database=self.database, **prepared)
        return logic.generate(order, self.folder, _ignore, _never)

    def test_without_storing_the_result_lies_on_the_dicom_volume_and_the_archive_is_unchanged(self):
        volume = self.dicom()
        before = self.client.synthesized(source_of(volume, self.database).study_instance_uid)
        result = logic.show(self.scene.mrml, self.made(self.parameters, volume), volume)[0]
        pixels = slicer.util.arrayFromVolume(result)
        self.assertEqual(pixels.dtype, np.uint16)
        self.assertEqual(pixels.shape, slicer.util.arrayFromVolume(volume).shape)
        self.assertTrue((matrix_of(result) == matrix_of(volume)).all())
        self.assertGreater(len(np.unique(pixels)), 256)
        after = self.client.synthesized(source_of(volume, self.database).study_instance_uid)
        self.assertEqual(before, after)

    def test_stored_the_result_is_a_series_of_the_study_with_the_same_pixels(self):
        volume = self.dicom()
        parameters = replace(self.parameters, values={**self.parameters.values, "seed": 11}, store_in_study=True)
        stored = logic.show(self.scene.mrml, self.made(parameters, volume), volume)[0]
        shown = logic.show(self.scene.mrml, self.made(replace(parameters, store_in_study=False), volume), volume)[0]
        self.assertTrue((slicer.util.arrayFromVolume(stored) == slicer.util.arrayFromVolume(shown)).all())
        self.assertTrue((matrix_of(stored) == matrix_of(volume)).all())
        series = self.client.synthesized(source_of(volume, self.database).study_instance_uid)
        self.assertIn(11, [one["seed"] for one in series])

    def test_provenance_names_model_source_and_seed_also_when_it_was_made_before(self):
        volume = self.dicom("L MLO low energy")
        parameters = replace(self.parameters, store_in_study=True)
        first = logic.show(self.scene.mrml, self.made(parameters, volume), volume)[0]
        again = logic.show(self.scene.mrml, self.made(parameters, volume), volume)[0]
        source = source_of(volume, self.database).sop_instance_uid
        for result in (first, again):
            found = provenance_of(result)
            self.assertEqual(found["source_sop_instance_uid"], source)
            self.assertEqual((found["task"], found["seed"]), ("contrast", "0"))
            self.assertEqual(len(found["weights_sha256"]), 64)

    def test_left_and_right_breasts_stay_on_their_sides(self):
        for name in ("L CC low energy", "R CC low energy"):
            volume = self.dicom(name)
            result = logic.show(self.scene.mrml, self.made(self.parameters, volume), volume)[0]
            columns = slicer.util.arrayFromVolume(result)[0].mean(axis=0)
            chest_wall = "first" if columns[:8].mean() > columns[-8:].mean() else "last"
            self.assertEqual(chest_wall, _SIDES[name[0]], name)
            middle = np.array([0, columns.size // 2, 0, 1.0])
            self.assertTrue((matrix_of(result) @ middle == matrix_of(volume) @ middle).all())

    def test_an_image_of_the_archive_lies_where_slicer_puts_its_dicom_and_its_result_on_it(self):
        study = source_of(self.dicom(), self.database).study_instance_uid
        image = next(image for image in self.client.images(study) if image.label.startswith("L CC"))
        path, source = logic.fetch(self.client, image, self.folder)
        volume = load_source(self.scene.mrml, path, source)
        self.assertLess(np.abs(matrix_of(volume) - matrix_of(self.dicom())).max(), 1e-5)
        self.assertEqual(slicer.util.arrayFromVolume(volume).dtype, np.uint16)
        result = logic.show(self.scene.mrml, self.made(self.parameters, volume), volume)[0]
        self.assertTrue((matrix_of(result) == matrix_of(volume)).all())
        windows = {(v.GetDisplayNode().GetWindow(), v.GetDisplayNode().GetLevel()) for v in (volume, result)}
        self.assertEqual(windows, {(65535, 32767.5)})

    def test_a_volume_of_no_archive_is_sent_and_comes_back_on_itself(self):
        archived = slicer.util.arrayFromVolume(self.dicom())[0]
        volume = self.scene.volume(archived, "drawn by hand")
        values = {**self.parameters.values, "view_position": "CC", "image_laterality": "L"}
        result = logic.show(self.scene.mrml, self.made(replace(self.parameters, values=values), volume), volume)[0]
        self.assertTrue((matrix_of(result) == matrix_of(volume)).all())
        self.assertEqual(slicer.util.arrayFromVolume(result).dtype, np.uint16)

    def test_a_volume_of_no_study_cannot_be_stored_and_says_why(self):
        volume = self.scene.volume(np.ones((64, 48), np.uint16), "drawn by hand")
        with self.assertRaisesRegex(ServerError, "drawn by hand: is no DICOM image.*untick 'Store in the study'"):
            self.made(replace(self.parameters, store_in_study=True), volume)

    def test_a_dicom_file_that_the_archive_lacks_is_sent_with_the_order_to_store(self):
        header = pydicom.dcmread(self.files[0])
        header.StudyInstanceUID, header.SeriesInstanceUID = pydicom.uid.generate_uid(), pydicom.uid.generate_uid()
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
        del header[0x0008, 0x001C]  # a phantom's exposure is known by its UID, which is now another
        header.SeriesDescription, header.PatientID = "R CC", "P009"
        file = self.folder / "new.dcm"
        header.save_as(file)
        uids = [str(header[key].value) for key in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        order = logic.Order(replace(self.parameters, store_in_study=True), Source("new", *uids, file), file)
        self.assertFalse(self.client.holds(*uids))
        self.assertEqual(len(logic.generate(order, self.folder, _ignore, _never)), 1)
        self.assertTrue(self.client.holds(*uids))

    def test_the_uncertainty_comes_as_a_second_volume_in_its_own_window(self):
        volume = self.dicom("R CC low energy")
        values = {**self.parameters.values, "uncertainty": True}
        parameters = replace(self.parameters, values=values, store_in_study=True)
        image, uncertainty = logic.show(self.scene.mrml, self.made(parameters, volume), volume)
        self.assertTrue(uncertainty.GetName().startswith("UNCERTAINTY of"))
        self.assertEqual(image.GetDisplayNode().GetWindow(), 65535)
        self.assertLess(uncertainty.GetDisplayNode().GetWindow(), 65535)

    def test_progress_is_told_from_the_queue(self):
        volume, told = self.dicom("R MLO low energy"), []
        parameters = replace(self.parameters, values={"seed": 12}, store_in_study=True)
        order = logic.prepare(parameters, volume, self.folder, database=self.database)
        logic.generate(order, self.folder, lambda fraction, message: told.append((fraction, message)), _never)
        self.assertEqual(told[-1], (1.0, "loading the result"))
        self.assertTrue(all(message for _, message in told))

    def test_cancelling_leaves_nothing_in_the_study(self):
        volume = self.dicom("R MLO low energy")
        study = source_of(volume, self.database).study_instance_uid
        parameters = replace(self.parameters, values={"seed": 13}, store_in_study=True)
        order = logic.prepare(parameters, volume, self.folder, database=self.database)
        with self.assertRaises(Stopped):
            logic.generate(order, self.folder, _ignore, lambda: True)
        self.assertNotIn(13, [one["seed"] for one in self.client.synthesized(study)])

    def test_a_queued_job_is_cancelled_at_the_server(self):
        volume = self.dicom("R MLO low energy")
        source, told = source_of(volume, self.database), []
        request = {
            "task": "contrast",
            "study_instance_uid": source.study_instance_uid,
            "series_instance_uid": source.series_instance_uid,
            "sop_instance_uid": source.sop_instance_uid,
            "parameters": {"seed": 14},
        }
        with self.assertRaises(Stopped):
            self.client.synthesize(request, lambda fraction, message: told.append(message), lambda: True)
        self.assertEqual(told[-1], "cancelled before it started" if len(told) == 1 else told[-1])
        self.assertNotIn(14, [one["seed"] for one in self.client.synthesized(source.study_instance_uid)])

    def test_lesions_reach_the_study_as_seg_and_come_back_voxel_by_voxel(self):
        volume = self.dicom()
        drawn = np.zeros(slicer.util.arrayFromVolume(volume).shape[1:], np.uint8)
        drawn[30:41, 5:17], other = 1, np.zeros_like(drawn)
        other[60:63, 20:50] = 1
        node = self.scene.segmentation(volume, drawn, other)
        set_lesion_class(node.GetSegmentation().GetNthSegment(0), "malignant")
        sent, source = mask_of(node, volume), source_of(volume, self.database)
        saved = self.client.save_segmentation(
            source.study_instance_uid, source.sop_instance_uid, sent.pixels, sent.segments, "Lesions"
        )
        self.assertEqual([one["label"] for one in saved["segments"]], ["Lesion 1", "Lesion 2"])
        spacing = volume.GetSpacing()
        self.assertAlmostEqual(saved["segments"][0]["area_mm2"], 11 * 12 * spacing[0] * spacing[1], places=1)
        back = logic.fetch_masks(self.client, source)[0]
        again = mask_of(load_mask(self.scene.mrml, back, volume), volume)
        self.assertTrue((again.pixels == drawn + 2 * other).all())
        self.assertEqual([one["lesion_class"] for one in again.segments], ["malignant", None])


def _header(file):
    return pydicom.dcmread(file, stop_before_pixels=True)


if __name__ == "__main__":
    unittest.main()
