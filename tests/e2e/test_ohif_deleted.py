"""Two tabs with one study: what one deletes leaves the screen of the other, which says so."""

import pytest

from tests.support.accessibility import accessibility_faults
from tests.support.ohif import open_study, plain_names, shot, wait_for, wait_until_drawn
from tests.support.server import find_series, made

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
_HIDDEN_AND_BACK = "() => document.dispatchEvent(new Event('visibilitychange'))"
_FOCUSED = "() => window.dispatchEvent(new Event('focus'))"


@pytest.fixture(scope="module")
def server(exam_server):
    return exam_server


@pytest.fixture
def result(server):
    return made(server.synthesize(*find_series(server, "EXAM")["R CC low energy"])["result"])


def _show(page, server, result):
    panel = open_study(page, server, result["study_instance_uid"])
    panel.get_by_role("button", name="Show SYNTHETIC contrast R CC").first.click()
    wait_until_drawn(page, 2)
    assert plain_names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"]
    return panel


def _path(result):
    return f"/studies/{result['study_instance_uid']}/synthesized/{result['series_instance_uid']}"


@pytest.mark.parametrize("comes_back", [_HIDDEN_AND_BACK, _FOCUSED], ids=["tab", "window"])
def test_a_result_that_is_deleted_elsewhere_leaves_the_screen_and_that_is_said(page, server, result, comes_back):
    panel = _show(page, server, result)
    notice = panel.locator("mammosynth-history #deleted")
    page.evaluate(comes_back)
    page.wait_for_timeout(500)
    assert not notice.is_visible()
    server.request("DELETE", _path(result)).raise_for_status()
    page.evaluate(comes_back)
    notice.get_by_text("Deleted from the archive meanwhile, and so no longer shown: SYNTHETIC contrast R CC").wait_for()
    assert wait_for(page, lambda: plain_names(page) == ["R CC low energy", "R CC low energy"])
    assert panel.get_by_role("button", name="Show SYNTHETIC contrast R CC").count() == 0
    assert accessibility_faults(page, "mammosynth-panel") == []
    shot(page, "deleted-elsewhere", server)
    panel.get_by_role("button", name="Generate", exact=True).click()
    done = panel.get_by_text("Done: the result hangs beside its source.")
    done.wait_for()
    assert not notice.is_visible()
    panel.get_by_role("button", name="Delete SYNTHETIC contrast R CC").first.click()
    panel.get_by_role("button", name="Delete for good").click()
    panel.get_by_text("Deleted: SYNTHETIC contrast R CC").wait_for()
    assert not done.is_visible()


def test_a_result_that_the_list_leaves_out_but_the_archive_has_stays(page, server, result):
    panel = _show(page, server, result)
    page.route("**/synthesized", lambda route: route.fulfill(json={"series": []}))
    page.evaluate(_FOCUSED)
    panel.get_by_text("Nothing was generated in this study yet.").wait_for()
    page.wait_for_timeout(500)  # for the archive to be asked
    assert plain_names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"]
    assert not panel.locator("mammosynth-history #deleted").is_visible()
