"""The panel on Slicer's real MRML, with Qt as `stub_qt` and parameter nodes as `stub_parameter_node` have them.

`PanelTestCase` needs no server, `LivePanelTestCase` a running one.
"""

import json
import re
import sys
import tempfile
import time
import types
import unittest
from pathlib import Path

import numpy as np
import slicer
from scenes import SERVER, Scene, breast, needs_server
from stub_qt import NodeComboBox, QFileDialog, QTimer, install

install(slicer)

import MammoSynth as module  # noqa: E402 - the stub comes first
from MammoSynthLib import logic  # noqa: E402
from MammoSynthLib.masks import LESION_CLASSES, class_of, set_class  # noqa: E402
from MammoSynthLib.model import Model  # noqa: E402
from MammoSynthLib.volumes import is_generated, note_provenance, provenance_of, write_nrrd  # noqa: E402

_ENOUGH_S = 120.0
_SEED = {"type": "integer", "default": 3, "minimum": 0, "maximum": 2**31 - 1, "advanced": True}
_EVERY_TYPE = {
    "seed": _SEED,
    "dose": {"type": "number", "default": 1.5, "unit": "mGy", "description": "At the entrance."},
    "burned_in_mark": {"type": "boolean", "default": True},
    "rendering": {"type": "string", "default": "sampled", "enum": ["expected", "sampled"]},
    "note": {"type": "string", "default": None, "description": "Free text."},
    "passes": {"type": "integer", "default": None, "minimum": 1, "maximum": 9},
    "view_position": {"type": "string", "default": None, "enum": ["CC", "MLO"], "advanced": True},
}
_SOURCE = {"role": "source", "kind": "image", "description": "A view.", "required": True}
_LESIONS = {
    "role": "lesions",
    "kind": "label_map",
    "description": "What is drawn.",
    "required": False,
    "on": "source",
    "classes": {"1": "malignant", "2": "benign"},
}
_REMARK = {"role": "remark", "kind": "json", "description": "A word.", "required": True, "json_schema": {}}
_PRIOR = {"role": "prior", "kind": "image", "description": "Of last year.", "required": False}


def _listed(*slots, title="Mask", **properties):
    return {"title": title, "description": "d", "slots": list(slots), "parameters": {"properties": properties}}


class _Case(unittest.TestCase):
    def setUp(self):
        self.shown = []
        slicer.util.setSliceViewerLayers = lambda **layers: self.shown.append(layers)
        slicer.util.selectModule = self.shown.append
        QTimer.shots.clear()
        self.addCleanup(NodeComboBox.leave_scenes)
        self.open(Scene(views=True))

    def open(self, scene):
        """The module in a Slicer that shows a scene."""
        self.scene = scene
        slicer.mrmlScene = scene.mrml
        slicer.app = types.SimpleNamespace(applicationLogic=lambda: scene.application)
        self.widget = module.MammoSynthWidget(types.SimpleNamespace(isEntered=True))
        self.widget.setup()
        self.addCleanup(self.widget.cleanup)
        self.panel, self.ui = self.widget.panel, self.widget.panel.ui

    def offer(self, **models):
        """A server that offers these models; one with every kind of parameter and a label map if none is named."""
        models = models or {"mask": _listed(_SOURCE, _LESIONS, **_EVERY_TYPE)}
        self.panel._connected(({"name": "MammoSynth", "version": "1", "models": models}, []))

    def control(self, name):
        return next(control for control in self.panel._controls if control.name == name).widget

    def values(self):
        return {control.name: control.value() for control in self.panel._controls}

    def slot(self, role):
        return next(one for one in self.panel._inputs if one.slot.role == role)

    def choose(self, model):
        self.ui.model.setCurrentIndex([each.name for each in self.panel._models].index(model))

    def message(self):
        return self.ui.message.text


class PanelTestCase(_Case):
    def test_every_type_has_a_control_with_its_default_and_range(self):
        self.offer()
        kinds = {control.name: type(control.widget).__name__ for control in self.panel._controls}
        assert kinds == {
            "seed": "QSpinBox",
            "dose": "QDoubleSpinBox",
            "burned_in_mark": "QCheckBox",
            "rendering": "QComboBox",
            "note": "QLineEdit",
            "passes": "QSpinBox",
            "view_position": "QComboBox",
        }
        expected = {"seed": 3, "dose": 1.5, "burned_in_mark": True, "rendering": "sampled"}
        assert self.values() == {**expected, "note": None, "passes": None, "view_position": None}
        labels = {control.name: control.label for control in self.panel._controls}
        assert labels["dose"] == "dose (mGy)"
        assert self.control("dose").toolTip == "At the entrance."
        assert self.ui.advanced.layout().rowCount() == 2
        assert (self.control("passes").specialValueText, self.control("passes").minimum) == ("automatic", 0)
        self.control("passes").setValue(4)
        assert self.values()["passes"] == 4

    def test_models_are_listed_by_title_and_the_first_is_chosen(self):
        self.offer(mask=_listed(_SOURCE), other=_listed(_SOURCE), view=_listed(_SOURCE, title="View"))
        assert self.ui.model._texts == ["Mask", "Mask (other)", "View"]
        assert self.ui.model.currentIndex == 0
        assert self.ui.card.text == "d"

    def test_a_section_for_drawing_is_there_only_for_a_model_that_takes_one(self):
        self.offer(plain=_listed(_SOURCE), mask=_listed(_SOURCE, _LESIONS))
        assert not self.ui.drawingSection.visible
        self.choose("mask")
        assert self.ui.drawingSection.visible
        assert self.ui.drawingSection.text == "Lesions"
        self.choose("plain")
        assert not self.ui.drawingSection.visible

    def test_an_image_is_asked_for_only_by_models_that_need_one(self):
        self.offer(text=_listed(_REMARK), drawn=_listed({**_LESIONS, "on": None}), mask=_listed(_SOURCE))
        assert not self.ui.image.visible
        self.choose("drawn")
        assert (self.ui.image.visible, self.ui.imageLabel.text) == (True, "Drawn on")
        self.choose("mask")
        assert (self.ui.image.visible, self.ui.imageLabel.text) == (True, "Source")

    def test_json_is_typed_or_read_from_a_file_and_a_further_image_is_chosen(self):
        self.offer(mask=_listed(_SOURCE, _REMARK, _PRIOR))
        assert [row[0] for row in self.ui.moreInputs.layout()._rows] == ["Remark", "Prior"]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "remark.json"
            file.write_text('{"text": "ü"}', encoding="utf-8")
            QFileDialog.chosen = str(file)
            self.slot("remark").open_button.click()
        prior = self.scene.volume(breast(), "prior")
        self.slot("prior").widget.setCurrentNode(prior)
        chosen = self.panel._chosen_inputs(self.panel._model())
        assert chosen == {"source": self.ui.image.currentNode(), "remark": '{"text": "ü"}', "prior": prior}

    def test_what_is_required_and_missing_is_said_before_anything_is_sent(self):
        self.offer(mask=_listed(_SOURCE, _REMARK))
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.ui.generateButton.click()
        assert self.message() == "Mask cannot do without: Remark (A word.); choose or draw it"
        self.slot("remark").text.setPlainText("{text")
        self.ui.generateButton.click()
        assert self.message().startswith("Remark: is no JSON")

    def test_another_model_keeps_what_both_know_and_takes_its_own_defaults_elsewhere(self):
        other = {
            "seed": _SEED,
            "dose": {"type": "number", "default": 2.0, "maximum": 4.0},
            "rendering": {"type": "string", "default": "expected", "enum": ["expected", "sampled"]},
            "note": {"type": "integer", "default": 0},
        }
        self.offer(mask=_listed(_SOURCE, **_EVERY_TYPE), other=_listed(_SOURCE, **other))
        self.control("seed").setValue(77)
        self.control("dose").setValue(9.0)
        self.control("note").setText("in words")
        self.choose("other")
        assert self.values() == {"seed": 77, "dose": 2.0, "rendering": "expected", "note": 0}
        self.choose("mask")
        assert (self.values()["dose"], self.values()["note"]) == (9.0, "in words")
        assert self.values()["rendering"] == "sampled"

    def saved(self):
        """The scene as Slicer saves it, opened in a Slicer that was just started."""
        self.scene.mrml.SetSaveToXMLString(1)
        self.scene.mrml.Commit()
        text = self.scene.mrml.GetSceneXMLString()
        self.widget.cleanup()
        fresh = Scene(views=True)
        note_provenance(fresh.volume(breast(), "was there before"), {})  # the scene's nodes get other ids than they had
        self.open(fresh)
        fresh.mrml.SetLoadFromXMLString(1)
        fresh.mrml.SetSceneXMLString(text)
        assert fresh.mrml.Import()
        assert QTimer.shots, "the panel waits until Slicer's selectors know the nodes"
        while QTimer.shots:
            QTimer.shots.pop(0)()

    def test_a_saved_scene_restores_model_image_drawing_inputs_and_settings(self):
        models = {"plain": _listed(_SOURCE), "mask": _listed(_SOURCE, _LESIONS, _REMARK, _PRIOR, **_EVERY_TYPE)}
        self.offer(**models)
        self.choose("mask")
        self.scene.volume(breast(), "first of the scene, which a selector takes by itself")
        self.ui.image.setCurrentNode(self.scene.volume(breast(), "L CC"))
        self.ui.segmentation.setCurrentNode(self.scene.segmentation(self.scene.volume(breast()), np.ones((40, 30))))
        self.slot("prior").widget.setCurrentNode(self.scene.volume(breast(), "prior"))
        self.slot("remark").text.setPlainText('{"text": "<x> & \\"y\\""}')
        self.control("seed").setValue(2**31 - 1)
        self.control("rendering").setCurrentIndex(0)
        self.ui.store.setChecked(True)
        self.saved()
        assert self.ui.image.currentNode().GetName() == "L CC"
        assert self.ui.segmentation.currentNode().GetName() == "Lesions"
        assert self.ui.store.checked
        self.offer(**models)
        assert self.panel._model().name == "mask"
        assert (self.values()["seed"], self.values()["rendering"]) == (2**31 - 1, "expected")
        assert self.slot("remark").value() == '{"text": "<x> & \\"y\\""}'
        assert self.slot("prior").value().GetName() == "prior"
        assert self.ui.image.currentNode().GetScene() is self.scene.mrml

    def test_neither_token_nor_address_is_kept_in_the_scene(self):
        self.ui.token.setText("sixteen-letters-at-least")
        self.ui.address.setText("http://archive.hospital:8000")
        self.offer()
        self.scene.mrml.SetSaveToXMLString(1)
        self.scene.mrml.Commit()
        text = self.scene.mrml.GetSceneXMLString()
        assert "mask" in text
        assert "sixteen-letters" not in text
        assert "archive.hospital" not in text

    def test_a_scene_of_a_model_that_the_server_lacks_says_so_and_keeps_it(self):
        self.offer(mask=_listed(_SOURCE, **_EVERY_TYPE))
        self.control("seed").setValue(9)
        self.saved()
        self.offer(other=_listed(_SOURCE, seed=_SEED))
        assert self.message().startswith("the scene was made with the model mask, which this server does not offer")
        assert self.ui.model.currentIndex == -1
        self.choose("other")
        assert self.values() == {"seed": 9}

    def test_nothing_is_chosen_while_a_scene_comes_though_timers_run(self):
        self.scene.mrml.StartState(slicer.vtkMRMLScene.CloseState)
        self.scene.mrml.EndState(slicer.vtkMRMLScene.CloseState)
        self.scene.mrml.StartState(slicer.vtkMRMLScene.ImportState)
        QTimer.shots.pop(0)()
        assert not self.panel.is_kept
        self.scene.mrml.EndState(slicer.vtkMRMLScene.ImportState)
        QTimer.shots.pop(0)()
        assert self.panel.is_kept

    def test_closing_the_scene_forgets_its_choices_but_not_the_server(self):
        self.offer()
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.control("seed").setValue(9)
        self.scene.mrml.Clear(0)
        while QTimer.shots:
            QTimer.shots.pop(0)()
        assert self.ui.image.currentNode() is None
        assert self.values()["seed"] == 3
        assert self.ui.model._texts == ["Mask"]

    def test_an_image_of_the_scene_is_chosen_unless_it_was_synthesized(self):
        scene = Scene(views=True)
        made = scene.volume(breast(), "SYNTHESIZED R CC")
        note_provenance(made, {"seed": 3})
        acquired = scene.volume(breast())
        self.open(scene)
        assert self.ui.image.currentNode() is acquired

    def test_faults_are_told_in_words(self):
        self.ui.generateButton.click()
        assert self.message().startswith("no image is chosen")
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.ui.generateButton.click()
        assert self.message() == "no model is chosen; connect to a server first"
        self.ui.address.setText("localhost")
        self.ui.connectButton.click()
        assert self.message().startswith("the server's address is 'localhost', expected one such as")

    def test_lesions_are_painted_in_place_and_classed(self):
        self.offer()
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.ui.paintButton.click()
        node = self.ui.segmentation.currentNode()
        editor = self.panel._drawing._editor
        assert editor._state["effect"] == "Paint"
        assert editor._state["segmentation"] is node
        assert editor._state["observes"]
        self.ui.classes._cells[0, 1].setCurrentIndex(1)
        assert class_of(node.GetSegmentation().GetNthSegment(0), LESION_CLASSES) == "malignant"
        node.GetSegmentation().AddEmptySegment("Lesion 2", "Lesion 2")
        assert [self.ui.classes._cells[row, 0].text() for row in (0, 1)] == ["Lesion 1", "Lesion 2"]
        self.widget.exit()
        assert editor._state["effect"] is None
        assert not editor._state["observes"]

    def test_parts_of_a_breast_are_painted_by_their_names(self):
        self.offer(mask=_listed({**_LESIONS, "role": "parts", "on": None, "classes": {"1": "fat", "2": "gland"}}))
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.ui.paintButton.click()
        assert self.ui.drawingSection.text == "Parts"
        assert self.ui.classes._cells[0, 0].text() == "fat"
        assert self.ui.classes._cells[0, 1]._texts == ["not stated", "fat", "gland"]
        assert self.ui.classes._cells[0, 1].currentText == "fat"

    def test_an_empty_segmentation_is_not_sent(self):
        self.offer()
        self.ui.image.setCurrentNode(self.scene.volume(breast()))
        self.ui.paintButton.click()
        self.ui.generateButton.click()
        assert self.message() == "Lesions: nothing is drawn on R CC; paint something first"

    def made(self, placement, volume, *remarks):
        """What the panel shows once an image came back that lies where the chosen one does."""
        model = Model("mask", "Mask", placement=placement)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "result.nrrd"
            write_nrrd(self.scene.volume(breast()), file)
            sources = [{"role": "source", "name": "1.2.3"}, {"role": "remark", "name": "remark"}]
            made = logic.Made("image", {"seed": 3, "sources": sources}, file, remarks=remarks)
            self.panel._made([made], model, volume)
        return next(node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if is_generated(node))

    def test_a_result_on_its_source_is_linked_with_it_one_of_another_geometry_is_not(self):
        volume = self.scene.volume(breast())
        for placement, linked in (("on_source", 1), ("same_study", 0), ("new_study", 0)):
            result = self.made(placement, volume)
            composites = [each.GetSliceCompositeNode() for each in self.scene.slices]
            assert [one.GetBackgroundVolumeID() for one in composites] == [volume.GetID(), result.GetID()]
            assert [one.GetLinkedControl() for one in composites] == [linked, linked]
            self.scene.mrml.RemoveNode(result)

    def test_a_result_of_no_image_is_shown_alone(self):
        result = self.made("new_study", None)
        assert self.shown == [{"background": result, "fit": True}]
        assert self.message() == "SYNTHESIZED Mask, a study of its own: done"

    def test_provenance_is_shown_with_its_sources_by_role(self):
        self.made("on_source", self.scene.volume(breast()))
        cells = self.ui.provenance._cells
        rows = {cells[row, 0].text(): cells[row, 1].text() for row in range(self.ui.provenance._rows)}
        assert rows == {"seed": "3", "sources": "source: 1.2.3; remark: remark"}

    def test_what_is_told_of_a_drawing_is_said_and_kept_with_the_result(self):
        result = self.made("on_source", self.scene.volume(breast(), "R CC"), "Mass: +0.1.", "Focus: +0.2.")
        assert self.message() == "SYNTHESIZED R CC: done\nMass: +0.1.\nFocus: +0.2."
        assert provenance_of(result)["remarks"] == "Mass: +0.1.\nFocus: +0.2."

    def test_a_result_whose_source_was_removed_meanwhile_is_not_shown(self):
        volume = self.scene.volume(np.ones((8, 8), np.uint16))
        self.scene.mrml.RemoveNode(volume)
        self.panel._made([], Model("mask"), volume)
        assert "was removed meanwhile" in self.message()

    def test_the_dicom_database_opens_from_the_panel(self):
        self.ui.openDatabase.click()
        assert self.shown == ["DICOM"]

    def test_reloading_reads_the_library_again(self):
        before = sys.modules["MammoSynthLib.widget"]
        self.addCleanup(
            sys.modules.update, {name: kept for name, kept in sys.modules.items() if "MammoSynthLib" in name}
        )
        self.widget.onReload()
        assert "MammoSynthLib.widget" not in sys.modules
        self.widget.setup()
        assert sys.modules["MammoSynthLib.widget"] is not before


@needs_server
class LivePanelTestCase(_Case):
    def finish(self):
        """Fire the timer until nothing runs any more."""
        deadline = time.monotonic() + _ENOUGH_S
        while self.panel._work is not None:
            assert time.monotonic() < deadline, self.message()
            self.panel._timer._emit("timeout()")
        return self.message()

    def connect(self):
        self.ui.address.setText(SERVER)
        self.ui.connectButton.click()
        assert not self.ui.generateButton.enabled
        assert self.ui.cancelButton.enabled
        return self.finish()

    def load(self, patient="P001", label="L CC"):
        """Choose a study and an image of the archive, and load it."""
        self.ui.study.setCurrentIndex(next(i for i, t in enumerate(self.ui.study._texts) if patient in t))
        self.finish()
        images = self.ui.archiveImage
        images.setCurrentIndex(next(i for i, t in enumerate(images._texts) if t.startswith(label)))
        self.ui.loadButton.click()
        return self.finish()

    def test_controls_are_built_from_the_schema_that_the_server_gives(self):
        self.connect()
        self.choose("contrast")
        properties = self.panel._model().properties
        offered = [name for name, one in properties.items() if len(one.get("enum", (1, 2))) > 1]
        assert sorted(control.name for control in self.panel._controls) == sorted(offered)
        assert self.ui.card.text.startswith(self.panel._model().description)
        assert self.ui.serverName.text.startswith("MammoSynth ")

    def test_an_image_is_loaded_generated_and_hung_beside_its_result_with_provenance(self):
        self.connect()
        self.choose("contrast")
        assert self.load().endswith("loaded")
        source = self.ui.image.currentNode()
        self.ui.generateButton.click()
        assert self.finish() == f"SYNTHESIZED {source.GetName()}: done"
        backgrounds = [each.GetSliceCompositeNode().GetBackgroundVolumeID() for each in self.scene.slices]
        result = self.scene.mrml.GetNodeByID(backgrounds[1])
        assert backgrounds[0] == source.GetID()
        cells = self.ui.provenance._cells
        rows = {cells[row, 0].text(): cells[row, 1].text() for row in range(self.ui.provenance._rows)}
        assert rows["task"] == "contrast"
        assert rows["sources"].startswith("source: ")
        assert len(rows) == len(provenance_of(result)) > 5
        assert self.ui.generateButton.enabled
        QTimer.shots.pop()()  # the views are fitted once more when they have their size

    def test_lesions_and_a_remark_give_an_image_with_labels_in_a_study_of_its_own(self):
        self.connect()
        self.choose("mirror")
        self.load(label="R CC")
        source = self.ui.image.currentNode()
        pixels = np.zeros(slicer.util.arrayFromVolume(source).shape[1:], np.uint8)
        pixels[30:41, 5:17] = 1
        lesions = self.scene.segmentation(source, pixels)
        self.ui.segmentation.setCurrentNode(lesions)
        self.slot("remark").text.setPlainText('{"text": "upside down"}')
        self.ui.store.setChecked(True)
        self.ui.generateButton.click()
        assert self.message() == (
            "Lesions: 'Lesion 1' has no class, expected malignant or benign; choose it in the list of what is drawn"
        )
        set_class(lesions.GetSegmentation().GetNthSegment(0), "benign")
        self.ui.generateButton.click()
        assert self.finish() == "SYNTHESIZED Mirror, a study of its own: done"
        shown = self.scene.slices[1].GetSliceCompositeNode().GetBackgroundVolumeID()
        made = json.loads(provenance_of(self.scene.mrml.GetNodeByID(shown))["sources"])
        assert {one["role"] for one in made} == {"source", "lesions", "remark"}
        assert (
            slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1].GetName()
            == "LABELS of Mirror, a study of its own"
        )
        self.ui.fetchDrawingsButton.click()
        assert re.search(r": (1 segmentation|\d+ segmentations) in the archive$", self.finish())

    def test_cancel_ends_in_words_and_everything_can_be_pressed_again(self):
        self.connect()
        self.choose("contrast")
        self.load()
        self.ui.generateButton.click()
        self.ui.cancelButton.click()
        assert self.finish() == "cancelled"
        assert self.ui.generateButton.enabled
        assert not self.ui.cancelButton.enabled

    def test_an_address_where_nobody_answers_is_told_in_words(self):
        self.ui.address.setText("http://127.0.0.1:9")
        self.ui.connectButton.click()
        assert "no server answers there" in self.finish()

    def test_a_second_request_waits_for_the_first(self):
        self.ui.address.setText(SERVER)
        self.ui.connectButton.click()
        self.panel.load_drawings()
        self.panel.connect()
        assert self.message().startswith("wait until the running request has ended")
        self.finish()
