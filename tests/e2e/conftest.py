"""One server over each kind of archive, holding three patients: demo exam, two views in one series, CEM pairs."""

from collections.abc import Iterator

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.archives import ARCHIVES
from tests.support.ohif import CHROMIUM, FLAGS
from tests.support.processes import refuse_unless_marked
from tests.support.server import Server, running, running_over, stow
from tests.support.shared import made_once
from tests.support.viewports import clean_page, watched_page

PIXEL_MM = 1.8  # 127 x 106 pixels


@pytest.fixture(scope="session")
def exams(tmp_path_factory):
    """Folders of DICOM files by patient; not to be changed."""
    return made_once(tmp_path_factory, "exams", _write_exams)


def _write_exams(folder):
    write_exam(folder / "P001", seed=1, pixel_mm=PIXEL_MM, patient_id="P001")
    write_exam(folder / "P002", seed=2, pixel_mm=PIXEL_MM, patient_id="P002", one_series=True)
    write_exam(folder / "P003", seed=3, pixel_mm=PIXEL_MM, patient_id="P003", include_recombined=True)
    write_exam(folder / "P004", seed=4, pixel_mm=PIXEL_MM, patient_id="P004", include_recombined=True)


@pytest.fixture(scope="session", params=ARCHIVES)
def server(request, exams, tmp_path_factory) -> Iterator[Server]:
    """`mammosynth serve` with the exams stored through its own STOW-RS."""
    with running_over(request.param, tmp_path_factory.mktemp(f"server-{request.param}")) as it:
        _fill(it, exams)
        yield it


def _fill(server: Server, exams) -> None:
    for patient in sorted(exams.iterdir()):
        answer = stow(server, sorted(patient.rglob("*.dcm")))
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def exam_server(tmp_path_factory) -> Iterator[Server]:
    """`mammosynth serve` with one exam of a patient EXAM; each file of tests has its own, to change as it likes."""
    files = write_exam(tmp_path_factory.mktemp("exam"), seed=3, pixel_mm=PIXEL_MM, patient_id="EXAM")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, files).raise_for_status()
        yield it


@pytest.fixture(scope="package")
def browser(tmp_path_factory):
    """One Chromium for all tests of the package: while it lives, nothing else in this process may run an event loop."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    refuse_unless_marked()
    with sync_playwright() as playwright:
        folder = tmp_path_factory.mktemp("profile")
        profile = playwright.chromium.launch_persistent_context(folder, executable_path=CHROMIUM, args=FLAGS)
        yield profile.browser
        profile.close()


@pytest.fixture(scope="module")
def screen(request):
    """The smallest size of the screen, but for tests marked `at_every_size`."""
    return getattr(request, "param", "1280x800")


@pytest.fixture
def sized_page(browser, screen):
    """A page of the screen's size that remembers nothing of other tests."""
    page = watched_page(browser, screen)
    yield page
    page.close()


@pytest.fixture
def nothing_went_wrong(page):
    """Neither an error in the console nor a toast, whatever a test does; for a `watched_page`."""
    page.faults.clear()
    yield
    assert page.faults == [], "\n".join(page.faults)


@pytest.fixture
def page(browser):
    page = clean_page(browser, 1600, 900)
    yield page
    page.close()
