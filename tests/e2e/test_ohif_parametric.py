"""A breast by numbers in the viewer: sliders from the schema, a live label map, Generate."""

import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from tests.support.accessibility import accessibility_faults
from tests.support.ohif import names, open_study, wait_for, wait_until_drawn
from tests.support.server import study_of
from tests.support.viewports import at_every_size, screenshot, views

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MOST_MS = 200
MOVES = 60
ROUNDS = 4
"""What else the machine does only makes a round slower, so that the best one counts."""
_PREVIEWED = "section[aria-labelledby=slot-breast-heading]"
# Suggestions are the same each time.
_SEEDED = """() => {
  let seed = 0;
  crypto.getRandomValues = array => array.fill(++seed);
}"""
# From the event of a slider to the frame that shows another picture, in ms.
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
def server(exam_server):
    return exam_server


@pytest.fixture
def panel(sized_page, server):
    """The panel with the task chosen and the first breast drawn."""
    return _open(sized_page, server)


def _open(page, server):
    panel = open_study(page, server, study_of(server, "EXAM"))
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
    panel.get_by_label("A", exact=True).first.focus()
    page.keyboard.press("ArrowLeft")
    assert wait_for(page, lambda: _picture(panel) != first)
    panel.get_by_role("button", name="Add malignant lesion").click()
    assert wait_for(page, lambda: "malignant lesion" in _alt(panel))
    screenshot(page, f"parametric-{page.size}")
    with page.expect_request(lambda request: request.url.endswith("/synthesis")) as ordered:
        panel.get_by_role("button", name="Generate", exact=True).click()
    breast = json.loads(ordered.value.post_data)["inputs"]["breast"]
    assert (breast["a"], len(breast["lesions"])) == (pytest.approx(float(_value(panel, "a")), abs=1e-4), 1)
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    page.goto(server.address + link.get_attribute("href"))
    _wait_for_picture(page.locator("mammosynth-panel"))  # of the same task, with the same breast
    assert "malignant lesion" in _alt(page)
    wait_until_drawn(page, 1)
    (name,) = names(page)
    assert name.startswith("SYNTHETIC mask")
    assert page.locator(".cornerstone-canvas").count() == 1
    study = parse_qs(urlsplit(page.url).query)["StudyInstanceUIDs"][0]
    labels = server.get(f"/studies/{study}/segmentations").json()["segmentations"]
    assert "malignant lesion" in [each["label"] for each in labels[0]["segments"]]
    screenshot(page, f"parametric-result-{page.size}")


def test_view_side_parts_and_lesions_come_and_go(panel):
    page = panel.page
    page.evaluate(_SEEDED)  # of random lesions, some could not be moved to where this moves one
    assert panel.get_by_label("With pectoral muscle").count() == 0
    panel.locator("#slot-breast-view_position").select_option("MLO")
    assert wait_for(page, lambda: "pectoral muscle" in _alt(panel))
    before = _picture(panel)
    panel.locator("#slot-breast-image_laterality").select_option("R")
    assert wait_for(page, lambda: _picture(panel) != before)
    panel.get_by_role("button", name="Random").click()
    assert wait_for(page, lambda: panel.locator(".said").inner_text() == "Random: done.")
    assert (_value(panel, "view_position"), _value(panel, "image_laterality")) == ("MLO", "R")
    for name in ("benign", "malignant"):
        panel.get_by_role("button", name=f"Add {name} lesion").click()
        assert wait_for(page, lambda name=name: f"{name} lesion" in _alt(panel))
    before = _picture(panel)
    panel.get_by_label("X, exactly").last.fill("0.12")
    page.keyboard.press("Tab")
    assert wait_for(page, lambda: _picture(panel) != before)
    panel.get_by_role("button", name="Remove lesion 1").scroll_into_view_if_needed()
    screenshot(page, f"parametric-lesions-{page.size}")
    panel.get_by_role("button", name="Remove lesion 1").click()
    assert wait_for(page, lambda: "benign" not in _alt(panel))
    assert "malignant lesion" in _alt(panel)
    panel.get_by_label("With fibroglandular").uncheck()
    assert wait_for(page, lambda: "fibroglandular" not in _alt(panel))
    panel.get_by_label("With fibroglandular").check()
    assert wait_for(page, lambda: "fibroglandular" in _alt(panel))
    panel.locator("#slot-breast-view_position").select_option("CC")
    assert wait_for(page, lambda: "pectoral muscle" not in _alt(panel))
    assert not panel.locator(".previewed .error").is_visible()


def test_what_is_pressed_while_another_is_under_way_is_done_too(panel):
    page = panel.page
    page.evaluate(_SEEDED)
    panel.evaluate(
        """({ shadowRoot: root }) => {
          const [, , benign, malignant] = root.querySelectorAll('.previewed [role=group] button');
          const slider = root.querySelector('#slot-breast-phi');
          benign.click();
          malignant.click();
          slider.valueAsNumber = -5;
          slider.dispatchEvent(new Event('input', { bubbles: true }));
        }"""
    )
    assert wait_for(page, lambda: "benign lesion" in _alt(panel) and "malignant lesion" in _alt(panel), 10)
    assert _value(panel, "phi") == "-5"


def test_what_is_impossible_is_said_and_not_sent_and_median_begins_anew(panel):
    page = panel.page
    error = panel.locator(".previewed .error")
    panel.locator("#slot-breast-x0").fill("0.9")
    error.filter(has_text="The nipple lies").wait_for()
    screenshot(page, f"parametric-error-{page.size}")
    orders = []
    page.on("request", lambda request: request.url.endswith("/synthesis") and orders.append(request))
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.locator("form > .error").filter(has_text="Breast: The nipple lies").wait_for()
    panel.get_by_label("A, exactly").first.fill("7")
    page.keyboard.press("Tab")
    error.filter(has_text="A: ").wait_for()
    panel.get_by_text("As JSON").click()
    assert wait_for(page, lambda: panel.locator("#slot-breast").input_value() != "")  # it is written once it is open
    panel.locator("#slot-breast").fill('{"a": ')
    page.keyboard.press("Tab")
    error.filter(has_text="not valid JSON").wait_for()
    assert orders == []
    panel.get_by_role("button", name="Median").click()
    error.wait_for(state="hidden")
    assert json.loads(panel.locator("#slot-breast").input_value())["a"] < 1
    panel.locator("#slot-breast").fill('{"a": 0.3, "b": 0.2}')
    page.keyboard.press("Tab")
    assert wait_for(page, lambda: _value(panel, "a") == "0.3")


def test_values_outlive_another_task_a_reload_and_a_cancelled_synthesis(panel, server):
    page = panel.page
    panel.get_by_role("button", name="Random").click()
    assert wait_for(page, lambda: panel.locator(".said").inner_text() == "Random: done.")
    chosen, picture = _value(panel, "b"), _picture(panel)
    panel.locator("#model").select_option("contrast")
    assert panel.locator(".previewed").count() == 0
    panel.locator("#model").select_option("mask")
    _wait_for_picture(panel)
    assert (_value(panel, "b"), _picture(panel)) == (chosen, picture)
    panel.get_by_text("Advanced").click()
    panel.get_by_label("Seed", exact=True).fill(str(page.viewport_size["width"]))
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_text("Cancelled.").wait_for()
    assert _picture(panel) == picture
    page.reload()
    _wait_for_picture(panel)
    assert (_value(panel, "b"), _picture(panel)) == (chosen, picture)


def test_a_busy_server_is_asked_again_and_so_is_one_that_was_gone(panel):
    page = panel.page
    busy = [429, 429]
    page.route(
        "**/preview/**",
        lambda route: route.fulfill(status=busy.pop(), json={"detail": "too many"}) if busy else route.continue_(),
    )
    before = _picture(panel)
    panel.locator("#slot-breast-phi").fill("-20")
    panel.locator(".previewed .error").filter(has_text="Too many").wait_for()
    assert wait_for(page, lambda: _picture(panel) != before)
    assert not panel.locator(".previewed .error").is_visible()
    page.unroute("**/preview/**")
    page.route("**/preview/**", lambda route: route.abort())
    panel.locator("#slot-breast-phi").fill("20")
    panel.locator(".previewed .error").filter(has_text="cannot be reached").wait_for()
    page.unroute("**/preview/**")
    panel.locator(".previewed .error").wait_for(state="hidden")


def test_the_breast_of_the_active_image_is_measured(panel):
    page = panel.page
    panel.get_by_role("button", name="Measured in the active image").click()
    assert wait_for(page, lambda: panel.locator(".said").inner_text().startswith("Measured in R CC"))
    assert (_value(panel, "view_position"), _value(panel, "image_laterality")) == ("CC", "R")
    screenshot(page, f"parametric-measured-{page.size}")


@at_every_size
def test_nothing_overflows_the_panel(panel):
    panel.get_by_role("button", name="Add malignant lesion").click()
    assert wait_for(panel.page, lambda: "malignant lesion" in _alt(panel))
    beyond = panel.evaluate(
        """host => {
          const { right } = host.getBoundingClientRect();
          const inside = [...host.shadowRoot.querySelectorAll('#slots *:not(.visually-hidden)')];
          const off = inside.filter(each => each.getBoundingClientRect().right > right + 1);
          const isCut = each => each.matches('p, li, legend, div') && each.scrollWidth > each.clientWidth + 1;
          const found = [...off, ...inside.filter(isCut)];
          return found.map(each => `${each.outerHTML.slice(0, 80)} ${each.scrollWidth} > ${each.clientWidth}`);
        }"""
    )
    assert not beyond, beyond


@at_every_size
def test_no_control_is_focused_behind_the_picture(panel):
    hidden = panel.evaluate(
        """host => {
          const root = host.shadowRoot;
          const controls = [...root.querySelectorAll('.controls :is(input, select, button)')].reverse();
          return controls.filter(each => {
            each.focus();
            const stage = root.querySelector('.stage').getBoundingClientRect();
            return each.getBoundingClientRect().top < stage.bottom;
          }).map(each => each.id);
        }"""
    )
    assert hidden == []


@at_every_size
def test_axe_finds_nothing_wrong(panel):
    panel.get_by_role("button", name="Add malignant lesion").click()
    assert wait_for(panel.page, lambda: "malignant lesion" in _alt(panel))
    assert accessibility_faults(panel.page, {"fromShadowDom": ["mammosynth-panel", "#slots"]}) == []


@at_every_size
def test_the_picture_follows_a_slider(panel, record_property):
    best = np.inf
    for _ in range(ROUNDS):
        found = panel.page.evaluate(_LATENCIES, ["#slot-breast-a", MOVES])
        median, most = np.percentile(found, [50, 95])
        print(f"slider to picture at {panel.page.size}: median {median:.0f} ms, p95 {most:.0f} ms of {MOVES} moves")  # noqa: T201
        best = min(best, float(most))
        if best < MOST_MS:
            break
    record_property("p95_ms", best)
    assert best < MOST_MS


def test_a_lesion_that_is_drawn_on_a_mammogram_is_generated_beside_it(panel, server):
    page = panel.page
    source = views(page)[0]
    page.keyboard.press("b")
    source.drag((70, 60), (76, 66), steps=4)
    page.keyboard.press("b")
    drawing = page.locator("mammosynth-drawing")
    drawing.locator(".lesion select").select_option("malignant")
    assert wait_for(page, lambda: panel.locator("#slot-label_map option[value=drawing]").count())
    panel.locator("#slot-label_map").select_option("drawing")
    panel.get_by_text("Not used now").wait_for()
    panel.get_by_role("button", name="Generate", exact=True).click()
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    page.goto(server.address + link.get_attribute("href"))
    wait_until_drawn(page, 2)
    before, after = names(page)
    assert before == "R CC low energy"
    assert after.startswith("SYNTHETIC mask R CC")
    screenshot(page, f"parametric-edited-{page.size}")
