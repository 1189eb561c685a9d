import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import slicer
from scenes import EXAM, SERVER, Scene, breast, needs_server

from MammoSynthLib import logic
from MammoSynthLib.background import Stopped
from MammoSynthLib.client import Client, ServerError
from MammoSynthLib.masks import load_mask, mask_of, set_class
from MammoSynthLib.model import IMAGE, JSON, LABEL_MAP, NEW_STUDY, SAME_STUDY, Model, Slot
from MammoSynthLib.parameters import Parameters
from MammoSynthLib.volumes import Source, VolumeError, load_source, matrix_of, provenance_of, source_of, write_nrrd

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


class LogicTestCase(unittest.TestCase):
    """What needs no server: what is taken from the scene, and where results go."""

    def setUp(self):
        self.scene = Scene()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.volume = self.scene.volume(breast())
        lesions = Slot("lesions", LABEL_MAP, on="source", classes={1: "malignant", 2: "benign"})
        remark = Slot("remark", JSON, required=False)
        self.model = Model("mirror", "Mirror", placement=NEW_STUDY, slots=(Slot("source", IMAGE), lesions, remark))

    def drawn(self, name="malignant"):
        mask = np.zeros((40, 30), np.uint8)
        mask[3:9, 4:7] = 1
        node = self.scene.segmentation(self.volume, mask)
        set_class(node.GetSegmentation().GetNthSegment(0), name)
        return node

    def test_every_slot_is_taken_from_the_scene_in_its_kind(self):
        inputs = {"source": self.volume, "lesions": self.drawn(), "remark": '{"text": "x"}'}
        order = logic.prepare(Parameters(), self.model, inputs, self.folder)
        self.assertEqual(order.images, {"source": Source("R CC")})
        self.assertEqual(order.drawings["lesions"].on, Source("R CC"))
        self.assertEqual(order.drawings["lesions"].mask.pixels.sum(), 6 * 3)
        self.assertEqual(order.data, {"remark": {"text": "x"}})
        self.assertEqual(order.upload, self.folder / "source.nrrd")
        self.assertTrue(order.upload.is_file())

    def test_what_is_not_required_may_be_left_out_but_nothing_else(self):
        with self.assertRaisesRegex(ValueError, "Mirror cannot do without: Lesions; choose or draw it"):
            logic.prepare(Parameters(), self.model, {"source": self.volume, "lesions": None}, self.folder)
        inputs = {"source": self.volume, "lesions": self.drawn(), "remark": None}
        self.assertEqual(logic.prepare(Parameters(), self.model, inputs, self.folder).data, {})

    def test_a_text_that_is_no_json_and_a_drawing_of_no_class_are_refused_in_words(self):
        inputs = {"source": self.volume, "lesions": self.drawn(), "remark": "{text"}
        with self.assertRaisesRegex(ValueError, "Remark: is no JSON .*; correct it"):
            logic.prepare(Parameters(), self.model, inputs, self.folder)
        inputs["lesions"] = self.drawn(None)
        with self.assertRaisesRegex(VolumeError, "'Lesion 1' has no class, expected malignant or benign"):
            logic.prepare(Parameters(), self.model, inputs, self.folder)

    def test_a_drawing_that_stands_for_itself_is_sent_as_a_file_of_class_numbers(self):
        slot = Slot("parts", LABEL_MAP, classes={4: "benign", 9: "malignant"})
        model = Model("mask", "Mask", placement=NEW_STUDY, slots=(slot,))
        order = logic.prepare(Parameters(), model, {"parts": self.drawn()}, self.folder, canvas=self.volume)
        labels = load_source(self.scene.mrml, order.upload, Source("labels"))
        self.assertEqual(set(np.unique(slicer.util.arrayFromVolume(labels))), {0, 9})
        with self.assertRaisesRegex(ValueError, "Parts: choose the image that it is drawn on"):
            logic.prepare(Parameters(), model, {"parts": self.drawn()}, self.folder)

    def shown(self, placement, source):
        """What is shown of an image and its labels, of another size than the source."""
        image = self.scene.volume(breast(20, 16), spacing_mm=0.6)
        file = self.folder / "result.nrrd"
        write_nrrd(image, file)
        pixels = np.zeros((20, 16), np.uint8)
        pixels[2:4, 5:9] = 1
        mask = logic.Mask(pixels, [{"number": 1, "label": "Mass", "lesion_class": "benign"}], "Lesions")
        made = [logic.Made("image", {"seed": 3}, file), logic.Made("labels", {"seed": 3}, mask=mask)]
        nodes = logic.show(self.scene.mrml, made, replace(self.model, placement=placement), source)
        self.assertTrue((matrix_of(nodes[0]) == matrix_of(image)).all())
        return nodes, pixels

    def test_a_result_of_a_new_study_is_a_volume_of_its_own_and_its_labels_lie_on_it(self):
        (image, labels), pixels = self.shown(NEW_STUDY, self.volume)
        self.assertEqual(image.GetName(), "SYNTHESIZED Mirror, a study of its own")
        self.assertEqual(labels.GetName(), "LABELS of Mirror, a study of its own")
        self.assertTrue((mask_of(labels, image).pixels == pixels).all())
        self.assertEqual(mask_of(labels, image).segments[0]["lesion_class"], "benign")
        self.assertEqual((provenance_of(image)["seed"], provenance_of(labels)["seed"]), ("3", "3"))

    def test_a_result_beside_its_source_keeps_its_geometry_and_says_so(self):
        (image, _), _ = self.shown(SAME_STUDY, self.volume)
        self.assertEqual(image.GetName(), "SYNTHESIZED Mirror beside R CC")
        (image, _), _ = self.shown(SAME_STUDY, None)
        self.assertEqual(image.GetName(), "SYNTHESIZED Mirror, a study of its own")

    def test_a_result_that_belongs_on_its_source_but_does_not_lie_there_is_refused(self):
        with self.assertRaisesRegex(VolumeError, "does not lie on R CC"):
            self.shown("on_source", self.volume)


@needs_server
class LiveLogicTestCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.files = sorted(EXAM.rglob("*.dcm"))
        cls.database = FolderDatabase(cls.files)
        cls.models = {name: Model.listed(name, each) for name, each in Client(SERVER).info()["models"].items()}

    def setUp(self):
        self.scene = Scene()
        self.client = Client(SERVER)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.model = self.models["contrast"]
        self.parameters = Parameters(address=SERVER, values={"burned_in_mark": False})

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

    def order(self, parameters, volume, **more):
        inputs = {"source": volume, **more}
        return logic.prepare(parameters, self.model, inputs, self.folder, canvas=volume, database=self.database)

    def made(self, parameters, volume, **more):
        return logic.generate(self.order(parameters, volume, **more), self.folder, _ignore, _never)

    def show(self, parameters, volume, **more):
        return logic.show(self.scene.mrml, self.made(parameters, volume, **more), self.model, volume)

    def test_without_storing_the_result_lies_on_the_dicom_volume_and_the_archive_is_unchanged(self):
        volume = self.dicom()
        before = self.client.synthesized(source_of(volume, self.database).study_instance_uid)
        result = self.show(self.parameters, volume)[0]
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
        stored = self.show(parameters, volume)[0]
        shown = self.show(replace(parameters, store_in_study=False), volume)[0]
        self.assertTrue((slicer.util.arrayFromVolume(stored) == slicer.util.arrayFromVolume(shown)).all())
        self.assertTrue((matrix_of(stored) == matrix_of(volume)).all())
        series = self.client.synthesized(source_of(volume, self.database).study_instance_uid)
        self.assertIn(11, [one["seed"] for one in series])

    def test_provenance_names_model_source_and_seed_also_when_it_was_made_before(self):
        volume = self.dicom("L MLO low energy")
        parameters = replace(self.parameters, store_in_study=True)
        first = self.show(parameters, volume)[0]
        again = self.show(parameters, volume)[0]
        source = source_of(volume, self.database).sop_instance_uid
        for result in (first, again):
            found = provenance_of(result)
            (made_from,) = json.loads(found["sources"])
            self.assertEqual((made_from["role"], made_from["sop_instance_uid"]), ("source", source))
            self.assertEqual((found["task"], found["rendering"], found["seed"]), ("contrast", "expected", "0"))
            self.assertEqual(len(found["weights_sha256"]), 64)

    def test_left_and_right_breasts_stay_on_their_sides(self):
        for name in ("L CC low energy", "R CC low energy"):
            volume = self.dicom(name)
            result = self.show(self.parameters, volume)[0]
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
        result = self.show(self.parameters, volume)[0]
        self.assertTrue((matrix_of(result) == matrix_of(volume)).all())
        display = volume.GetDisplayNode()
        self.assertEqual((display.GetWindow(), display.GetLevel()), (65535, 32767.5))

    def test_a_volume_of_no_archive_is_sent_and_comes_back_on_itself(self):
        archived = slicer.util.arrayFromVolume(self.dicom())[0]
        volume = self.scene.volume(archived, "drawn by hand")
        values = {**self.parameters.values, "view_position": "CC", "image_laterality": "L"}
        result = self.show(replace(self.parameters, values=values), volume)[0]
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
        parameters = replace(self.parameters, store_in_study=True)
        order = logic.Order(parameters, self.model, {"source": Source("new", *uids, file)}, upload=file)
        self.assertFalse(self.client.holds(*uids))
        self.assertEqual(len(logic.generate(order, self.folder, _ignore, _never)), 1)
        self.assertTrue(self.client.holds(*uids))

    def test_the_uncertainty_comes_as_a_second_volume_in_its_own_window(self):
        volume = self.dicom("R CC low energy")
        values = {**self.parameters.values, "uncertainty": True}
        parameters = replace(self.parameters, values=values, store_in_study=True)
        image, uncertainty = self.show(parameters, volume)
        self.assertTrue(uncertainty.GetName().startswith("UNCERTAINTY of"))
        display = image.GetDisplayNode()
        pixels = slicer.util.arrayFromVolume(image)
        self.assertLess(display.GetWindow(), 65535)  # that of the breast, as it stands in the file
        self.assertGreater(((pixels > display.GetWindowLevelMin()) & (pixels < display.GetWindowLevelMax())).sum(), 0)
        self.assertEqual(round(uncertainty.GetDisplayNode().GetWindow()), round(0.25 * 65535))

    def test_progress_is_told_from_the_queue(self):
        volume, told = self.dicom("R MLO low energy"), []
        parameters = replace(self.parameters, values={"seed": 12}, store_in_study=True)
        order = self.order(parameters, volume)
        logic.generate(order, self.folder, lambda fraction, message: told.append((fraction, message)), _never)
        self.assertEqual(told[-1], (1.0, "loading the result"))
        self.assertTrue(all(message for _, message in told))

    def test_cancelling_leaves_nothing_in_the_study(self):
        volume = self.dicom("R MLO low energy")
        study = source_of(volume, self.database).study_instance_uid
        parameters = replace(self.parameters, values={"seed": 13}, store_in_study=True)
        order = self.order(parameters, volume)
        with self.assertRaises(Stopped):
            logic.generate(order, self.folder, _ignore, lambda: True)
        self.assertNotIn(13, [one["seed"] for one in self.client.synthesized(study)])

    def test_a_queued_job_is_cancelled_at_the_server(self):
        volume = self.dicom("R MLO low energy")
        source, told = source_of(volume, self.database), []
        request = {
            "model": "contrast",
            "inputs": {
                "source": {
                    "study_instance_uid": source.study_instance_uid,
                    "series_instance_uid": source.series_instance_uid,
                    "sop_instance_uid": source.sop_instance_uid,
                }
            },
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
        set_class(node.GetSegmentation().GetNthSegment(0), "malignant")
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

    def test_lesions_are_told_of_stored_or_not_and_the_image_is_the_one_without(self):
        volume = self.dicom()
        drawn = np.zeros(slicer.util.arrayFromVolume(volume).shape[1:], np.uint8)
        drawn[28:41, 8:17] = 1
        lesions = self.scene.segmentation(volume, drawn)
        for is_stored in (True, False):
            parameters = replace(self.parameters, store_in_study=is_stored)
            (made,) = self.made(parameters, volume, lesions=lesions)
            (sentence,) = made.remarks
            self.assertTrue(sentence.startswith("Lesion 1: expected contrast "), sentence)
            (node,) = logic.show(self.scene.mrml, [made], self.model, volume)
            self.assertEqual(provenance_of(node)["remarks"], sentence)
            self.assertEqual([one["role"] for one in json.loads(provenance_of(node)["sources"])], ["source"])
            (without,) = self.made(parameters, volume)
            self.assertEqual(without.remarks, ())
            pixels = slicer.util.arrayFromVolume(self.show(parameters, volume)[0])
            self.assertTrue((slicer.util.arrayFromVolume(node) == pixels).all())

    def mirrored(self, volume, name="malignant"):
        """Lesions drawn on an image, for a model that cannot do without and gives a study of its own."""
        self.model = self.models["mirror"]
        pixels = np.zeros(slicer.util.arrayFromVolume(volume).shape[1:], np.uint8)
        pixels[30:41, 5:17] = 1
        node = self.scene.segmentation(volume, pixels)
        set_class(node.GetSegmentation().GetNthSegment(0), name)
        return node, pixels

    def test_a_new_study_holds_image_and_labels_and_is_shown_as_a_volume_of_its_own(self):
        volume = self.dicom()
        lesions, pixels = self.mirrored(volume)
        parameters = replace(self.parameters, values={"gain": 0.5}, store_in_study=True)
        for _ in range(2):  # the second time it is there already
            image, labels = self.show(parameters, volume, lesions=lesions, remark='{"text": "x"}')
            self.assertEqual(image.GetName(), "SYNTHESIZED Mirror, a study of its own")
            self.assertEqual(slicer.util.arrayFromVolume(image).shape, slicer.util.arrayFromVolume(volume).shape)
            back = mask_of(labels, image)
            self.assertTrue((back.pixels == pixels[::-1]).all())
            self.assertEqual(back.segments[0]["lesion_class"], "malignant")
            made_from = {source["role"]: source for source in json.loads(provenance_of(image)["sources"])}
            self.assertEqual(made_from["source"]["sop_instance_uid"], source_of(volume, self.database).sop_instance_uid)
            self.assertEqual(made_from["remark"]["value"], {"text": "x"})

    def test_without_storing_lesions_go_to_the_study_and_the_image_comes_alone(self):
        volume = self.dicom("R CC low energy")
        lesions, _ = self.mirrored(volume)
        before = len(self.client.segmentations(source_of(volume, self.database).study_instance_uid))
        (image,) = self.show(self.parameters, volume, lesions=lesions)
        self.assertEqual(image.GetName(), "SYNTHESIZED Mirror, a study of its own")
        after = self.client.segmentations(source_of(volume, self.database).study_instance_uid)
        self.assertEqual(len(after), before + 1)
        self.assertEqual(slicer.util.arrayFromVolume(image).shape, slicer.util.arrayFromVolume(volume).shape)
        self.assertEqual({one["role"] for one in json.loads(provenance_of(image)["sources"])}, {"source", "lesions"})


def _header(file):
    return pydicom.dcmread(file, stop_before_pixels=True)


if __name__ == "__main__":
    unittest.main()
