"""Stock clients of MONAI Label show every result as a label map: they must list nothing of ours."""

import re
import shutil
from pathlib import Path

import monailabel
import pytest

from tests.e2e.server import find_series
from tests.e2e.test_ohif import FLAGS, SHOTS, WAIT_MS

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
OHIF = Path(monailabel.__file__).parent / "endpoints" / "static" / "ohif"
# MONAI Label 0.8.5, plugins/slicer/MONAILabel/MONAILabel.py: what its four selectors of models take; a model without a
# type counts as a segmentation there.
LISTED_BY_SLICER = {"segmentation", "detection", "deepgrow", "deepedit", "scribbles"}


@pytest.fixture(scope="module")
def models(server):
    """The models of /info."""
    models = server.get("/info/").json()["models"]
    assert "contrast" in models
    return models


def test_the_stock_slicer_module_lists_nothing(models):
    assert {model["type"] for model in models.values()}.isdisjoint(LISTED_BY_SLICER)


def test_the_stock_ohif_extension_lists_nothing(models):
    texts = (file.read_text() for file in OHIF.glob("*.js"))
    extension = "".join(text for text in texts if "extensions/monai-label/src/components" in text)
    listed = set(re.findall(r"models\[m\]\.type === '(\w+)'", extension))
    assert listed == {"segmentation", "vista3d", "deepgrow", "deepedit"}
    assert {model["type"] for model in models.values()}.isdisjoint(listed)


def test_the_stock_ohif_mode_connects_and_offers_no_model_for_a_mammogram(server, models):
    chromium = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    study = find_series(server, "P001")["L CC low energy"][0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.set_default_navigation_timeout(WAIT_MS)
        page.goto(f"{server.address}/ohif/monai-label?StudyInstanceUIDs={study}")
        page.fill("#monailabelServerURL", f"{server.address}/")
        page.click(".settingsTable .actionButton")
        page.get_by_text("Connected to MONAI Label - Successful").first.wait_for()
        SHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SHOTS / "stock-monai-label-mode.png")
        offered = page.eval_on_selector_all("select option", "all => all.map(one => one.textContent)")
        browser.close()
    assert not set(offered) & set(models)
