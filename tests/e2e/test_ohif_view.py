"""The other view in the viewer: made in the same study, from CC or MLO, and hung beside what it was made from."""

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ohif import names, open_study, options, wait_for
from tests.support.server import find_series, running, stow, study_of
from tests.support.viewports import assert_in_place, chosen_in_screening, screenshot, watched_page

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 0.9
# Labels of what is drawn on each viewport.
_DRAWN = """async () => {
  const { drawingsOn } = await import('/ohif/extensions/pen.js');
  const { views } = await import('/ohif/extensions/viewer.js');
  return views().map(view => drawingsOn(view).flatMap(drawing => drawing.lesions.map(({ label }) => label)));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    files = write_exam(tmp_path_factory.mktemp("exam"), seed=5, pixel_mm=PIXEL_MM, patient_id="P1")
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        stow(it, files).raise_for_status()
        few = write_exam(tmp_path_factory.mktemp("few"), seed=6, pixel_mm=PIXEL_MM, patient_id="CC-ONLY")
        stow(it, [file for file in few if "CC" in file.name]).raise_for_status()
        yield it


@pytest.mark.parametrize(("given", "to"), [("CC", "MLO"), ("MLO", "CC")])
def test_the_other_view_is_generated_and_hangs_beside_its_source(browser, server, given, to):
    page = watched_page(browser, "1280x800")
    study, _ = find_series(server, "P1")["L CC low energy"]
    panel = open_study(page, server, study)
    panel.locator("#model").select_option("view")
    chosen = f"L {given}"
    assert wait_for(page, lambda: any(option.startswith(chosen) for option in options(panel)))
    panel.locator("#source").select_option(label=next(o for o in options(panel) if o.startswith(chosen)))
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    source, made = names(page)
    assert source.startswith(chosen)
    assert made.startswith(f"SYNTHETIC view L {to}")
    assert_in_place(page, 2)
    compare = page.locator("mammosynth-compare")
    for key in "234o":  # what lies at one place in a CC and an MLO is other tissue
        page.keyboard.press(key)
    assert compare.get_by_label("Side by side").is_checked()
    assert compare.get_by_label("Swipe").is_disabled()
    assert f"{chosen} and L {to} do not show the same tissue" in compare.locator("#other-view").inner_text()
    assert page.locator(".mammosynth-comparison, .mammosynth-divider").count() == 0
    screenshot(page, f"view-{given}-beside-{to}".lower())
    panel.locator("#layout").select_option("mammosynth.current-synthesized")
    assert wait_for(page, lambda: len(names(page)) == 4)  # an MLO that was made from a CC is no result of the MLO
    assert not any("SYNTHETIC" in name for name in names(page))
    stored = find_series(server, "P1")
    assert any(name.startswith(f"SYNTHETIC view L {to}") for name in stored)
    assert page.faults == []
    page.close()


@pytest.mark.parametrize("screen", ["1280x800", "2560x1440"])
def test_views_of_views_twice_back_and_after_a_reload_each_hang_beside_their_own_source(browser, server, screen):
    page = watched_page(browser, screen)
    study, _ = find_series(server, "P1")["R CC low energy"]
    panel = open_study(page, server, study)
    panel.locator("#model").select_option("view")
    for given, to in (("CC", "MLO"), ("MLO", "CC"), ("MLO", "CC"), ("CC", "MLO")):
        assert wait_for(page, lambda chosen=f"R {given}": any(o.startswith(chosen) for o in options(panel)))
        panel.locator("#source").select_option(label=next(o for o in options(panel) if o.startswith(f"R {given}")))
        panel.get_by_role("button", name="Generate", exact=True).click()
        assert wait_for(page, lambda pair=(f"R {given}", f"SYNTHETIC view R {to}"): _hang(page, pair))
        panel.get_by_text("Done: the result hangs beside its source.").wait_for()
        assert_in_place(page, 2)
    made = [name for name in find_series(server, "P1") if name.startswith("SYNTHETIC view R")]
    assert sorted(name[:20] for name in made) == ["SYNTHETIC view R CC ", "SYNTHETIC view R MLO"]
    page.reload()
    panel.locator("#model").wait_for()
    assert wait_for(page, lambda: any("R MLO" in option for option in options(panel)[1:]))
    assert not [option for option in options(panel)[1:] if "SYNTHETIC view" in option]
    assert page.faults == []
    page.close()


@pytest.mark.parametrize("screen", ["1280x800", "2560x1440"])
def test_all_views_hang_each_in_its_place_of_a_screening_exam_beside_the_acquired_one(browser, server, screen):
    page = watched_page(browser, screen)
    panel = _make_all_views(page, server, "P1")
    right, left = ([[f"{side} {view}", f"SYNTHETIC view {side} {view}"] for view in ("CC", "MLO")] for side in "RL")
    expected = [name for row in zip(right, left, strict=True) for place in row for name in place]
    assert wait_for(page, lambda: _hang(page, expected)), names(page)
    panel.get_by_text("Done: 4 results hang in their places.").wait_for()
    assert_in_place(page, 8)
    assert panel.get_by_label("Layout").input_value() == "mammosynth.other-views"
    screenshot(page, f"view-all-{screen}")
    assert page.faults == []
    page.close()


def test_views_that_nobody_acquired_are_synthesized_into_their_places(browser, server):
    page = watched_page(browser, "1280x800")
    panel = _make_all_views(page, server, "CC-ONLY")
    expected = ["R CC", "L CC", "SYNTHETIC view R MLO", "SYNTHETIC view L MLO"]
    assert wait_for(page, lambda: _hang(page, expected)), names(page)
    panel.get_by_text("Done: 2 results hang in their places.").wait_for()
    assert_in_place(page, 4)
    screenshot(page, "view-all-cc-only")
    assert page.faults == []
    page.close()


def _make_all_views(page, server, patient):
    panel = open_study(page, server, study_of(server, patient))
    panel.locator("#model").select_option("view")
    panel.get_by_role("button", name="All views").click()
    return panel


def test_a_lesion_is_made_in_the_other_view_where_its_own_mask_is_drawn_not_the_one_of_the_source(browser, server):
    page = watched_page(browser, "1280x800")
    study, _ = find_series(server, "P1")["L CC low energy"]
    panel = open_study(page, server, study)
    source = chosen_in_screening(page, panel, "view", "L CC")
    drawing = panel.locator("mammosynth-drawing")
    drawing.get_by_role("button", name="New lesion").click()
    source.drag((60, 90), (75, 90), (75, 110), (60, 110), steps=4)
    page.keyboard.press("f")
    drawing.locator(".lesion select").select_option("malignant")
    for _ in range(2):  # made, and found again
        panel.get_by_role("button", name="Generate", exact=True).click()
        panel.get_by_text("Done: the result hangs beside its source.").wait_for()
        assert names(page)[1].startswith("SYNTHETIC view L MLO")
    drawn = page.evaluate(_DRAWN)
    assert drawn == [["Lesion 1"], ["malignant lesion"]]
    screenshot(page, "view-lesion")
    assert page.faults == []
    page.close()


def _hang(page, expected) -> bool:
    hung = names(page)
    return len(hung) == len(expected) and all(map(str.startswith, hung, expected))
