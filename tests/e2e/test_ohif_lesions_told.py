"""A lesion drawn on the source of a contrast: its interval stands beside the outcome, and the image is the same."""

import re

import pytest

from mammosynth.phantom.clinic.exam import write_exam
from tests.support.accessibility import accessibility_faults
from tests.support.ohif import open_study, options, wait_for
from tests.support.server import find_series, running, stow
from tests.support.viewports import assert_in_place, chosen_in_screening, screenshot, views, watched_page

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 0.9
SENTENCE = re.compile(
    r"^Lesion 1: expected contrast [+-]0\.\d\d to the tissue around it \(black is 0, white is 1\); 90 % of lesions "
    r"like it lie between [+-]0\.\d\d and [+-]0\.\d\d: "
    r"no enhancement is (within|outside) what is expected\.$"
)


@pytest.fixture
def server(tmp_path):
    files = write_exam(tmp_path / "exam", seed=5, pixel_mm=PIXEL_MM, patient_id="P1")
    with running(tmp_path / "data") as it:
        stow(it, files).raise_for_status()
        yield it


def _generate(panel):
    panel.get_by_role("button", name="Generate", exact=True).click()
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()


@pytest.mark.parametrize("screen", ["1280x800", "1920x1080"])
def test_a_drawn_lesion_is_told_of_beside_the_outcome_and_drawing_again_makes_no_other_image(browser, server, screen):
    page = watched_page(browser, screen)
    study, _ = find_series(server, "P1")["L CC low energy"]
    panel = open_study(page, server, study)
    chosen_in_screening(page, panel, "contrast", "L CC")
    told, lesions = panel.locator("mammosynth-remarks"), panel.get_by_label("Lesions", exact=True)
    _generate(panel)
    assert not told.is_visible()
    assert_in_place(page, 2)
    source = views(page)[0]
    page.mouse.click(*source.at(60, 100))
    drawing = panel.locator("mammosynth-drawing")
    drawing.get_by_role("button", name="New lesion").click()
    source.drag((50, 100), (70, 100), (70, 125), (50, 125), steps=4)
    page.keyboard.press("f")
    assert lesions.input_value() == "drawing"
    _generate(panel)
    assert told.locator("summary").inner_text().startswith("Lesions on L CC")
    (first,) = told.locator("li").all_inner_texts()
    assert SENTENCE.match(first), first
    assert "Research only, not for diagnosis." in told.locator("details").inner_text()
    assert not told.locator("#drawn-since").is_visible()
    box = told.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= page.viewport_size["height"]
    assert accessibility_faults(page, "mammosynth-panel") == []
    screenshot(page, f"lesions-told-{screen}")

    page.keyboard.press("f")
    source.drag((25, 90), (52, 90), (52, 140), (25, 140), steps=4)
    page.keyboard.press("f")
    drawing.get_by_role("button", name="New lesion").click()
    source.drag((30, 160), (45, 160), (45, 175), (30, 175), steps=4)
    page.keyboard.press("f")
    told.locator("#drawn-since").wait_for()
    screenshot(page, f"lesions-drawn-since-{screen}")
    steps = 0
    while told.locator("#drawn-since").is_visible():
        page.keyboard.press("Control+z")
        steps += 1
    assert steps > 1
    assert re.fullmatch(r"[\d.]+", lesions.input_value()), "the UID of what is drawn again"
    for _ in range(steps):
        page.keyboard.press("Control+Shift+Z")
    assert lesions.input_value() == "drawing"
    assert told.locator("#drawn-since").is_visible()
    _generate(panel)
    assert wait_for(page, lambda: told.locator("li").count() == 2, 10)
    again = told.locator("li").all_inner_texts()
    assert SENTENCE.match(again[0])
    assert again[0] != first
    assert again[1].startswith("Lesion 2: expected contrast ")
    assert not told.locator("#drawn-since").is_visible()
    assert accessibility_faults(page, "mammosynth-panel") == []
    for part in ("ul", "details > p:last-child"):  # of many lesions the list is scrolled, what they are not for stays
        box = told.locator(part).bounding_box()
        assert box["y"] + box["height"] <= page.viewport_size["height"]
    screenshot(page, f"lesions-told-again-{screen}")
    assert len(server.get(f"/studies/{study}/segmentations").json()["segmentations"]) == 2
    assert len(server.get(f"/studies/{study}/synthesized").json()["series"]) == 1

    lesions.select_option("")
    _generate(panel)
    assert not told.is_visible()
    assert len(server.get(f"/studies/{study}/synthesized").json()["series"]) == 1
    panel.locator("#model").select_option("breast_cem_cyclegan_narrow")
    assert lesions.count() == 0
    assert any(option.startswith("L CC") for option in options(panel))
    assert page.faults == []
    page.close()
