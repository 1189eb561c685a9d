"""The panel in a real browser: what it offers follows the model, what it says is true."""

import json
import re

import numpy as np
import pytest

from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.parameters import CaseParameters, LesionKind
from mammosynth.terms import ImageLaterality
from tests.support.ohif import names, open_study, wait_for, wait_until_drawn
from tests.support.server import find_series, running, stow
from tests.support.viewports import at_every_size, screenshot, views

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PIXEL_MM = 1.8
ORANGE = 20  # grey levels by which a tinted lesion is redder than blue
VIEWS = ("R CC", "L CC", "R MLO", "L MLO")
_DRAWN = """async () => {
  const { existingDrawing } = await import('/ohif/extensions/lesions.js');
  const { views } = await import('/ohif/extensions/viewer.js');
  return views().map(({ sopInstanceUid }) => existingDrawing(sopInstanceUid)?.pixels.filter(Boolean).length ?? 0);
}"""
_SHOW = """async description => {
  const { mammograms, services } = await import('/ohif/extensions/viewer.js');
  const { displaySetInstanceUID } = mammograms().find(set => set.SeriesDescription.endsWith(description));
  const { viewportGridService: grid } = services();
  const viewportId = grid.getActiveViewportId();
  grid.setDisplaySetsForViewports([{ viewportId, displaySetInstanceUIDs: [displaySetInstanceUID] }]);
}"""
_TOY = {
    "task": "toy",
    "title": "Toy",
    "description": "Mirrors an image.",
    "bundle": "toy_mirror",
    "version": "0.1.0",
    "is_default": False,
    "placement": "new_study",
    "renderings": ["expected", "sampled"],
    "scores": {},
    "slots": [
        {"role": "source", "kind": "image", "description": "A view.", "required": True, "on": None},
        {"role": "lesions", "kind": "label_map", "description": "Lesions.", "required": True, "on": "source"},
        {
            "role": "patient",
            "kind": "json",
            "description": "Who it is.",
            "required": False,
            "json_schema": {"properties": {"age": {"type": "integer", "description": "In years."}}},
        },
    ],
    "parameters": {
        "type": "object",
        "properties": {
            "rendering": {"type": "string", "enum": ["expected", "sampled"], "default": "expected"},
            "seed": {"type": "integer", "default": 0, "minimum": 0, "advanced": True},
        },
        "required": [],
    },
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An exam with recombined images, and the truth about a phantom with a lesion in one breast."""
    folder = tmp_path_factory.mktemp("exams")
    write_exam(folder / "exam", seed=3, pixel_mm=PIXEL_MM, patient_id="EXAM", include_recombined=True)
    case = CaseParameters(
        0,
        lesions=(LesionKind.SPICULATED, LesionKind.CALCIFICATIONS),
        sides=(ImageLaterality.LEFT,),
        pixel_mm=PIXEL_MM,
    )
    write_cohort(folder / "truth", CohortSettings(case, maps=True), (0,), engine=LocalEngine(1))
    with running(tmp_path_factory.mktemp("server") / "data") as it:
        for exam in ("exam", "truth"):
            stow(it, sorted((folder / exam).rglob("*.dcm"))).raise_for_status()
        yield it


@pytest.fixture
def page(sized_page):
    return sized_page


def _study(server, patient="EXAM"):
    return next(iter(find_series(server, patient).values()))[0]


def _open(page, server, patient="EXAM"):
    """The study of a patient and the panel, its acquired views hung, whatever was made of them before."""
    study = _study(server, patient)
    panel = open_study(page, server, study)
    panel.locator("#layout").select_option("mammosynth.screening")
    assert wait_for(page, lambda: len(views(page)) > 1 and not any("contrast" in name for name in names(page)))
    wait_until_drawn(page)
    return study, panel


def _outcome(page, panel):
    """What the panel says once a synthesis has ended; a bare "Done" is the server's, whose result is not loaded yet."""
    status, error = (panel.locator(f"form {id}") for id in ("#status", "#error"))
    ends = ("Done:", "Done.")
    assert wait_for(page, lambda: status.inner_text().startswith(ends) or error.inner_text(), 90), status.inner_text()
    return error.inner_text() or status.inner_text()


def _choose(panel, series):
    panel.locator("#source").select_option(label=next(text for text in _sources(panel)[1:] if text.endswith(series)))


def _with_toy(page, server):
    """The server's models, and one more that needs a drawing and takes JSON."""
    info = server.get("/info/").json()
    info["models"]["toy"] = _TOY
    page.route("**/info/", lambda route: route.fulfill(json=info))
    listed = {"sources": []}
    page.route("**/sources?model=toy", lambda route: route.fulfill(json=listed))


def _orders(page, answers):
    """What is posted to /synthesis from now on; each order ends at once with the answer's outputs."""
    orders = []

    def post(route):
        orders.append(json.loads(route.request.post_data))
        route.fulfill(status=202, json={"job_id": "1"})

    page.route("**/synthesis", post)
    page.route("**/synthesis/1", lambda route: route.fulfill(json={"state": "done", "progress": 1, "result": answers}))
    return orders


def test_all_views_are_made_by_one_press_or_cancelled_and_hang_beside_their_sources(page, server):
    _, panel = _open(page, server)
    panel.get_by_text("Advanced").click()
    panel.get_by_label("Seed", exact=True).fill(str(page.viewport_size["width"]))  # another image at each size
    all_views, cancel = (panel.get_by_role("button", name=name) for name in ("All views", "Cancel"))
    with page.expect_response(lambda answer: answer.url.endswith("/synthesis") and answer.status == 202) as submitted:
        all_views.click()
    cancel.click()
    panel.get_by_text("Cancelled.").wait_for()
    assert server.wait(submitted.value.json()["job_id"], "cancelled")

    all_views.click()
    cancel.wait_for()
    assert panel.get_by_role("progressbar").count() == 1
    assert _outcome(page, panel) == "Done: 4 results hang beside their sources."
    wait_until_drawn(page, 8)
    screenshot(page, f"panel-all-views-{page.size}")
    made = [name for name in names(page) if name.startswith("SYNTHETIC contrast")]
    assert {view for view in VIEWS if any(view in name for name in made)} == set(VIEWS)
    assert page.get_by_text("Something went wrong").count() == 0


def test_done_says_that_the_result_hangs_beside_its_source_only_if_it_does(page, server):
    study, panel = _open(page, server)
    _choose(panel, "L CC low energy")
    panel.get_by_role("button", name="Generate", exact=True).click()
    assert _outcome(page, panel) == "Done: the result hangs beside its source."
    source, result = names(page)
    assert source == "L CC low energy"
    assert result.startswith("SYNTHETIC contrast L CC")
    screenshot(page, f"panel-done-{page.size}")
    assert not panel.get_by_role("alert").first.is_visible()

    elsewhere = {"role": "image", "modality": "MG", "study_instance_uid": study, "series_instance_uid": "1.2.3"}
    made = server.get(f"/studies/{study}/synthesized").json()["series"][0]
    here = {
        **elsewhere,
        "series_instance_uid": made["series_instance_uid"],
        "sop_instance_uid": "1.2",
        "source_sop_instance_uid": "1.9",
    }
    _orders(page, {"outputs": [here], "refused": [], "viewer_url": ""})
    panel.get_by_role("button", name="Generate", exact=True).click()
    assert _outcome(page, panel).startswith("Done: the result is in the study")


@at_every_size
def test_what_became_of_a_synthesis_is_seen_however_long_the_form_is(page, server):
    _, panel = _open(page, server)
    panel.locator("#model").select_option("mask")
    panel.locator("#slots canvas").first.wait_for()
    _orders(page, {"outputs": [], "refused": [], "viewer_url": "/ohif/viewer"})
    panel.evaluate("it => (it.scrollTop = 0)")
    panel.get_by_role("button", name="Generate", exact=True).evaluate("it => it.click()")  # Playwright's would scroll
    assert _outcome(page, panel) == "Done: the result is a study of its own."
    screenshot(page, f"panel-outcome-{page.size}")
    assert panel.evaluate("it => it.scrollTop") == 0
    for seen in (panel.get_by_text("Done: the result"), panel.get_by_role("link", name="Open the new study")):
        assert seen.evaluate("it => it.getBoundingClientRect().bottom") <= page.viewport_size["height"]


def test_the_history_follows_another_tab_when_a_person_comes_back_to_this_one(page, server):
    study, panel = _open(page, server)
    server.synthesize(*find_series(server, "EXAM")["L CC low energy"])
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    shown = panel.locator("mammosynth-history [data-show]")
    assert wait_for(page, lambda: shown.count() == len(_history(server, study)) > 0, 20)
    gone = _history(server, study)[0]["series_instance_uid"]
    server.request("DELETE", f"/studies/{study}/synthesized/{gone}").raise_for_status()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    assert wait_for(page, lambda: shown.count() == len(_history(server, study)), 20)


def _history(server, study):
    return server.get(f"/studies/{study}/synthesized").raise_for_status().json()["series"]


def test_several_presses_of_generate_are_one_order(page, server):
    _, panel = _open(page, server)
    orders = _orders(page, {"outputs": [], "refused": [], "viewer_url": ""})
    panel.get_by_role("button", name="Generate", exact=True).evaluate("it => { it.click(); it.click(); it.click(); }")
    assert _outcome(page, panel).startswith("Done")
    assert len(orders) == 1


def test_a_result_in_a_new_study_is_not_hung_but_linked(page, server):
    _, panel = _open(page, server)
    _choose(panel, "L CC low energy")
    before = names(page)
    output = {"role": "image", "modality": "MG", "study_instance_uid": "1.2.3", "series_instance_uid": "1.2.3.4"}
    output |= {"sop_instance_uid": "1.2.3.4.5", "source_sop_instance_uid": None}
    address = "/ohif/synthesis?StudyInstanceUIDs=1.2.3"
    _orders(page, {"outputs": [output], "refused": ["1.2.840.1: it is a scout"], "viewer_url": address})
    panel.get_by_role("button", name="Generate", exact=True).click()
    link = panel.get_by_role("link", name="Open the new study")
    link.wait_for()
    assert link.get_attribute("href") == address
    assert panel.locator("#refused li").all_inner_texts() == ["It is a scout"]
    assert names(page) == before
    screenshot(page, f"panel-new-study-{page.size}")


def test_what_a_model_refuses_is_not_offered_and_said_in_words_where_it_is_active(page, server):
    study, panel = _open(page, server)
    assert wait_for(page, lambda: not any("recombined" in text for text in _sources(panel)))
    assert len(_sources(panel)) == 5
    page.evaluate(_SHOW, "R CC recombined")
    refusal = panel.locator("#refusal")
    refusal.wait_for()
    text = refusal.inner_text()
    assert "expected low energy" in text
    assert not text[0].isdigit()
    assert panel.get_by_role("button", name="Generate", exact=True).is_disabled()
    screenshot(page, f"panel-refused-{page.size}")


def _sources(panel):
    return panel.locator("#source option").all_inner_texts()


def test_a_required_drawing_is_asked_for_saved_and_sent_with_json(page, server):
    _with_toy(page, server)
    study, panel = _open(page, server)
    panel.locator("#model").select_option("toy")
    orders = _orders(page, {"outputs": [], "refused": [], "viewer_url": ""})
    generate = panel.get_by_role("button", name="Generate", exact=True)
    generate.click()
    panel.get_by_text("Lesions is missing: draw one under Drawing below").wait_for()
    screenshot(page, f"panel-required-{page.size}")
    assert not panel.get_by_role("button", name="All views").is_visible()
    assert "In years." in panel.locator("#slot-patient-hint").inner_text()

    source = views(page)[0]
    page.keyboard.press("b")
    source.drag((60, 60), (70, 70), steps=4)
    page.keyboard.press("b")
    assert wait_for(page, lambda: panel.locator("#slot-lesions").input_value() == "drawing")
    panel.locator("#slot-patient").fill('{"age": }')
    generate.click()
    panel.get_by_text("Patient is not valid JSON").wait_for()
    panel.locator("#slot-patient").fill('{"age": 61}')
    generate.click()
    panel.get_by_text(re.compile(r"Done[:.]")).first.wait_for()
    stored = server.get(f"/studies/{study}/segmentations").json()["segmentations"][0]
    assert stored["source_sop_instance_uid"] == source.sop_instance_uid
    [order] = orders
    assert order["model"] == "toy"
    assert order["inputs"]["lesions"] == {"study_instance_uid": study, "sop_instance_uid": stored["sop_instance_uid"]}
    assert order["inputs"]["patient"] == {"age": 61}
    assert order["inputs"]["source"]["sop_instance_uid"] == source.sop_instance_uid
    screenshot(page, f"panel-drawn-{page.size}")
    server.request("DELETE", f"/studies/{study}/segmentations/{stored['sop_instance_uid']}").raise_for_status()


def test_json_can_be_uploaded_and_another_model_keeps_the_seed(page, server, tmp_path):
    _with_toy(page, server)
    _, panel = _open(page, server)
    panel.get_by_text("Advanced").click()
    panel.get_by_label("Seed", exact=True).fill("17")
    panel.locator("#model").select_option("toy")
    assert panel.get_by_label("Seed", exact=True).input_value() == "17"
    assert panel.get_by_label("Rendering", exact=True).locator("option").all_inner_texts() == ["Expected", "Sampled"]
    (tmp_path / "patient.json").write_text('{"age": 55}')
    panel.locator("#slots input[type=file]").set_input_files(tmp_path / "patient.json")
    assert wait_for(page, lambda: panel.locator("#slot-patient").input_value() == '{"age": 55}')
    panel.locator("#model").select_option("breast_cem_cyclegan_narrow")
    assert panel.get_by_label("Seed", exact=True).input_value() == "17"
    assert panel.get_by_label("Rendering", exact=True).count() == 0


@at_every_size
def test_lesions_are_shown_on_opening_also_on_the_paired_image_and_tissues_are_none(page, server):
    study, panel = _open(page, server, "PHANTOM-0")
    stored = server.get(f"/studies/{study}/segmentations").json()["segmentations"]
    lesions = [each for each in stored if each["is_lesions"]]
    assert 0 < len(lesions) < len(stored)
    assert not any(each["removable"] for each in stored)
    items = panel.locator("mammosynth-stored #stored li")
    assert wait_for(page, lambda: items.count() == len(lesions))
    assert wait_for(page, lambda: sum(count > 0 for count in page.evaluate(_DRAWN)) == len(lesions))
    assert items.get_by_role("button", name="Delete").count() == 0
    screenshot(page, f"panel-lesions-{page.size}")

    _choose(panel, "L CC low energy")
    panel.get_by_role("button", name="Generate", exact=True).click()
    assert _outcome(page, panel) == "Done: the result hangs beside its source."
    wait_until_drawn(page, 2)
    page.wait_for_timeout(1000)
    shot = screenshot(page, f"panel-lesions-paired-{page.size}").astype(int)
    for view in views(page):
        (left, top), (right, bottom) = view.at(0, 0), view.at(view.shape[1], view.shape[0])
        box = shot[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)]
        assert np.count_nonzero(box[..., 0] - box[..., 2] > ORANGE) > 20, "the first lesion is drawn in orange"


def test_the_click_that_activates_a_viewport_does_not_paint(page, server):
    _, panel = _open(page, server)
    panel.get_by_role("button", name="Brush").click()
    second = views(page)[1]
    second.drag((30, 60), (40, 60), steps=4)
    assert page.evaluate(_DRAWN) == [0, 0, 0, 0]
    assert wait_for(page, lambda: "L CC" in panel.locator("mammosynth-drawing #image").inner_text())
    second.drag((30, 60), (40, 60), steps=4)
    drawn = page.evaluate(_DRAWN)
    assert [count > 0 for count in drawn] == [False, True, False, False]
    screenshot(page, f"panel-brush-{page.size}")


def test_history_tells_results_of_different_settings_apart_and_deletes_only_what_can_be(page, server):
    study, series = find_series(server, "EXAM")["R MLO low energy"]
    for parameters in ({"seed": 1}, {"seed": 2, "uncertainty": True}):
        server.synthesize(study, series, parameters=parameters)
    listed = server.get(f"/studies/{study}/synthesized").json()
    assert all(entry["removable"] for entry in listed["series"])
    listed["series"][0]["removable"] = False
    page.route("**/synthesized", lambda route: route.fulfill(json=listed))
    panel = open_study(page, server, study)
    every = panel.locator("mammosynth-history article")
    every.nth(2).wait_for()
    assert every.get_by_role("button", name="Show").count() == every.count()
    assert every.get_by_role("button", name="Delete").count() == every.count() - 1
    assert not every.first.get_by_role("button", name="Delete").is_visible()

    entries = every.filter(has_text="R MLO")
    texts = entries.all_inner_texts()
    assert len(set(texts)) == len(texts) >= 3
    assert any("seed 1" in text for text in texts)
    assert any("seed 2" in text and "uncertainty yes" in text for text in texts)
    assert all("breast_cem_residual" in text and "expected" in text for text in texts)
    panel.locator("mammosynth-history").scroll_into_view_if_needed()
    screenshot(page, f"panel-history-{page.size}")
    entries.filter(has_text="uncertainty R MLO").get_by_role("button", name="Show").first.click()
    assert wait_for(page, lambda: len(names(page)) == 3)
    assert ["uncertainty" in name for name in names(page)] == [False, False, True]
    screenshot(page, f"panel-uncertainty-{page.size}")
