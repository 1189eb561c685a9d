"""The Slicer module against the live server, over each kind of archive: its logic on Slicer's MRML, and its panel."""

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.archives import ARCHIVES
from tests.support.server import running, running_over, stow
from tests.support.slicer import PYTHON, run_unittest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 1.8  # 127 x 106 pixels


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exam")
    write_exam(folder / "P001", seed=1, pixel_mm=PIXEL_MM, patient_id="P001")
    write_exam(folder / "P003", seed=3, pixel_mm=PIXEL_MM, patient_id="P003", include_recombined=True)
    return folder


@pytest.fixture(scope="module", params=ARCHIVES)
def environment(request, exam, toy, tmp_path_factory):
    """Where the tests find server and files; a server of its own, since they store what other tests would count."""
    if not PYTHON.is_file():
        pytest.skip("Slicer's core is not installed: make slicer-venv")
    folder = tmp_path_factory.mktemp(f"slicer-{request.param}")
    toy.install(folder / "data")
    with running_over(request.param, folder, environment=toy.environment) as server:
        yield _filled(server, exam)


def _filled(server, exam):
    assert stow(server, sorted(exam.rglob("*.dcm"))).status_code == 200
    return {"MAMMOSYNTH_SERVER": server.address, "MAMMOSYNTH_EXAM": str(exam / "P001")}


@pytest.mark.parametrize("name", ["ClientTestCase", "LogicTestCase", "panel.LivePanelTestCase"])
def test_module_works_with_the_live_server(name, environment):
    run_unittest(name, environment)


def test_a_server_with_a_token_is_asked_with_it(tmp_path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("sixteen-letters-at-least")
    with running(tmp_path / "data", "--token-file", str(token)) as server:
        run_unittest("with_token", {"MAMMOSYNTH_SERVER": server.address, "MAMMOSYNTH_TOKEN": token.read_text()})
