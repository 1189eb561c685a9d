"""The panel in whatever order the server answers, and when an answer fails once: what the study holds is listed."""

import gzip
import json

import numpy as np
import pytest

from tests.support.ohif import wait_for, wait_until_drawn
from tests.support.server import find_series, study_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BREAST = {"number": 1, "label": "adipose", "is_lesion": False}
LESION = {"number": 2, "label": "Lesion 1", "lesion_class": "malignant"}
_LISTED = """async study => {
  const { segmentationsOf } = await import('/ohif/extensions/segmentations.js');
  return segmentationsOf(study).length;
}"""
_DRAWN = """async uid => {
  const { existingDrawing } = await import('/ohif/extensions/lesions.js');
  return existingDrawing(uid)?.lesions.map(({ label }) => label) ?? [];
}"""


@pytest.fixture(scope="module")
def server(exam_server):
    return exam_server


@pytest.fixture
def study(server):
    """A study without segmentations."""
    study = study_of(server, "EXAM")
    for each in server.get(f"/studies/{study}/segmentations").json()["segmentations"]:
        server.request("DELETE", f"/studies/{study}/segmentations/{each['sop_instance_uid']}").raise_for_status()
    return study


def _store(server, *segments):
    """Store a label map of one view as another page would; UID of its image and its own."""
    study, series = find_series(server, "EXAM")["R CC low energy"]
    (item,) = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    instance, shape = item["00080018"]["Value"][0], (item["00280010"]["Value"][0], item["00280011"]["Value"][0])
    labels = np.zeros(shape, np.uint8)
    for each in segments:
        labels[10 * each["number"] : 10 * each["number"] + 5, 10:20] = each["number"]
    answer = server.post(
        f"/studies/{study}/segmentations",
        data={"description": json.dumps({"sop_instance_uid": instance, "segments": segments})},
        files={"mask": ("mask.gz", gzip.compress(labels.tobytes()), "application/octet-stream")},
    )
    return instance, answer.raise_for_status().json()["sop_instance_uid"]


def _hold_first(page, address):
    """Keep the first request to an address from the server, as the one of a list that fills; later ones go through."""
    held = []

    def hold(route):
        if held:
            return route.continue_()
        return held.append(route)

    page.route(address, hold)
    return held


def _open(page, server, study):
    page.goto(f"{server.address}/ohif/synthesis?StudyInstanceUIDs={study}")
    return page.locator("mammosynth-panel")


def test_a_label_map_is_listed_although_the_models_are_told_after_it(page, server, study):
    _, saved = _store(server, BREAST, LESION)
    _open(page, server, study).locator("#model").select_option("mask")  # which the tab remembers
    page.goto("about:blank")
    held = _hold_first(page, "**/info/")
    panel = _open(page, server, study)
    assert wait_for(page, lambda: page.evaluate(_LISTED, study) == 1)
    wait_until_drawn(page, 4)
    page.wait_for_timeout(1000)  # no event of the viewer comes to help
    held[0].continue_()
    panel.locator(f"#slot-label_map option[value='{saved}']").wait_for(state="attached")
    page.get_by_role("button", name="Load Label map with Lesion 1 (malignant) on R CC").click()
    page.locator("mammosynth-stored #status", has_text="Loaded").wait_for()


def test_a_busy_server_is_asked_again_for_the_list_and_for_what_is_drawn_on_opening(page, server, study):
    image, _ = _store(server, LESION)
    refused = {"segmentations": 2, "mask": 2}

    def refuse(route):
        name = route.request.url.rpartition("/")[2]
        if not refused.get(name):
            return route.continue_()
        refused[name] -= 1
        return route.fulfill(status=503, json={"detail": "The server is busy; try again."})

    page.route("**/segmentations", refuse)
    page.route("**/segmentations/*/mask", refuse)
    _open(page, server, study)
    page.get_by_role("button", name="Load Lesion 1").wait_for()
    assert wait_for(page, lambda: page.evaluate(_DRAWN, image) == ["Lesion 1"])
    assert refused == {"segmentations": 0, "mask": 0}
    page.locator("mammosynth-stored #error").wait_for(state="hidden")


def test_an_older_answer_does_not_take_the_place_of_a_newer_one(page, server, study):
    panel = _open(page, server, study)
    panel.locator("#advanced input").first.wait_for(state="attached")
    old = _hold_first(page, "**/segmentations")
    page.evaluate(
        """study => import('/ohif/extensions/segmentations.js')
          .then(({ refreshSegmentations }) => { refreshSegmentations(study).catch(console.error); })""",
        study,
    )
    assert wait_for(page, lambda: old)
    empty = old[0].fetch()
    _store(server, LESION)
    page.evaluate(
        "async study => (await import('/ohif/extensions/segmentations.js')).refreshSegmentations(study)", study
    )
    old[0].fulfill(response=empty)
    page.wait_for_timeout(500)  # for the old answer to be taken in, if it were
    assert page.evaluate(_LISTED, study) == 1


def test_an_older_history_does_not_take_the_place_of_a_newer_one(page, server, study):
    panel = _open(page, server, study)
    entries = panel.locator("mammosynth-history article")
    panel.get_by_text("Nothing was generated in this study yet.").wait_for()
    old = _hold_first(page, "**/synthesized")
    page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    assert wait_for(page, lambda: old)
    empty = old[0].fetch()
    server.synthesize(*find_series(server, "EXAM")["R CC low energy"])
    panel.get_by_role("button", name="Refresh").click()
    entries.first.wait_for()
    old[0].fulfill(response=empty)
    page.wait_for_timeout(500)  # for the old answer to be taken in, if it were
    assert entries.count() == 1
