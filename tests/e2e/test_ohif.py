"""Real OHIF in a real, headless Chromium: what a radiologist sees."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.server import find_series, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SHOTS = Path(__file__).parent / "screenshots"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    yield page
    context.close()


def _shot(page, name, server):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}-{server.data_dir.parent.name}.png"))


def _views(page) -> list[np.ndarray]:
    """What each viewport shows, as grey values."""
    boxes = page.evaluate(
        "() => [...document.querySelectorAll('.cornerstone-canvas')].map(c => c.getBoundingClientRect().toJSON())"
    )
    shot = Image.open(io.BytesIO(page.screenshot())).convert("L")
    corners = [(box["left"], box["top"], box["right"], box["bottom"]) for box in boxes]
    return [np.asarray(shot.crop([round(c) for c in corner]), np.float32) for corner in corners]


def _wait_until_drawn(page, count, timeout_s=90):
    """The viewports, once each shows more than an empty one does."""
    for _ in range(timeout_s * 2):
        views = _views(page)
        if len(views) == count and all(view.std() > 10 for view in views):
            return views
        page.wait_for_timeout(500)
    pytest.fail(f"{len(views)} viewports after {timeout_s} s, or an empty one; expected {count} that show an image")


def test_the_study_list_shows_the_demo_patient_only(page, exams, tmp_path):
    with running(tmp_path / "data", "--studies", str(exams / "P001")) as server:
        page.goto(f"{server.address}/ohif/")
        page.get_by_text("P001", exact=True).first.wait_for(timeout=60000)
        _shot(page, "study-list", server)
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
        page.get_by_text("P001", exact=True).first.wait_for(timeout=60000)
        assert "token" not in page.url


def test_low_energy_and_synthesized_contrast_hang_side_by_side_and_say_what_they_are(page, server):
    study, series = find_series(server, "P001")["L CC low energy"]
    result = server.synthesize(study, series)["result"]
    page.goto(server.address + result["viewer_url"])
    left, right = _wait_until_drawn(page, 2)
    _shot(page, "side-by-side", server)
    texts = page.inner_text("body")
    assert "SYNTHETIC" in texts
    assert "L CC low energy" in texts
    assert np.abs(left[:600, :500] - right[:600, :500]).mean() > 2
    assert min(len(left), len(right)) > 700, "the pair should fill the height of the screen"


def test_a_radiologist_asks_in_the_viewer_and_sees_the_result_beside_the_source(page, server):
    study, series = find_series(server, "P001")["R MLO low energy"]
    page.goto(f"{server.address}/ohif/viewer?StudyInstanceUIDs={study}&SeriesInstanceUIDs={series}")
    _wait_until_drawn(page, 1)
    button = page.get_by_role("button", name="Synthesize contrast")
    button.wait_for(timeout=20000)
    _shot(page, "asking", server)
    button.click()
    page.wait_for_url("**hangingprotocolId=mammosynth.pair**", timeout=60000)
    _wait_until_drawn(page, 2)
    assert "SYNTHETIC contrast R MLO" in page.inner_text("body")


def test_a_refusal_is_shown_in_the_viewer_in_words(page, server):
    study, series = find_series(server, "P003")["L CC recombined"]
    page.goto(f"{server.address}/ohif/viewer?StudyInstanceUIDs={study}&SeriesInstanceUIDs={series}")
    _wait_until_drawn(page, 1)
    page.get_by_role("button", name="Synthesize contrast").click(timeout=20000)
    page.get_by_text("expected low energy").wait_for(timeout=30000)


def test_the_studies_panel_never_offers_another_patient(page, server):
    study, series = find_series(server, "P001")["L CC low energy"]
    result = server.synthesize(study, series)["result"]
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address + result["viewer_url"])
    _wait_until_drawn(page, 2)
    assert "P002" not in page.inner_text("body")
    outside = [url for url in asked if not url.startswith((server.address, "data:", "blob:"))]
    assert outside == []
