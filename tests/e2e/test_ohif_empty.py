"""Empty states of the panel: where there is nothing to see or to do, it says what to do."""

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLosslessSV1, SecondaryCaptureImageStorage, generate_uid

from tests.support.ohif import open_study, shot
from tests.support.server import find_series, stow

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TOAST = "[data-sonner-toast]"
OHIF_WAITS_MS = 500  # longer than it takes OHIF to say that nobody handles an error: a timer of 100 ms
# An image that no viewport shows is asked for as viewports do, which leaves the error of its request to nobody.
_FAIL_UNSEEN = """async () => {
  const { cornerstone, views } = await import('/ohif/extensions/viewer.js');
  const unknown = views()[0].imageId.replace(/instances\\/[^/]+/, 'instances/1.2.3');
  cornerstone().cornerstone.imageLoader.loadImage(unknown, { retrieveOptions: { streaming: true } });
}"""


@pytest.fixture
def study(exam_server):
    return find_series(exam_server, "EXAM")["L CC low energy"][0]


def test_a_study_in_which_nothing_was_done_says_how_to_begin_everything(page, exam_server, study):
    panel = open_study(page, exam_server, study)
    panel.get_by_text("Nothing was generated in this study yet. Press Generate above.").wait_for()
    panel.get_by_text("Nothing to compare on the screen. Generate, or press Show in the history").wait_for()
    panel.get_by_text("None yet. Draw above and press Save to the study, or upload one.").wait_for()
    nothing = panel.get_by_text("Nothing is drawn on this image. Press New lesion, and draw around it.")
    nothing.wait_for()
    panel.get_by_role("button", name="New lesion").click()
    nothing.wait_for(state="hidden")
    assert panel.get_by_role("button", name="Outline", exact=True).get_attribute("aria-pressed") == "true"


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080), (2560, 1440)])
def test_generate_is_in_sight_before_anything_is_scrolled(page, exam_server, study, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    panel = open_study(page, exam_server, study)
    button = panel.get_by_role("button", name="Generate", exact=True)
    box = button.bounding_box()
    assert box["y"] + box["height"] <= size[1]
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).tagName", [box["x"] + 5, box["y"] + 5]) == (
        "MAMMOSYNTH-PANEL"
    )


def test_a_server_without_models_says_how_to_add_one(page, exam_server, study):
    page.route("**/info/", lambda route: route.fulfill(json={**route.fetch().json(), "models": {}}))
    page.goto(f"{exam_server.address}/ohif/synthesis?StudyInstanceUIDs={study}")
    panel = page.locator("mammosynth-panel")
    panel.get_by_text("This server has no model, so nothing can be generated.").wait_for()
    assert panel.get_by_role("link", name="how to add one").get_attribute("href").endswith("how-to/add-a-model.html")
    assert panel.get_by_role("button", name="Generate", exact=True).is_disabled()


def test_an_image_that_cannot_be_shown_says_why_where_it_would_hang_and_only_there(page, exam_server, tmp_path):
    page.goto(f"{exam_server.address}/ohif/synthesis?StudyInstanceUIDs={_undecodable(exam_server, tmp_path)}")
    label = page.locator(".mammosynth-label").first
    label.get_by_text("This image cannot be shown. The instance: (7FE0,0010) Pixel Data cannot be decoded").wait_for()
    assert "the image is truncated or damaged, fetch it again." in label.inner_text()
    page.wait_for_timeout(OHIF_WAITS_MS)
    assert page.locator(TOAST).count() == 0
    shot(page, "unshown", exam_server)
    page.evaluate("() => { Promise.reject(new Error('of something else')); }")
    page.locator(TOAST, has_text="Something went wrong").wait_for()


def test_an_image_that_fails_where_no_viewport_can_say_it_is_told_by_ohif(page, exam_server, study):
    open_study(page, exam_server, study)
    page.evaluate(_FAIL_UNSEEN)
    page.locator(TOAST, has_text="Something went wrong").wait_for()


def test_a_study_without_mammograms_says_where_to_go(page, exam_server, tmp_path):
    page.goto(f"{exam_server.address}/ohif/synthesis?StudyInstanceUIDs={_photograph(exam_server, tmp_path)}")
    panel = page.locator("mammosynth-panel")
    panel.get_by_text("This study holds no mammogram (MG) to start from.").wait_for()
    panel.get_by_text("Choose a viewport that shows a mammogram to draw on it.").wait_for()


def _photograph(server, tmp_path):
    """Study UID of an image that is no mammogram, stored in the archive."""
    image = _of_another_study(server)
    image.Modality, image.SOPClassUID = "XC", SecondaryCaptureImageStorage
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.PatientID = "PHOTOGRAPH"
    return _stored(server, image, tmp_path / "photograph.dcm")


def _undecodable(server, tmp_path):
    """Study UID of a mammogram whose pixels are no such thing as its header says, stored in the archive."""
    image = _of_another_study(server)
    image.PatientID = "UNDECODABLE"
    image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    image.PixelData = encapsulate([b"no picture at all"])
    image["PixelData"].is_undefined_length = True
    return _stored(server, image, tmp_path / "undecodable.dcm")


def _of_another_study(server):
    image = pydicom.dcmread(next((server.data_dir / "studies").rglob("*.dcm")))
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = (generate_uid() for _ in range(3))
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return image


def _stored(server, image, file):
    image.save_as(file)
    stow(server, [file]).raise_for_status()
    return image.StudyInstanceUID
