"""Lesions drawn in the viewer: exact pixels, kept with undo, stored as DICOM SEG, drawn again."""

import io

import highdicom
import numpy as np
import pydicom
import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.archives import find_orthanc, orthanc
from tests.support.server import find_series, running, stow
from tests.support.viewports import open_pair, screenshot, views

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 1.8  # 127 x 106 pixels
MARKUP = "<img src=x onerror=alert(1)>"
SOURCE = f"L CC low energy {MARKUP}"
BRUSH_MM = 18.0


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    """Files of an exam whose names are markup."""
    folder = tmp_path_factory.mktemp("exam")
    for file in write_exam(folder / "P001", seed=1, pixel_mm=PIXEL_MM, patient_id="P001"):
        image = pydicom.dcmread(file)
        image.PatientName = f"{MARKUP}^{MARKUP}"
        image.SeriesDescription += f" {MARKUP}"
        image.save_as(file)
    return folder / "P001"


@pytest.fixture(scope="module")
def server(exam, tmp_path_factory):
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, sorted(exam.rglob("*.dcm"))).raise_for_status()
        yield it


@pytest.fixture(scope="module")
def result(server):
    return server.synthesize(*find_series(server, "P001")[SOURCE])["result"]


@pytest.fixture
def new_page(browser):
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90000)
    page.on("dialog", lambda dialog: dialog.accept())
    yield page
    context.close()


@pytest.fixture(scope="module")
def page(browser, server, result):
    """One page for most tests, since opening it takes longer than they do."""
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90000)
    page.on("dialog", lambda dialog: dialog.accept())
    open_pair(page, server, find_series(server, "P001")[SOURCE], result)
    yield page
    context.close()


@pytest.fixture
def source(page, server):
    """The source's viewport with nothing drawn, in a study without segmentations that were drawn here."""
    study, _ = find_series(server, "P001")[SOURCE]
    for stored in _segmentations(server, study):
        server.request("DELETE", f"/studies/{study}/segmentations/{stored['sop_instance_uid']}")
    page.evaluate(
        """async () => {
          const { services, views } = await import('/ohif/extensions/viewer.js');
          const { existingDrawing } = await import('/ohif/extensions/lesions.js');
          for (const { sopInstanceUid } of views()) {
            const drawing = existingDrawing(sopInstanceUid);
            while (drawing?.canUndo) drawing.undo();
          }
          services().viewportGridService.setActiveViewportId(views()[0].viewportId);
          const panel = document.querySelector('mammosynth-panel').shadowRoot;
          for (const section of ['mammosynth-drawing', 'mammosynth-stored']) {
            panel.querySelector(section).replaceWith(document.createElement(section));
          }
        }"""
    )
    return views(page)[0]


def _segmentations(server, study):
    return server.get(f"/studies/{study}/segmentations").raise_for_status().json()["segmentations"]


def _drawn(page, view):
    """(H, W) uint8 label map as the page holds it."""
    values = page.evaluate(
        """async uid => {
          const { existingDrawing } = await import('/ohif/extensions/lesions.js');
          const drawing = existingDrawing(uid);
          return drawing ? Array.from(drawing.pixels) : [];
        }""",
        view.sop_instance_uid,
    )
    return np.array(values or np.zeros(view.shape), np.uint8).reshape(view.shape)


def _capsule(shape, a, b, radius):
    """Pixels whose centre is within a radius of a segment, written down in another way than the viewer's."""
    centres = np.stack(np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5), -1)
    along = np.linspace(0, 1, 2001)[:, None]
    points = np.asarray(a) + along * (np.asarray(b) - np.asarray(a))
    nearest = np.min([np.hypot(*np.moveaxis(centres - point, -1, 0)) for point in points], axis=0)
    return nearest <= radius


def _draw_rectangle(page, view, left, top, right, bottom):
    page.keyboard.press("f")
    view.drag((left, top), (right, top), (right, bottom), (left, bottom), steps=4)
    page.keyboard.press("f")


def _rectangle(view, left, top, right, bottom):
    expected = np.zeros(view.shape, bool)
    expected[top:bottom, left:right] = True
    return expected


def _save(page):
    page.get_by_role("button", name="Save to the study").click()
    page.locator("mammosynth-drawing #status", has_text="Saved:").wait_for(timeout=60000)


def _read_back(server, study):
    """The newest SEG of a study as the archive holds it, and its entry in the list."""
    entry = _segmentations(server, study)[0]
    place = f"series/{entry['series_instance_uid']}/instances/{entry['sop_instance_uid']}"
    answer = server.get(
        f"/proxy/dicom/wado/studies/{study}/{place}",
        headers={"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'},
    ).raise_for_status()
    begin = answer.content.index(b"\r\n\r\n") + 4
    end = answer.content.rindex(b"\r\n--")
    return highdicom.seg.Segmentation.from_dataset(pydicom.dcmread(io.BytesIO(answer.content[begin:end]))), entry


def test_an_outline_by_mouse_is_stored_at_the_resolution_of_the_image(page, server, source):
    study, series = find_series(server, "P001")[SOURCE]
    _draw_rectangle(page, source, 20, 30, 50, 60)
    page.locator("mammosynth-drawing .lesion select").select_option("malignant")
    page.locator("mammosynth-drawing .lesion input[type=text]").fill("Mass")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="New lesion").click()
    assert page.get_by_role("button", name="Outline", exact=True).get_attribute("aria-pressed") == "true"
    source.drag((10, 70), (20, 70), (20, 75), (10, 75), steps=4)
    page.keyboard.press("f")
    area = page.locator("mammosynth-drawing [data-area='1']").inner_text()
    screenshot(page, "drawing-two-lesions")
    _save(page)
    stored, entry = _read_back(server, study)
    assert (stored.Rows, stored.Columns) == source.shape
    assert [segment.SegmentLabel for segment in stored.SegmentSequence] == ["Mass", "Lesion 2"]
    frames = stored.get_pixels_by_source_instance([source.sop_instance_uid], combine_segments=True)[0]
    expected = np.zeros(source.shape)
    expected[30:60, 20:50] = 1  # the mouse is a screen pixel off at most, 0.2 pixels of the image
    expected[70:75, 10:20] = 2
    np.testing.assert_array_equal(frames, expected)
    assert [segment["lesion_class"] for segment in entry["segments"]] == ["malignant", None]
    assert entry["source_series_instance_uid"] == series
    assert entry["segments"][0]["area_mm2"] == pytest.approx(900 * PIXEL_MM**2, rel=0.1)  # less the magnification
    assert area == f"{entry['segments'][0]['area_mm2']:.1f} mm²"


def test_a_fast_brush_stroke_has_no_gaps_and_the_eraser_takes_back_what_it_touches(page, source):
    brush = page.locator("mammosynth-drawing #size")
    brush.fill(str(BRUSH_MM))
    page.keyboard.press("b")
    source.drag((25, 40), (85, 75), steps=1)
    drawn = _drawn(page, source)
    assert page.locator("mammosynth-drawing #size-mm").inner_text() == "18"
    spacing = page.evaluate(
        "async uid => { const { row } = (await import('/ohif/extensions/lesions.js')).existingDrawing(uid).spacing;"
        " return row; }",
        source.sop_instance_uid,
    )
    expected = _capsule(source.shape, (25, 40), (85, 75), BRUSH_MM / 2 / spacing)
    assert np.count_nonzero(drawn.astype(bool) ^ expected) <= 0.03 * expected.sum()  # a mouse pixel off on the rim
    screenshot(page, "drawing-brush")
    page.keyboard.press("e")
    source.drag((55, 45), (55, 75), steps=1)
    erased = _drawn(page, source)
    gone = _capsule(source.shape, (55, 45), (55, 75), BRUSH_MM / 2 / spacing)
    assert not erased[_capsule(source.shape, (55, 45), (55, 75), BRUSH_MM / 2 / spacing - 0.3)].any()
    np.testing.assert_array_equal(erased[~gone & expected], drawn[~gone & expected])
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(_drawn(page, source), drawn)
    page.keyboard.press("Control+z")
    assert not _drawn(page, source).any()
    page.keyboard.press("Control+Shift+Z")
    page.keyboard.press("Control+Shift+Z")
    np.testing.assert_array_equal(_drawn(page, source), erased)


def test_drawing_does_not_move_the_window_or_enlarge_the_viewport(page, source):
    before = page.inner_text("body").count("W:"), source.colours(screenshot(page))
    page.keyboard.press("b")
    source.drag((90, 10), (95, 20), steps=5)
    page.mouse.dblclick(*source.at(92, 15))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("b")
    page.mouse.move(5, 5)
    assert page.inner_text("body").count("W:") == before[0] == 2
    np.testing.assert_array_equal(source.colours(screenshot(page)), before[1])


def test_positions_hold_when_the_image_is_turned_mirrored_zoomed_and_moved(page, source):
    off = page.evaluate(
        """async id => {
          const { cornerstone, services } = await import('/ohif/extensions/viewer.js');
          const { imageToCanvas } = await import('/ohif/extensions/overlay.js');
          const viewport = services().cornerstoneViewportService.getCornerstoneViewport(id);
          const before = viewport.getViewPresentation();
          viewport.setViewPresentation({ ...before, rotation: 90, flipHorizontal: true, zoom: 1.7, pan: [31, -12] });
          const matrix = imageToCanvas(viewport);
          const { imageToWorldCoords } = cornerstone().cornerstone.utilities;
          const off = [[0, 0], [106, 0], [0, 127], [40.5, 70.25]].map(([x, y]) => {
            const ours = matrix.transformPoint(new DOMPoint(x, y));
            const [left, top] = viewport.worldToCanvas(imageToWorldCoords(viewport.getCurrentImageId(), [x, y]));
            return Math.hypot(ours.x - left, ours.y - top);
          });
          const turned = Math.abs(matrix.b) > 10 * Math.abs(matrix.a);
          viewport.setViewPresentation(before);
          viewport.render();
          return { turned, most: Math.max(...off) };
        }""",
        source.viewport_id,
    )
    assert off["turned"]
    assert off["most"] < 0.01


def test_keys_are_text_while_a_lesion_is_named(page, source):
    _draw_rectangle(page, source, 20, 30, 40, 40)
    name = page.locator("mammosynth-drawing .lesion input[type=text]")
    name.fill("")
    name.press_sequentially("bef 12?")
    page.keyboard.press("Tab")
    assert name.input_value() == "bef 12?"
    assert page.locator("mammosynth-drawing [data-tool][aria-pressed=true]").count() == 0
    assert page.locator("dialog[open]").count() == 0
    page.locator("mammosynth-drawing .lesion").get_by_role("button").click()
    assert not _drawn(page, source).any()


def test_what_was_saved_is_drawn_again_by_another_page_and_can_be_edited(page, server, source, result, new_page):
    place = find_series(server, "P001")[SOURCE]
    _draw_rectangle(page, source, 20, 30, 50, 60)
    page.locator("mammosynth-drawing .lesion select").select_option("benign")
    _save(page)
    page = new_page
    view, _ = open_pair(page, server, place, result)
    page.locator("mammosynth-drawing .lesion").wait_for(timeout=60000)
    np.testing.assert_array_equal(_drawn(page, view), _rectangle(view, 20, 30, 50, 60))
    assert page.locator("mammosynth-drawing .lesion select").input_value() == "benign"
    assert not page.get_by_text("Not saved yet").is_visible()
    inside = screenshot(page, "drawing-on-opening")[round(view.at(35, 45)[1]), round(view.at(35, 45)[0])].astype(int)
    assert inside[0] > inside[2] + 20, "the lesion should be tinted orange"
    _draw_rectangle(page, view, 50, 30, 60, 60)
    _save(page)
    before = _segmentations(server, place[0])
    assert [item["segments"][0]["lesion_class"] for item in before[:2]] == ["benign", "benign"]
    page.get_by_role("button", name="Delete Lesion 1 (benign)").first.click()
    page.locator("mammosynth-stored #status", has_text="Deleted").wait_for(timeout=60000)
    assert _segmentations(server, place[0]) == before[1:]


def test_it_is_said_of_every_step_back_and_forth_whether_the_study_holds_it(page, source):
    unsaved, save = page.get_by_text("Not saved yet"), page.get_by_role("button", name="Save to the study")

    def says_saved():
        assert unsaved.is_hidden() is save.is_disabled()
        return unsaved.is_hidden()

    _draw_rectangle(page, source, 20, 30, 50, 60)
    assert not says_saved()
    _save(page)
    assert says_saved()
    _draw_rectangle(page, source, 60, 30, 70, 60)
    assert not says_saved()
    page.keyboard.press("Control+z")
    np.testing.assert_array_equal(_drawn(page, source), _rectangle(source, 20, 30, 50, 60))
    screenshot(page, "drawing-undo-to-saved")
    assert says_saved()
    page.keyboard.press("Control+Shift+Z")
    assert not says_saved()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    assert not _drawn(page, source).any()
    assert says_saved(), "nothing is drawn, so nothing could be lost"
    page.keyboard.press("Control+Shift+Z")
    assert says_saved()
    page.get_by_role("button", name="Delete Lesion 1").last.click()
    page.locator("mammosynth-stored #status", has_text="Deleted").wait_for(timeout=60000)
    assert not says_saved()
    _save(page)
    assert says_saved()


def test_a_drawing_is_kept_while_another_image_is_looked_at_and_warns_before_the_page_is_left(page, source):
    _draw_rectangle(page, source, 20, 30, 50, 60)
    other = page.locator(".cornerstone-canvas").nth(1).bounding_box()
    page.mouse.click(other["x"] + other["width"] / 2, other["y"] + other["height"] / 2)
    about = page.locator("mammosynth-drawing #image")
    about.filter(has_text="contrast").wait_for(timeout=20000)
    assert page.locator("mammosynth-drawing .lesion").count() == 0
    page.mouse.click(*source.at(80, 20))
    about.filter(has_text="low energy").wait_for(timeout=20000)
    assert page.locator("mammosynth-drawing .lesion").count() == 1
    assert page.get_by_text("Not saved yet").is_visible()
    asked = page.evaluate(
        "() => !window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    )  # what makes the browser ask
    assert asked


def _seg_of(image, mask):
    """A SEG as another tool would write it."""
    description = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=f"Elsewhere {MARKUP}",
        segmented_property_category=highdicom.sr.CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure"),
        segmented_property_type=highdicom.sr.CodedConcept("52988006", "SCT", "Lesion"),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    return highdicom.seg.Segmentation(
        source_images=[image],
        pixel_array=mask[None].astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[description],
        series_instance_uid=highdicom.UID(),
        series_number=900,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="Another",
        manufacturer_model_name="Tool",
        software_versions="1",
        device_serial_number="1",
    )


def test_a_seg_made_elsewhere_can_be_uploaded_and_another_file_is_refused_in_words(
    page,
    source,
    exam,
    tmp_path,
):
    files = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): file for file in exam.rglob("*.dcm")}
    mask = _rectangle(source, 30, 40, 45, 50)
    _seg_of(pydicom.dcmread(files[source.sop_instance_uid]), mask).save_as(tmp_path / "elsewhere.dcm")
    chooser = page.locator("mammosynth-stored #file")
    chooser.set_input_files(tmp_path / "elsewhere.dcm")
    page.locator("mammosynth-stored #status", has_text="Stored: Elsewhere").wait_for(timeout=60000)
    page.get_by_role("button", name="Load Elsewhere").click()
    page.locator("mammosynth-stored #status", has_text="Loaded").wait_for(timeout=60000)
    np.testing.assert_array_equal(_drawn(page, source), mask)
    assert page.locator("mammosynth-drawing .lesion input[type=text]").input_value() == f"Elsewhere {MARKUP}"
    for section in ("stored #stored", "drawing #image", "compare #about"):
        assert MARKUP in page.locator(f"mammosynth-{section}").inner_text()
    assert page.locator("img[src=x]").count() == 0, "a name became an element"
    screenshot(page, "drawing-names-of-markup")
    chooser.set_input_files(files[source.sop_instance_uid])
    error = page.locator("mammosynth-stored #error")
    error.wait_for(timeout=60000)
    assert "expected a DICOM Segmentation" in error.inner_text()


def test_lesions_are_stored_in_orthanc(new_page, exam, tmp_path):
    page = new_page
    if find_orthanc() is None:
        pytest.skip("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    with orthanc(tmp_path / "orthanc") as url, running(tmp_path / "data", "--studies", url) as it:
        stow(it, sorted(exam.rglob("*.dcm"))).raise_for_status()
        place = find_series(it, "P001")[SOURCE]
        view, _ = open_pair(page, it, place, it.synthesize(*place)["result"])
        _draw_rectangle(page, view, 20, 30, 50, 60)
        _save(page)
        stored, _ = _read_back(it, place[0])
        frame = stored.get_pixels_by_source_instance([view.sop_instance_uid], combine_segments=True)[0]
        np.testing.assert_array_equal(frame, _rectangle(view, 20, 30, 50, 60))
        page.keyboard.press("Control+z")
        page.get_by_role("button", name="Load Lesion 1").click()
        page.locator("mammosynth-stored #status", has_text="Loaded").wait_for(timeout=60000)
        np.testing.assert_array_equal(_drawn(page, view), _rectangle(view, 20, 30, 50, 60))
        page.get_by_role("button", name="Delete Lesion 1").last.click()
        page.locator("mammosynth-stored #status", has_text="Deleted").wait_for(timeout=60000)
        assert _segmentations(it, place[0]) == []
