"""Real OHIF in a real, headless Chromium: what a radiologist sees."""

import numpy as np
import pytest

from tests.support.ohif import names, open_study, options, shot, shown, wait_for, wait_until_drawn
from tests.support.server import find_series, order, running

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
    assert names(page) == ["L CC low energy", "SYNTHETIC contrast L CC"]
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
    assert names(page) == ["R MLO low energy", "SYNTHETIC contrast R MLO"]
    assert any("SYNTHETIC contrast R MLO" in text for text in _thumbnails(page))
    assert page.evaluate("window.isStillThisPage")

    page.evaluate(_ARRANGE, {"zoom": 2.5, "pan": [40, 10], "window": [0, 2000]})
    source, synthesized = shown(page)
    assert synthesized["zoom"] == pytest.approx(2.5)
    assert synthesized["pan"] == pytest.approx([40, 10], abs=0.1)
    # Header windows: 0 to 4095 in the phantom, 0 to 65535 in the result.
    assert source["window"] == pytest.approx([0, 2000])
    assert synthesized["window"] == pytest.approx([0, 2000 / 4095 * 65535], rel=1e-3)


def test_history_shows_provenance_and_deletes_from_archive_and_viewer_after_asking(page, server):
    study, series = find_series(server, "P003")["R CC low energy"]
    result = server.synthesize(study, series, parameters={"seed": 7, "uncertainty": True})["result"]
    panel = open_study(page, server, study)
    heading = page.get_by_role("heading", name="SYNTHETIC contrast R CC", exact=True)
    entry = panel.get_by_role("listitem").filter(has=heading)
    uncertainty = panel.get_by_role("button", name="Show SYNTHETIC contrast uncertainty R CC")
    uncertainty.click()
    wait_until_drawn(page, 2)
    assert "uncertainty" in names(page)[1]
    text = entry.inner_text()
    assert result["provenance"][0]["weights_sha256"][:12] in text
    assert "breast_cem_residual" in text
    entry.get_by_role("button", name="Show").click()
    assert wait_for(page, lambda: names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"])
    shot(page, "history", server)

    entry.get_by_role("button", name="Delete").click()
    entry.get_by_role("button", name="Keep").click()
    assert result["series_instance_uid"] in _archived(server, "P003")
    entry.get_by_role("button", name="Delete").click()
    shot(page, "deleting", server)
    entry.get_by_role("button", name="Delete for good").click()
    panel.get_by_text("Deleted: SYNTHETIC contrast R CC").wait_for()
    assert result["series_instance_uid"] not in _archived(server, "P003")
    assert wait_for(page, lambda: names(page) == ["R CC low energy", "R CC low energy"])
    assert wait_for(page, lambda: not any("SYNTHETIC contrast R CC" in text for text in _thumbnails(page)))

    panel.locator("#source").select_option(label=next(o for o in options(panel) if o.endswith("R CC low energy")))
    _generate(panel)  # the same again, after it was forgotten: it has the same UIDs
    panel.get_by_text("Done: the result hangs beside its source.").wait_for()
    assert names(page) == ["R CC low energy", "SYNTHETIC contrast R CC"]


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
    panel = open_study(page, server, study, "L CC recombined")
    alert = panel.get_by_role("alert").first
    _generate(panel)
    panel.get_by_text("expected low energy").wait_for()
    shot(page, "refused", server)

    panel.get_by_text("Advanced").click()
    panel.get_by_label("Seed").fill("-1")
    _generate(panel)
    panel.get_by_text("Seed: Value must be greater than or equal to 0").wait_for()
    panel.get_by_label("Seed").fill("0")

    page.route("**/synthesis", lambda route: route.abort())
    _generate(panel)
    panel.get_by_text("The server cannot be reached").wait_for()
    assert alert.is_visible()


def test_results_are_there_when_the_study_is_left_and_entered_again(page, server):
    page.goto(f"{server.address}/ohif/")
    page.get_by_text("P004", exact=True).first.click()
    page.get_by_role("link", name="Synthesis").or_(page.get_by_role("button", name="Synthesis")).first.click()
    wait_until_drawn(page, 4)
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
    model["parameters"] += [
        {"name": "lesion_mask", "type": "segmentation", "default": None, "unit": "", "description": "Where."},
        {
            "name": "dose",
            "type": "number",
            "default": 1.5,
            "minimum": 0,
            "maximum": 2,
            "unit": "mGy",
            "description": ".",
        },
        {"name": "kernel", "type": "string", "default": "b", "options": ["a", "b"], "unit": "", "description": ""},
    ]
    measure = {"name": "PSNR", "value": 20.1, "interval": [19.0, 21.1], "unit": "dB", "floor": 19.8, "ceiling": 26.6}
    model["scores"] = {"split": "test", "images": 56, "patients": 31, "measures": [measure]}
    page.route("**/info/", lambda route: route.fulfill(json=info))
    panel = open_study(page, server, study)
    dose = panel.get_by_label("Dose (mGy)")
    assert [dose.get_attribute(name) for name in ("type", "min", "max")] == ["number", "0", "2"]
    assert dose.input_value() == "1.5"
    assert panel.get_by_label("Kernel").input_value() == "b"
    assert not panel.get_by_label("Seed").is_visible()
    assert panel.get_by_label("Sop instance uid").count() == 0
    panel.get_by_text("How good it was in tests").click()
    assert panel.get_by_role("row").last.inner_text().split("\t") == ["PSNR (dB)", "20.1 [19, 21.1]", "19.8", "26.6"]
    uid = panel.evaluate(
        """panel => {
          const uid = panel.source().sopInstanceUid;
          const detail = { sopInstanceUid: '1.2.3', sourceSopInstanceUid: uid };
          const from = panel.shadowRoot.querySelector('mammosynth-drawing');
          from.dispatchEvent(new CustomEvent('mammosynth-segmentation', { bubbles: true, composed: true, detail }));
          return uid;
        }"""
    )
    assert uid
    assert panel.get_by_label("Lesion mask").input_value() == "1.2.3"


def test_the_panel_has_no_serious_accessibility_fault(page, server):
    from axe_playwright_python.sync_playwright import Axe

    study, series = find_series(server, "P001")["L CC low energy"]
    result = server.synthesize(study, series)["result"]
    page.goto(server.address + result["viewer_url"])
    panel = page.locator("mammosynth-panel")
    panel.get_by_text("Advanced").click()
    panel.get_by_role("button", name="Delete SYNTHETIC").first.click()
    panel.locator("#advanced input").first.wait_for()
    found = Axe().run(page, context="mammosynth-panel")
    assert found.response["passes"], "axe looked at nothing"
    serious = [fault for fault in found.response["violations"] if fault["impact"] in ("serious", "critical")]
    assert serious == [], found.generate_report()
