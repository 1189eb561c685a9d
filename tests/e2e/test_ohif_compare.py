"""A pair compared in the viewer: mixed, subtracted, swiped, in step with zoom and window."""

import numpy as np
import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.accessibility import accessibility_faults
from tests.support.ohif import wait_for
from tests.support.server import find_series, retrieve, running, stow
from tests.support.viewports import open_pair, screenshot, views

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SOURCE = "L CC low energy"
NEUTRAL = 64
CLOSE = 3.0  # grey levels: both viewports round the same position to other screen pixels


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exam")
    write_exam(folder / "P001", seed=1, pixel_mm=1.8, patient_id="P001")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, sorted(folder.rglob("*.dcm"))).raise_for_status()
        yield it


@pytest.fixture(scope="module")
def page(browser, server):
    """One page for all tests, since opening it takes longer than they do."""
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90000)
    place = find_series(server, "P001")[SOURCE]
    open_pair(page, server, place, server.synthesize(*place)["result"])
    yield page
    context.close()


@pytest.fixture
def pair(page):
    """Both viewports, as they are after opening."""
    page.keyboard.press("1")
    _slide(page, "opacity", 50)
    _slide(page, "position", 50)
    _do(page, "for (const it of [source, synthesized]) { it.resetProperties(); it.resetCamera(); it.render(); }")
    _settle(page)
    source, synthesized = views(page)
    return source, synthesized


def _slide(page, name, value):
    page.locator(f"mammosynth-compare #{name}").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", str(value)
    )


def _do(page, body):
    """Run JavaScript with cornerstone's viewports of the pair as `source` and `synthesized`."""
    return page.evaluate(
        """async () => {
          const viewer = await import('/ohif/extensions/viewer.js');
          const { Comparison } = await import('/ohif/extensions/comparison.js');
          const { cornerstoneViewportService } = viewer.services();
          const of = view => cornerstoneViewportService.getCornerstoneViewport(view.viewportId);
          const hung = viewer.pair();
          const [source, synthesized] = [of(hung.source), of(hung.synthesized)];
          BODY
        }""".replace("BODY", body)
    )


def _settle(page):
    """Wait until both viewports and what lies over them are drawn."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_a_swipe_shows_the_synthesized_image_left_of_the_divider(page, pair):
    source, synthesized = pair
    shot = screenshot(page)
    original, expected = source.colours(shot), synthesized.colours(shot)
    assert np.abs(original - expected).mean() > 10
    page.keyboard.press("4")
    _slide(page, "position", 100)
    assert np.abs(source.colours(screenshot(page)) - expected).mean() < CLOSE
    _slide(page, "position", 0)
    np.testing.assert_array_equal(source.colours(screenshot(page)), original)
    _slide(page, "position", 30)
    screenshot(page, "compare-swipe")
    page.keyboard.press("1")
    np.testing.assert_array_equal(source.colours(screenshot(page)), original)
    assert page.locator(".mammosynth-comparison, .mammosynth-divider, .mammosynth-caption").count() == 0


def test_a_swipe_begins_in_the_middle_of_the_breast_and_stays_where_a_person_puts_it(page, server):
    place = find_series(server, "P001")[SOURCE]
    source, _ = open_pair(page, server, place, server.synthesize(*place)["result"])
    page.keyboard.press("4")
    columns = _breast_columns(server, place, source.sop_instance_uid)
    assert wait_for(page, lambda: abs(_divider(page) - source.at(columns / 2, 0)[0]) < 8, 10)
    screenshot(page, "compare-swipe-begins")
    _do(page, "source.setZoom(3); source.setPan([0, 0]); source.render();")
    _settle(page)
    assert source.box[0] + 20 < _divider(page) < source.box[2] - 20
    _slide(page, "position", 80)
    _do(page, "source.setZoom(1); source.render();")
    _settle(page)
    assert page.locator(".mammosynth-divider").get_attribute("aria-valuenow") == "80"


def _divider(page):
    """Where on the screen the line of the swipe is."""
    box = page.locator(".mammosynth-divider").bounding_box()
    return box["x"] + box["width"] / 2


def _breast_columns(server, place, instance):
    """How many columns a left breast covers, nipple included: where a tenth of the rows are no air, found by numpy."""
    pixels = retrieve(server, *place, instance).pixel_array.astype(float)
    return int(((pixels > 0.05 * pixels.max()).mean(axis=0) > 0.1).sum())


def test_the_divider_moves_with_mouse_and_arrow_keys_and_leaves_the_window_alone(page, pair):
    source, _ = pair
    windows = "return JSON.stringify([source.getProperties().voiRange, synthesized.getProperties().voiRange])"
    before = _do(page, windows)
    page.keyboard.press("4")
    divider = page.locator(".mammosynth-divider")
    assert divider.evaluate("element => element === document.activeElement")
    page.keyboard.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "52"
    page.keyboard.press("Home")
    assert page.locator("mammosynth-compare #position").input_value() == "0"
    box = divider.bounding_box()
    canvas = page.locator(".cornerstone-canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 300)
    page.mouse.down()
    page.mouse.move(canvas["x"] + 0.75 * canvas["width"], box["y"] + 400, steps=3)
    page.mouse.up()
    assert divider.get_attribute("aria-valuenow") == "75"
    assert _do(page, windows) == before


def test_an_overlay_mixes_both_and_stays_aligned_when_zoomed_and_moved(page, pair):
    page.keyboard.press("2")
    _slide(page, "opacity", 0)
    _do(page, "source.setZoom(2.2); source.setPan([40, -60]); source.render();")
    _settle(page)
    source, synthesized = views(page)
    assert np.linalg.norm(source.last - source.first) > 1.9 * np.linalg.norm(pair[0].last - pair[0].first)
    shot = screenshot(page)
    original, expected = (_crop(shot, view, source, synthesized) for view in (source, synthesized))
    _slide(page, "opacity", 50)
    mixed = _crop(screenshot(page, "compare-overlay-zoomed"), source, source, synthesized)
    assert np.abs(original - expected).mean() > 10
    assert np.abs(mixed - (original + expected) / 2).mean() < CLOSE
    _slide(page, "opacity", 100)
    page.keyboard.press("o")
    np.testing.assert_array_equal(_crop(screenshot(page), source, source, synthesized), original)
    page.keyboard.press("o")
    assert np.abs(_crop(screenshot(page), source, source, synthesized) - expected).mean() < CLOSE


def _crop(shot, view, source, synthesized):
    """What a view shows at image positions that are on the screen in both, away from panels and captions."""
    places = []
    for y in np.linspace(0, source.shape[0], 60):
        for x in np.linspace(0, source.shape[1], 60):
            here, there = source.at(x, y), synthesized.at(x, y)
            if 300 < here[0] < 700 and 150 < here[1] < 750 and 150 < there[1] < 750:
                places.append(view.at(x, y))
    assert len(places) > 100
    return np.array([shot[round(y), round(x)] for x, y in places], np.float32)


def test_an_overlay_follows_the_window_of_the_synthesized_image(page, pair):
    source, synthesized = pair
    page.keyboard.press("2")
    _slide(page, "opacity", 100)
    dark = source.colours(screenshot(page))
    _do(page, "synthesized.setProperties({ voiRange: { lower: 0, upper: 30000 } }); synthesized.render();")
    _settle(page)
    shot = screenshot(page)
    bright = source.colours(shot)
    assert bright.mean() > dark.mean() + 10
    assert np.abs(bright - synthesized.colours(shot)).mean() < CLOSE


def test_the_difference_of_an_image_with_itself_is_neutral(page, pair):
    source, _ = pair
    _do(page, "window.kept = new Comparison(source, source, { mode: 'difference', range: 32 });")
    colours = source.colours(screenshot(page))
    np.testing.assert_array_equal(colours, np.full_like(colours, NEUTRAL))
    _do(page, "window.kept.remove();")
    assert source.colours(screenshot(page)).std() > 10


def test_the_difference_is_blue_where_darker_and_orange_where_brighter(page, pair):
    source, synthesized = pair
    shot = screenshot(page)
    difference = (synthesized.colours(shot) - source.colours(shot))[:, 0]
    page.keyboard.press("3")
    page.locator("mammosynth-compare #range").select_option("64")
    colours = source.colours(screenshot(page, "compare-difference"))
    share = np.clip(difference / 64, -1, 1)[:, None]
    ends = np.where(share < 0, [[77, 166, 255]], [[255, 140, 26]])
    expected = NEUTRAL + np.abs(share) * (ends - NEUTRAL)
    assert np.count_nonzero(difference < -20) > 20
    assert np.abs(colours - expected).mean() < 3 * CLOSE  # a grey level is up to three of the colours
    assert page.locator("mammosynth-compare #lowest").inner_text() == "-64"


def test_the_keys_are_listed_and_leave_the_windows_alone(page, pair):
    windows = "return JSON.stringify([source.getProperties().voiRange, synthesized.getProperties().voiRange])"
    before = _do(page, windows)
    for key in "1234":
        page.keyboard.press(key)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    dialog.wait_for(timeout=20000)
    screenshot(page, "compare-shortcuts")
    listed = dialog.locator("th").all_inner_texts()
    assert listed == [
        "1",
        "2",
        "3",
        "4",
        "o",
        "u",
        "?",
        "f",
        "b",
        "e",
        "m",
        "x",
        "[",
        "]",
        "Ctrl+z",
        "Ctrl+Shift+z or Ctrl+y",
    ]
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached", timeout=20000)
    assert _do(page, windows) == before


def test_a_comparison_ends_when_the_pair_no_longer_hangs(page, pair):
    page.keyboard.press("3")
    assert page.locator(".mammosynth-comparison").count() == 1
    _do(
        page,
        """viewer.services().viewportGridService.setDisplaySetsForViewports([{
             viewportId: hung.synthesized.viewportId,
             displaySetInstanceUIDs: [hung.source.displaySet.displaySetInstanceUID] }]);""",
    )
    page.locator(".mammosynth-comparison").wait_for(state="detached", timeout=20000)
    page.locator("mammosynth-compare #modes:disabled").wait_for(timeout=20000)
    assert page.locator(".mammosynth-comparison").count() == 0


def test_a_result_without_uncertainty_says_so_and_how_to_get_one(browser, server):
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.set_default_timeout(90000)
    place = find_series(server, "P001")["R MLO low energy"]
    open_pair(page, server, place, server.synthesize(*place)["result"])
    panel = page.locator("mammosynth-panel")
    button = panel.get_by_role("button", name="Uncertainty", exact=True)
    why = panel.locator("mammosynth-compare #no-uncertainty")
    assert button.is_disabled()
    was_not_made = "No uncertainty was made with this result, or it was deleted."
    assert why.inner_text() == f"{was_not_made} To get it, tick Uncertainty above and press Generate."
    assert accessibility_faults(page, "mammosynth-panel") == []
    why.scroll_into_view_if_needed()
    screenshot(page, "compare-without-uncertainty")
    panel.locator("#model").select_option("mask")
    assert why.inner_text() == f"{was_not_made} The model that is chosen above gives none."
    panel.locator("#model").select_option("contrast")
    panel.get_by_label("Uncertainty", exact=True).check()
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    assert wait_for(page, button.is_enabled)
    assert not why.is_visible()
    context.close()
