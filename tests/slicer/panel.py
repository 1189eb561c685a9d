"""The panel on Slicer's real MRML, with Qt as `stub_qt` has it, against a running server."""

import sys
import time
import types
import unittest

import numpy as np
import slicer
from scenes import SERVER, Scene, breast
from stub_qt import QTimer, install

install(slicer)

import MammoSynth as module  # noqa: E402 - the stub comes first
from MammoSynthLib.masks import lesion_class  # noqa: E402
from MammoSynthLib.volumes import provenance_of  # noqa: E402

_ENOUGH_S = 120.0
_EVERY_TYPE = [
    {"name": "seed", "type": "integer", "default": 3, "minimum": 0, "maximum": 2**31 - 1, "unit": ""},
    {"name": "dose", "type": "number", "default": 1.5, "minimum": None, "maximum": None, "unit": "mGy"},
    {"name": "burned_in_mark", "type": "boolean", "default": True, "unit": ""},
    {"name": "kind", "type": "string", "default": "b", "options": ["a", "b"], "unit": ""},
    {"name": "note", "type": "string", "default": None, "unit": "", "description": "Free text."},
    {"name": "lesions", "type": "segmentation", "default": None, "unit": ""},
    {"name": "view_position", "type": "string", "default": None, "options": ["CC", "MLO"], "unit": ""},
    {"name": "sop_instance_uid", "type": "string", "default": None, "unit": ""},
]


class PanelTestCase(unittest.TestCase):
    def setUp(self):
        self.scene = Scene(views=True)
        self.shown = []
        slicer.mrmlScene = self.scene.mrml
        slicer.app = types.SimpleNamespace(applicationLogic=lambda: self.scene.application)
        slicer.util.setSliceViewerLayers = lambda **layers: self.shown.append(layers)
        slicer.util.selectModule = self.shown.append
        self.widget = module.MammoSynthWidget()
        self.widget.setup()
        self.addCleanup(self.widget.cleanup)
        self.panel = self.widget.panel

    def finish(self):
        """Fire the timer until nothing runs any more."""
        deadline = time.monotonic() + _ENOUGH_S
        while self.panel._work is not None:
            assert time.monotonic() < deadline, self.panel.message.text
            self.panel._timer._emit("timeout()")
        return self.panel.message.text

    def connect(self):
        self.panel.address.setText(SERVER)
        self.panel.connect_button.click()
        assert not self.panel.generate_button.enabled
        assert self.panel.cancel_button.enabled
        return self.finish()

    def load(self, patient="P001", label="L CC"):
        """Choose a study and an image of the archive, and load it."""
        self.panel.study.setCurrentIndex(next(i for i, t in enumerate(self.panel.study._texts) if patient in t))
        self.finish()
        self.panel.image.setCurrentIndex(next(i for i, t in enumerate(self.panel.image._texts) if t.startswith(label)))
        self.panel.load_button.click()
        return self.finish()

    def offer(self, described):
        """A server that offers one model with these parameters."""
        info = {"name": "MammoSynth", "version": "1", "models": {"mask": {"description": "d", "parameters": described}}}
        self.panel._connected((info, []))

    def test_controls_are_built_from_the_parameters_that_the_server_lists(self):
        self.connect()
        models = {name: model["parameters"] for name, model in self.panel._models.items()}
        names = [control.name for control in self.panel._controls]
        listed = [one["name"] for one in models[self.panel.model.currentText] if one["type"] != "segmentation"]
        assert sorted(names) == sorted(set(listed) - {"sop_instance_uid"})
        assert self.panel.card.text.startswith(self.panel._models[self.panel.model.currentText]["description"])

    def test_every_type_has_a_control_with_its_default_and_range(self):
        self.offer(_EVERY_TYPE)
        kinds = {control.name: type(control.widget).__name__ for control in self.panel._controls}
        assert kinds == {
            "seed": "QSpinBox",
            "dose": "QDoubleSpinBox",
            "burned_in_mark": "QCheckBox",
            "kind": "QComboBox",
            "note": "QLineEdit",
            "view_position": "QComboBox",
        }
        values = {control.name: control.value() for control in self.panel._controls}
        expected = {"seed": 3, "dose": 1.5, "burned_in_mark": True, "kind": "b", "note": None, "view_position": None}
        assert values == expected
        assert [control.label for control in self.panel._controls][1] == "dose (mGy)"
        assert self.panel.lesions.visible
        assert self.panel.advanced.layout().rowCount() == 1

    def test_an_image_is_loaded_generated_and_hung_beside_its_result_with_provenance(self):
        self.connect()
        assert self.load().endswith("loaded")
        source = self.panel.volume.currentNode()
        self.panel.generate_button.click()
        assert self.finish() == f"SYNTHESIZED {source.GetName()}: done"
        backgrounds = [logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in self.scene.slices]
        result = self.scene.mrml.GetNodeByID(backgrounds[1])
        assert backgrounds[0] == source.GetID()
        rows = {
            self.panel.provenance._cells[row, 0].text(): self.panel.provenance._cells[row, 1].text()
            for row in range(self.panel.provenance._rows)
        }
        assert rows["task"] == self.panel.model.currentText
        assert len(rows) == len(provenance_of(result)) > 5
        assert self.panel.generate_button.enabled
        QTimer.shots.pop()()  # the views are fitted once more when they have their size

    def test_cancel_ends_in_words_and_everything_can_be_pressed_again(self):
        self.connect()
        self.load()
        self.panel.generate_button.click()
        self.panel.cancel_button.click()
        assert self.finish() == "cancelled"
        assert self.panel.generate_button.enabled
        assert not self.panel.cancel_button.enabled

    def test_faults_are_told_in_words(self):
        self.panel.generate_button.click()
        assert self.panel.message.text.startswith("no image is chosen")
        self.panel.address.setText("localhost")
        self.panel.connect_button.click()
        assert self.panel.message.text.startswith("the server's address is 'localhost', expected one such as")
        self.panel.address.setText("http://127.0.0.1:9")
        self.panel.connect_button.click()
        assert "no server answers there" in self.finish()

    def test_a_second_request_waits_for_the_first(self):
        self.panel.address.setText(SERVER)
        self.panel.connect_button.click()
        self.panel.load_masks()
        self.panel.connect()
        assert self.panel.message.text.startswith("wait until the running request has ended")
        self.finish()

    def test_lesions_are_painted_in_place_and_classed(self):
        self.offer(_EVERY_TYPE)
        self.panel.volume.setCurrentNode(self.scene.volume(breast()))
        self.panel.paint_button.click()
        node = self.panel.segmentation.currentNode()
        editor = self.panel._editor
        assert editor._state["effect"] == "Paint"
        assert editor._state["segmentation"] is node
        assert editor._state["observes"]
        self.panel.classes._cells[0, 1].setCurrentIndex(1)
        assert lesion_class(node.GetSegmentation().GetNthSegment(0)) == "malignant"
        node.GetSegmentation().AddEmptySegment("Lesion 2", "Lesion 2")
        assert [self.panel.classes._cells[row, 0].text() for row in (0, 1)] == ["Lesion 1", "Lesion 2"]
        self.widget.exit()
        assert editor._state["effect"] is None
        assert not editor._state["observes"]

    def test_an_empty_segmentation_is_not_sent(self):
        self.offer(_EVERY_TYPE)
        self.panel.volume.setCurrentNode(self.scene.volume(breast()))
        self.panel.paint_button.click()
        self.panel.generate_button.click()
        assert self.panel.message.text == "Lesions: nothing is drawn on R CC; paint a lesion first"

    def test_a_result_whose_source_was_removed_meanwhile_is_not_shown(self):
        volume = self.scene.volume(np.ones((8, 8), np.uint16))
        self.scene.mrml.RemoveNode(volume)
        self.panel._made([], volume)
        assert "was removed meanwhile" in self.panel.message.text

    def test_the_dicom_database_opens_from_the_panel(self):
        self.panel.open_database.click()
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
