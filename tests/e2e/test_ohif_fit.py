"""The viewer keeps every breast in its place, at three sizes of the screen and in whatever order things are done."""

import re

import numpy as np
import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, open_study, wait_for
from tests.support.server import find_series, running, stow
from tests.support.viewports import (
    EDGE,
    SCREENS,
    assert_in_place,
    at_every_size,
    misplaced,
    screenshot,
    views,
    watched_page,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.usefixtures("nothing_went_wrong"), at_every_size]
PIXEL_MM = 1.8  # 127 x 106 pixels
_DONE = "Done: the result hangs beside its source."
_GO = """path => {
  history.pushState({}, '', path);
  dispatchEvent(new PopStateEvent('popstate', { state: {} }));
}"""
# Turn the first viewport as OHIF's own tools do.
_TURN = """async ([flip, rotation]) => {
  const { views } = await import('/ohif/extensions/viewer.js');
  const { viewportOf } = await import('/ohif/extensions/ohif.js');
  const viewport = viewportOf(views()[0].viewportId);
  if (flip) viewport.setCamera({ flipHorizontal: !viewport.getCamera().flipHorizontal });
  if (rotation) viewport.setViewPresentation({ rotation: (viewport.getViewPresentation().rotation + rotation) % 360 });
  viewport.render();
}"""


# As browsers do to bring into sight what lies beyond the window: how far the panel moves.
_SCROLL = """panel => {
  const before = panel.getBoundingClientRect().x;
  for (let each = panel; each; each = each.parentElement) each.scrollLeft = 100;
  return panel.getBoundingClientRect().x - before;
}"""

# Layouts and pairs in turn, each left before its images are there.
_HURRY = """async () => {
  const [{ hang }, { showBeside }, viewer] = await Promise.all(
    ['hanging', 'beside', 'viewer'].map(name => import(`/ohif/extensions/${name}.js`))
  );
  const results = viewer.mammograms().filter(viewer.isSynthesized);
  for (let turn = 0; turn < 12; turn++) {
    hang(['mammosynth.screening', 'mammosynth.current-synthesized', 'mammosynth.single'][turn % 3]);
    await new Promise(resolve => setTimeout(resolve, 150));
    const result = results[turn % results.length];
    showBeside(viewer.sourceOf(result), [result]);
    await new Promise(resolve => setTimeout(resolve, 150));
  }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server over one exam of four views for each size of the screen."""
    folder = tmp_path_factory.mktemp("exams")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        for number, screen in enumerate(SCREENS, start=1):
            files = write_exam(folder / screen, seed=number, pixel_mm=PIXEL_MM, patient_id=screen)
            stow(it, files).raise_for_status()
        yield it


@pytest.fixture(scope="module")
def page(browser, screen):
    """One page a size, since opening it takes longer than the tests do."""
    page = watched_page(browser, screen)
    yield page
    page.close()


def reset(page):
    """OHIF's own, by its key; a button that was pressed before would take the key for itself."""
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Space")


def study_of(server, screen):
    return next(iter(find_series(server, screen).values()))[0]


def choose(panel, view):
    options = panel.locator("#source option").all_inner_texts()[1:]
    panel.locator("#source").select_option(label=next(option for option in options if option.startswith(view)))


def generate(panel, view):
    choose(panel, view)
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_text("Loading the result").or_(panel.get_by_role("button", name="Cancel")).first.wait_for()
    panel.get_by_text(re.compile("Done: ")).wait_for()


def test_an_exam_of_four_views_opens_with_all_of_them_in_place(page, server, screen):
    open_study(page, server, study_of(server, screen))
    assert_in_place(page, 4)
    screenshot(page, f"fit-four-views-{screen}")
    assert page.locator("mammosynth-panel").evaluate(_SCROLL) == 0, "nothing moves the page aside"
    if screen == "1280x800":
        boxes = [view.box for view in views(page)]
        assert max(box[2] for box in boxes) - min(box[0] for box in boxes) >= 0.7 * 1280


def test_one_view_after_another_is_generated_in_place_and_said_to_hang(page, screen):
    panel = page.locator("mammosynth-panel")
    for view in ("R CC", "L CC", "R MLO"):
        generate(panel, view)
        assert panel.get_by_text(_DONE).is_visible()
        assert [name.split(" expected")[0] for name in names(page)] == [
            f"{view} low energy",
            f"SYNTHETIC contrast {view}",
        ]
        assert_in_place(page, 2)
    screenshot(page, f"fit-generated-{screen}")


def test_one_result_after_another_is_shown_in_place_also_after_zooming(page, screen):
    panel = page.locator("mammosynth-panel")
    for view in ("L CC", "R MLO", "R CC", "L CC"):
        panel.get_by_role("button", name=re.compile(f"Show SYNTHETIC contrast {view}")).first.click()
        assert wait_for(page, lambda view=view: names(page)[0] == f"{view} low energy"), names(page)
        assert_in_place(page, 2)
        x, y = views(page)[0].at(20, 60)
        page.mouse.move(x, y)
        page.evaluate(
            """async () => {
              const { views } = await import('/ohif/extensions/viewer.js');
              const { viewportOf } = await import('/ohif/extensions/ohif.js');
              const viewport = viewportOf(views()[0].viewportId);
              viewport.setZoom(2.5);
              viewport.setPan([120, 40]);
              viewport.render();
            }"""
        )
        assert misplaced(page, 2)
    screenshot(page, f"fit-shown-{screen}")


def test_another_layout_and_back_leaves_every_image_in_place(page):
    layout = page.locator("mammosynth-panel").get_by_label("Layout")
    for protocol, count in (("screening", 4), ("pair", 2), ("single", 1), ("screening", 4)):
        layout.select_option(f"mammosynth.{protocol}")
        assert_in_place(page, count)
    before = names(page)
    page.mouse.dblclick(*views(page)[1].at(60, 60))
    assert_in_place(page, 1)
    page.mouse.dblclick(*views(page)[0].at(60, 60))
    assert_in_place(page, 4)
    assert names(page) == before


def test_layouts_that_change_faster_than_images_load_do_no_harm(page):
    page.evaluate(_HURRY)
    assert wait_for(page, lambda: len(names(page)) == 2), names(page)
    assert_in_place(page, 2)


def test_a_resized_viewport_keeps_its_image_at_the_edge_and_what_was_enlarged_enlarged(page):
    page.locator("mammosynth-panel").get_by_label("Layout").select_option("mammosynth.screening")
    assert_in_place(page, 4)
    size = page.viewport_size
    page.set_viewport_size({"width": size["width"] - 200, "height": size["height"] - 100})
    assert_in_place(page, 4)
    page.evaluate(
        """async () => {
          const { views } = await import('/ohif/extensions/viewer.js');
          const { viewportOf } = await import('/ohif/extensions/ohif.js');
          viewportOf(views()[0].viewportId).setZoom(2);
          viewportOf(views()[0].viewportId).render();
          await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
    enlarged = views(page)[1]
    page.set_viewport_size(size)
    assert wait_for(page, lambda: views(page)[1].width > enlarged.width, 10)
    assert misplaced(page, 4)
    reset(page)
    assert_in_place(page, 4)


def test_a_pair_is_mirrored_and_rotated_together(page, screen):
    page.locator("mammosynth-panel").get_by_label("Layout").select_option("mammosynth.pair")
    assert_in_place(page, 2)
    for turn in ([True, 0], [False, 90], [True, 0], [False, 270]):
        page.evaluate(_TURN, turn)
        source, synthesized = views(page)
        for name in ("first", "last"):
            here = getattr(source, name) - source.box[:2]
            there = getattr(synthesized, name) - synthesized.box[:2]
            np.testing.assert_allclose(here, there, atol=EDGE)
        if turn == [False, 90]:
            screenshot(page, f"fit-turned-{screen}")
    reset(page)
    assert_in_place(page, 2)


def test_back_to_the_list_and_again_twice_and_reloaded_it_opens_as_a_pair_in_place(page, server, screen):
    address = f"/ohif/synthesis?StudyInstanceUIDs={study_of(server, screen)}"
    for _ in range(2):
        page.evaluate(_GO, "/ohif/")
        page.get_by_text(screen, exact=True).first.wait_for()
        page.evaluate(_GO, address)
        assert wait_for(page, lambda: len(names(page)) == 2), names(page)
        assert_in_place(page, 2)
    page.reload()
    page.locator("mammosynth-panel #advanced input").first.wait_for(state="attached")
    assert wait_for(page, lambda: len(names(page)) == 2)
    assert_in_place(page, 2)
    assert names(page)[1].startswith("SYNTHETIC contrast")
