"""A breast by numbers in the viewer: sliders from the schema, a live label map, Generate; at three screen sizes."""

import json

import numpy as np
import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, open_study, wait_for, wait_until_drawn
from tests.support.server import find_series, running, stow
from tests.support.viewports import SCREENS, screenshot

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PIXEL_MM = 1.8
MOST_MS = 200
MOVES = 60
_PREVIEWED = "section[aria-labelledby=slot-breast-heading]"
# From the event of a slider to the frame that shows the picture, in ms; moves come before the last picture is there.
_LATENCIES = """async ([selector, moves]) => {
  const root = document.querySelector('mammosynth-panel').shadowRoot;
  const slider = root.querySelector(selector), canvas = root.querySelector('.previewed canvas');
  const frame = () => new Promise(requestAnimationFrame);
  const picture = () => canvas.toDataURL();
  const found = [];
  for (let move = 0; move < moves; move++) {
    const before = picture();
    slider.valueAsNumber = Number(slider.dataset.from ??= slider.value) + (move % 2 ? 0 : -0.06) - 0.0005 * move;
    const start = performance.now();
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    while (picture() === before) await frame();
    await frame();
    found.push(performance.now() - start);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exam")
    write_exam(folder, seed=3, pixel_mm=PIXEL_MM, patient_id="EXAM")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, sorted(folder.rglob("*.dcm"))).raise_for_status()
        yield it


@pytest.fixture
def panel(browser, screen, server):
    """The panel with the task chosen and the first breast drawn."""
    width, height = SCREENS[screen]
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.size = screen
    yield _open(page, server)
    context.close()


def _open(page, server):
    study = next(iter(find_series(server, "EXAM").values()))[0]
    panel = open_study(page, server, study)
    panel.locator("#model").select_option("mask")
    _wait_for_picture(panel)
    return panel


def _wait_for_picture(panel):
    panel.locator(f"{_PREVIEWED} canvas[aria-label]").wait_for()


def _picture(panel):
    return panel.locator(".previewed canvas").evaluate("canvas => canvas.toDataURL()")


def _alt(panel):
    return panel.locator(".previewed canvas").get_attribute("aria-label")


def _value(panel, name):
    return panel.locator(f"#slot-breast-{name}").input_value()


def test_a_breast_is_chosen_by_keyboard_and_generated_into_a_new_study(panel, server):
    page = panel.page
    first = _picture(panel)
    a = panel.get_by_label("A", exact=True).first
    a.focus()
    page.keyboard.press("ArrowLeft")
    assert wait_for(page, lambda: _picture(panel) != first)
    panel.get_by_role("button", name="Add malignant lesion").click()
    assert wait_for(page, lambda: "malignant lesion" in _alt(panel))
    screenshot(page, f"parametric-{page.size}")
    panel.get_by_role("button", name="Generate", exact=True).click()
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    page.goto(server.address + link.get_attribute("href"))
    page.locator("mammosynth-panel").locator("#advanced input").first.wait_for(state="attached")
    wait_until_drawn(page, 1)
    (name,) = names(page)
    assert name.startswith("SYNTHETIC mask")
    screenshot(page, f"parametric-result-{page.size}")


def test_the_picture_follows_a_slider(panel):
    found = np.array(panel.page.evaluate(_LATENCIES, ["#slot-breast-a", MOVES]))
    median, most = np.percentile(found, [50, 95])
    print(f"slider to picture at {panel.page.size}: median {median:.0f} ms, p95 {most:.0f} ms of {MOVES} moves")
    assert most < MOST_MS
