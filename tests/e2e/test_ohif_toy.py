"""The toy task in the viewer: a task that the viewer was never told of is offered, asked for and drawn."""

import pytest

from tests.support.ohif import names, open_study, options, shot, wait_for, wait_until_drawn
from tests.support.server import find_series
from tests.support.toy import serving_toy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def toy_server(toy, tmp_path_factory):
    with serving_toy("embedded", toy, tmp_path_factory.mktemp("toy-in-ohif")) as it:
        yield it


def test_a_task_from_elsewhere_is_offered_generated_and_its_new_study_is_drawn(page, toy_server):
    study, series = find_series(toy_server, "P1")["L CC low energy"]
    panel = open_study(page, toy_server, study)
    panel.locator("#model").select_option("mirror")
    panel.locator("#source").select_option(label=next(o for o in options(panel) if o.endswith("L CC low energy")))
    lesions = panel.locator("#slot-lesions")
    lesions.wait_for()
    drawn = toy_server.get(f"/studies/{study}/segmentations").json()["segmentations"]
    (uid,) = [each["sop_instance_uid"] for each in drawn if each["source_series_instance_uid"] == series]
    assert wait_for(page, lambda: lesions.locator(f"option[value='{uid}']").count() == 1)
    lesions.select_option(uid)
    panel.locator("#slot-remark").fill('{"text": "upside down"}')
    panel.get_by_label("Gain").fill("0.5")
    panel.get_by_role("button", name="Generate", exact=True).click()
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    shot(page, "toy-offered", toy_server)
    page.goto(toy_server.address + link.get_attribute("href"))
    page.locator("mammosynth-panel").locator("#advanced input").first.wait_for(state="attached")
    wait_until_drawn(page, 1)
    (name,) = names(page)
    assert name.startswith("SYNTHETIC mirror L CC")
    stored = page.locator("mammosynth-stored #stored li")
    assert wait_for(page, lambda: stored.count() == 1)  # the label map lies on its image
    shot(page, "toy-new-study", toy_server)
