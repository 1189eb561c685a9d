"""The Slicer module's tests that need no server, and the files of the extension."""

import ast
import re

import pytest
from PIL import Image

from tests.support.slicer import MODULE, run_unittest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["ParametersTestCase", "VolumesTestCase", "MasksTestCase", "HangingTestCase"])
def test_case_passes_on_the_mrml_of_slicer(name):
    run_unittest(name)


def test_cases_are_known_to_ctest():
    listed = (MODULE / "Testing" / "CMakeLists.txt").read_text()
    assert set(re.findall(r"\w+TestCase", listed)) == {file.stem for file in MODULE.glob("Testing/*TestCase.py")}


def test_every_file_of_the_library_is_installed_with_the_module():
    listed = (MODULE / "CMakeLists.txt").read_text()
    assert set(re.findall(r"Lib/(\w+\.py)", listed)) == {file.name for file in MODULE.glob("MammoSynthLib/*.py")}


def test_only_the_panel_knows_qt():
    knowing = {
        file.name
        for file in MODULE.rglob("MammoSynthLib/*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import) and {"qt", "ctk"} & {name.name for name in node.names}
    }
    assert knowing == {"widget.py", "controls.py"}


@pytest.mark.parametrize("version", [(3, 9), (3, 12)])
def test_sources_are_python_of_older_and_newer_slicers(version):
    for file in MODULE.rglob("*.py"):
        ast.parse(file.read_text(), filename=file.name, feature_version=version)


def test_the_icon_is_a_square_with_transparent_corners():
    with Image.open(MODULE / "Resources" / "Icons" / "MammoSynth.png") as icon:
        assert icon.size == (128, 128)
        assert icon.convert("RGBA").getpixel((0, 0))[3] == 0
