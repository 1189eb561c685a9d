"""The Slicer module's tests that need no server, and the files of the extension."""

import ast
import re
import xml.etree.ElementTree as ElementTree

import pytest
from PIL import Image

from tests.support.slicer import MODULE, run_unittest

pytestmark = pytest.mark.slow


WIDGETS = {  # of the panel that the module's Python uses, and what it takes them for
    **dict.fromkeys(("address", "token"), "QLineEdit"),
    **dict.fromkeys(("serverName", "card", "imageLabel", "message"), "QLabel"),
    **dict.fromkeys(("model", "study", "archiveImage"), "QComboBox"),
    **dict.fromkeys(("image", "segmentation"), "qMRMLNodeComboBox"),
    **dict.fromkeys(("connectButton", "openDatabase", "loadButton", "paintButton"), "QPushButton"),
    **dict.fromkeys(("fetchDrawingsButton", "generateButton", "cancelButton"), "QPushButton"),
    **dict.fromkeys(("moreInputs", "parameters", "editorPlace"), "QWidget"),
    **dict.fromkeys(("drawingSection", "advanced"), "ctkCollapsibleButton"),
    **dict.fromkeys(("classes", "provenance"), "QTableWidget"),
    "store": "QCheckBox",
    "progress": "QProgressBar",
}
LAYOUTS = {
    "moreInputs": "QFormLayout",
    "parameters": "QFormLayout",
    "advanced": "QFormLayout",
    "editorPlace": "QVBoxLayout",
}


@pytest.mark.parametrize(
    "name",
    [
        *("ParametersTestCase", "ModelTestCase", "VolumesTestCase", "MasksTestCase", "HangingTestCase"),
        *("ClientTestCase.ClientTestCase", "LogicTestCase.LogicTestCase", "panel.PanelTestCase"),
    ],
)
def test_case_passes_on_the_mrml_of_slicer(name):
    run_unittest(name)


@pytest.fixture(scope="module")
def panel():
    """Widgets of the .ui file by name."""
    root = ElementTree.parse(MODULE / "Resources" / "UI" / "MammoSynth.ui").getroot()
    return {element.get("name"): element for element in root.iter("widget")}


def test_every_widget_that_python_uses_is_in_the_ui_file_and_of_its_class(panel):
    used = {
        node.attr
        for file in ("widget.py", "drawing.py")
        for node in ast.walk(ast.parse((MODULE / "MammoSynthLib" / file).read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("ui", "self.ui", "self._ui")
    }
    assert used == set(WIDGETS)
    assert {name: panel[name].get("class") for name in used} == WIDGETS
    assert {name: panel[name].find("layout").get("class") for name in LAYOUTS} == LAYOUTS


def test_widgets_that_are_bound_to_choices_of_the_scene_say_which(panel):
    bound = {
        element.findtext("property[@name='SlicerParameterName']/string"): name
        for name, element in panel.items()
        if element.find("property[@name='SlicerParameterName']") is not None
    }
    assert bound == {"image": "image", "drawing": "segmentation", "store": "store"}
    declared = ast.parse((MODULE / "MammoSynthLib" / "choices.py").read_text())
    assert set(bound) <= {node.target.id for node in ast.walk(declared) if isinstance(node, ast.AnnAssign)}


def test_what_servers_say_is_shown_as_plain_text_and_the_token_is_hidden(panel):
    for name in ("serverName", "card", "message"):
        assert panel[name].findtext("property[@name='textFormat']/enum") == "Qt::PlainText"
    assert panel["token"].findtext("property[@name='echoMode']/enum") == "QLineEdit::Password"


def test_cases_are_known_to_ctest():
    listed = (MODULE / "Testing" / "CMakeLists.txt").read_text()
    assert set(re.findall(r"\w+TestCase", listed)) == {file.stem for file in MODULE.glob("Testing/*TestCase.py")}


def test_every_file_of_the_library_is_installed_with_the_module():
    listed = (MODULE / "CMakeLists.txt").read_text()
    assert set(re.findall(r"Lib/(\w+\.py)", listed)) == {file.name for file in MODULE.glob("MammoSynthLib/*.py")}
    assert "Resources/UI/${MODULE_NAME}.ui" in listed


def test_only_the_panel_knows_qt():
    knowing = {
        file.name
        for file in MODULE.rglob("MammoSynthLib/*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import) and {"qt", "ctk"} & {name.name for name in node.names}
    }
    assert knowing == {"widget.py", "controls.py", "drawing.py"}


@pytest.mark.parametrize("version", [(3, 9), (3, 12)])
def test_sources_are_python_of_older_and_newer_slicers(version):
    for file in MODULE.rglob("*.py"):
        ast.parse(file.read_text(), filename=file.name, feature_version=version)


def test_the_icon_is_a_square_with_transparent_corners():
    with Image.open(MODULE / "Resources" / "Icons" / "MammoSynth.png") as icon:
        assert icon.size == (128, 128)
        assert icon.convert("RGBA").getpixel((0, 0))[3] == 0
