"""Real OHIF in a real, headless Chromium: what a radiologist sees."""

import numpy as np
import pytest

from tests.support.accessibility import accessibility_faults
from tests.support.ohif import names, open_study, options, plain_names, shot, shown, wait_for, wait_until_drawn
from tests.support.server import find_series, made, order, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
_ARRANGE = """async ({ zoom, pan, window }) => {
  const { services, views } = await import('/ohif/extensions/viewer.js');
  const viewport = services().cornerstoneViewportService.getCornerstoneViewport(views()[0].viewportId);
  viewport.setZoom(zoom);
  viewport.setPan(pan);
  viewport.setProperties({ voiRange: { lower: window[0], upper: window[1] } });
  viewport.render();
}"""
_PAIR = """async () => {
  const { describe, pair } = await import('/ohif/extensions/viewer.js');
  const hung = pair();
  return hung && [hung.source, hung.synthesized].map(view => describe(view).split(',')[0]);
}"""
_GO = """path => {
  history.pushState({}, '', path);
  dispatchEvent(new PopStateEvent('popstate', { state: {} }));
}"""


def _generate(panel):
    panel.get_by_role("button", name="Generate", exact=True).click()


def _thumbnails(page):
    return page.locator("[data-cy='study-browser-thumbnail']").all_inner_texts()


def test_the_study_list_shows_the_demo_patient_only(page, exams, tmp_path):
    with running(tmp_path / "data", "--studies", str(exams / "P001")) as server:
        page.goto(f"{server.address}/ohif/")
        page.get_by_text("P001", exact=True).first.wait_for()
        shot(page, "study-list", server)
        rows = page.locator("[data-cy='study-list-results'] tr, table tbody tr").all_inner_texts()
        listed = page.inner_text("body")
        assert sum("P001" in row for row in rows) == 1 or listed.count("P001") == 1
        assert "P002" not in listed


def test_the_browser_signs_in_by_address_once(page, exams, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdefghij")
    token.chmod(0o600)
    with running(tmp_path / "data", "--studies", str(exams / "P001"), "--token-file", str(token)) as server:
        page.goto(f"{server.address}/ohif/?token=0123456789abcdefghij")
        page.get_by_text("P001", exact=True).first.wait_for()
        assert "token" not in page.url


def test_the_address_of_a_result_hangs_it_beside_its_source_and_asks_nobody_else(page, server):
    study, series = find_series(server, "P001")["L CC low energy"]
    result = server.synthesize(study, series)["result"]
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address + result["viewer_url"])
    left, right = wait_until_drawn(page, 2)
    shot(page, "side-by-side", server)
    assert plain_names(page) == ["L CC low energy", "SYNTHETIC contrast L CC"]
    assert np.abs(left[:600, :400] - right[:600, :400]).mean() > 2
    assert min(len(left), len(right)) > 700, "the pair should fill the height of the screen"
    assert "P002" not in page.inner_text("body")
    assert [url for url in asked if not url.startswith((server.address, "data:", "blob:"))] == []


def test_a_radiologist_generates_and_the_result_hangs_linked_beside_its_source_without_a_reload(page, server):
    study, _ = find_series(server, "P001")["R MLO low energy"]
    panel = open_study(page, server, study, "R MLO low energy")
    page.evaluate("window.isStillThisPage = true")
    _generate(panel)
    panel.get_by_role("button", name="Cancel").wait_for()
    shot(page, "generating", server)
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    wait_until_drawn(page, 2)
    shot(page, "generated", server)
    assert plain_names(page) == ["R MLO low energy", "SYNTHETIC contrast R MLO"]
    assert any("SYNTHETIC contrast R MLO" in text for text in _thumbnails(page))
    assert page.evaluate("window.isStillThisPage")

    (least, most), (low, high) = [view["window"] for view in shown(page)]  # as the headers ask for
    page.evaluate(_ARRANGE, {"zoom": 2.5, "pan": [40, 10], "window": [0, 2000]})
    source, synthesized = shown(page)
    assert synthesized["zoom"] == pytest.approx(2.5)
    assert synthesized["pan"] == pytest.approx([40, 10], abs=0.1)
    assert source["window"] == pytest.approx([0, 2000])
    expected = [low + (value - least) / (most - least) * (high - low) for value in (0, 2000)]
    assert synthesized["window"] == pytest.approx(expected, rel=1e-3)


def test_history_shows_provenance_and_deletes_from_archive_and_viewer_after_asking(page, server):
    study, series = find_series(server, "P003")["R CC low energy"]
    result = server.synthesize(study, series, parameters={"seed": 7, "uncertainty": True})["result"]
    panel = open_study(page, server, study)
    heading = page.get_by_role("heading", name="SYNTHETIC contrast R CC")
    entry = panel.get_by_role("listitem").filter(has=heading)
    uncertainty = panel.get_by_role("button", name="Show SYNTHETIC contrast uncertainty R CC")
    uncertainty.click()
    wait_until_drawn(page, 3)
    assert ["uncertainty" in name for name in names(page)] == [False, False, True]
    entry.get_by_text("How it was made").click()
    text = entry.inner_text()
    assert result["provenance"][0]["weights_sha256"][:12] in text
    assert "breast_cem_residual" in text
    entry.get_by_role("button", name="Show").click()
    assert wait_for(page, lambda: plain_names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"])
    shot(page, "history", server)

    entry.get_by_role("button", name="Delete").click()
    entry.get_by_role("button", name="Keep").click()
    assert made(result)["series_instance_uid"] in _archived(server, "P003")
    entry.get_by_role("button", name="Delete").click()
    shot(page, "deleting", server)
    entry.get_by_role("button", name="Delete for good").click()
    panel.get_by_text("Deleted: SYNTHETIC contrast R CC").wait_for()
    assert made(result)["series_instance_uid"] not in _archived(server, "P003")
    assert wait_for(page, lambda: plain_names(page) == ["R CC low energy", "R CC low energy"])
    assert wait_for(page, lambda: not any("SYNTHETIC contrast R CC" in text for text in _thumbnails(page)))

    panel.locator("#source").select_option(label=next(o for o in options(panel) if o.endswith("R CC low energy")))
    _generate(panel)  # the same again, after it was forgotten: it has the same UIDs
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    assert plain_names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"]


def _archived(server, patient):
    return {series for _, series in find_series(server, patient).values()}


def test_cancel_ends_the_job_on_the_server(page, server):
    study, _ = find_series(server, "P002")["all views low energy"]
    panel = open_study(page, server, study)
    other, others = find_series(server, "P004")["L CC low energy"]
    for seed in range(100, 104):  # the queue is busy, so that there is time to change one's mind
        body = order(other, others)
        server.post("/synthesis", json={**body, "parameters": {"seed": seed}}).raise_for_status()
    with page.expect_response(lambda answer: answer.url.endswith("/synthesis") and answer.status == 202) as submitted:
        _generate(panel)
    panel.get_by_role("button", name="Cancel").click()
    panel.get_by_text("Cancelled.").wait_for()
    assert server.wait(submitted.value.json()["job_id"], "cancelled")
    assert panel.get_by_role("button", name="Generate", exact=True).is_enabled()


def test_what_goes_wrong_is_said_in_words(page, server):
    study, _ = find_series(server, "P003")["L CC recombined"]
    panel = open_study(page, server, study)
    alert = panel.get_by_role("alert").first
    panel.get_by_text("Advanced").click()
    panel.get_by_label("Seed", exact=True).fill("-1")
    _generate(panel)
    panel.get_by_text("Seed: Value must be greater than or equal to 0").wait_for()
    panel.get_by_label("Seed", exact=True).fill("0")

    def refuse(route):
        route.fulfill(status=422, json={"detail": "2.25.1.4: the image is too small; choose another image"})

    page.route("**/synthesis", refuse)
    _generate(panel)
    panel.get_by_text("The image is too small; choose another image").wait_for()
    assert alert.inner_text().startswith("The image")
    shot(page, "refused", server)

    page.unroute("**/synthesis")
    page.route("**/synthesis", lambda route: route.abort())
    _generate(panel)
    panel.get_by_text("The server cannot be reached").wait_for()
    assert alert.is_visible()


def test_results_are_there_when_the_study_is_left_and_entered_again(page, server):
    page.goto(f"{server.address}/ohif/")
    page.get_by_text("P004", exact=True).first.click()
    page.get_by_role("link", name="Synthesis").or_(page.get_by_role("button", name="Synthesis")).first.click()
    wait_until_drawn(page)
    address = page.evaluate("location.pathname + location.search")
    page.evaluate(_GO, "/ohif/")
    page.get_by_text("P004", exact=True).first.wait_for()
    study, series = find_series(server, "P004")["R CC low energy"]
    server.synthesize(study, series)
    page.evaluate(_GO, address)
    assert wait_for(page, lambda: any("SYNTHETIC contrast R CC" in text for text in _thumbnails(page)))
    page.locator("mammosynth-panel").get_by_role("button", name="Show SYNTHETIC contrast R CC").first.wait_for()


def test_one_view_of_a_series_with_several_is_synthesized_and_hung(page, server):
    study, _ = find_series(server, "P002")["all views low energy"]
    panel = open_study(page, server, study)
    for view in ("R CC", "L MLO"):
        panel.locator("#source").select_option(label=next(o for o in options(panel)[1:] if o.startswith(view)))
        _generate(panel)
        panel.get_by_text("Done: the result hangs beside its source.").wait_for()
        assert wait_for(page, lambda wanted=view: page.evaluate(_PAIR) == [wanted, wanted], 60), page.evaluate(_PAIR)


def test_controls_and_scores_follow_from_what_the_server_says(page, server):
    study, _ = find_series(server, "P001")["L CC low energy"]
    info = server.get("/info/").json()
    model = info["models"]["contrast"]
    dose = {"type": "number", "default": 1.5, "minimum": 0, "maximum": 2, "unit": "mGy", "description": "."}
    model["parameters"]["properties"] |= {
        "dose": dose,
        "kernel": {"type": "string", "default": "b", "enum": ["a", "b"], "description": ""},
        "rendering": {"type": "string", "default": "expected", "enum": ["expected", "sampled"], "description": ""},
    }
    measure = {"name": "PSNR", "value": 20.54504, "interval": [19.0213, 21.1337], "unit": "dB"}
    measure |= {"floor": 19.8123, "ceiling": 26.6111}
    model["scores"] = {"split": "test", "images": 56, "patients": 31, "measures": [measure]}
    page.route("**/info/", lambda route: route.fulfill(json=info))
    panel = open_study(page, server, study)
    control = panel.get_by_label("Dose (mGy)")
    assert [control.get_attribute(name) for name in ("type", "min", "max")] == ["number", "0", "2"]
    assert control.input_value() == "1.5"
    assert panel.get_by_label("Kernel").input_value() == "b"
    assert panel.get_by_label("Rendering", exact=True).locator("option").all_inner_texts() == ["Expected", "Sampled"]
    assert not panel.get_by_label("Seed", exact=True).is_visible()
    panel.get_by_text("How good it was in tests").click()
    row = panel.get_by_role("row").last.inner_text().split("\t")
    assert row == ["PSNR (dB)", "20.5 [19.0, 21.1]", "19.8", "26.6"]


def test_axe_finds_nothing_wrong(page, server):
    study, series = find_series(server, "P001")["L CC low energy"]
    result = server.synthesize(study, series)["result"]
    page.goto(server.address + result["viewer_url"])
    panel = page.locator("mammosynth-panel")
    panel.get_by_text("Advanced").click()
    panel.get_by_role("button", name="Delete SYNTHETIC").first.click()
    panel.locator("#advanced input").first.wait_for()
    assert accessibility_faults(page, "mammosynth-panel") == []
