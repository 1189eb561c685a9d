"""The tour of the panel: offered once, five steps, skipped or taken, and again on demand."""

import pytest

from tests.support.accessibility import accessibility_faults
from tests.support.ohif import open_study
from tests.support.server import find_series

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def panel(page, exam_server):
    study, _ = find_series(exam_server, "EXAM")["L CC low energy"]
    return open_study(page, exam_server, study)


def _title(panel):
    return panel.locator("mammosynth-tour #title")


def test_it_is_offered_at_the_first_visit_and_goes_five_steps(page, panel):
    _title(panel).get_by_text("New here?").wait_for()
    place = panel.bounding_box()
    panel.get_by_role("button", name="Take the tour").click()
    for number, outlined in enumerate(("#source-field", "#model", "[type=submit]", "mammosynth-compare"), start=1):
        _title(panel).get_by_text(f"{number} of 5: ").wait_for()
        assert "solid" in panel.locator(outlined).evaluate("element => element.style.outline")
        panel.locator("mammosynth-tour").get_by_role("button", name="Next").click()
        assert panel.bounding_box() == place, "nothing but the panel is scrolled"
    assert accessibility_faults(page, "mammosynth-panel") == []
    panel.get_by_role("button", name="End the tour").click()
    _title(panel).wait_for(state="hidden")
    assert panel.locator("mammosynth-drawing").evaluate("element => element.style.outline") == ""


def test_who_skips_it_is_not_asked_again_and_may_take_it_later(page, panel):
    panel.get_by_role("button", name="Skip the tour").click()
    page.reload()
    panel.locator("#advanced input").first.wait_for(state="attached")
    page.wait_for_timeout(500)
    assert not _title(panel).is_visible()
    panel.get_by_role("button", name="Tour", exact=True).click()
    _title(panel).get_by_text("1 of 5: ").wait_for()
    page.keyboard.press("Escape")
    _title(panel).wait_for(state="hidden")
