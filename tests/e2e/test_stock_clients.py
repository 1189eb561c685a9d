"""Stock clients of MONAI Label show every result as a label map: they must list nothing of ours."""

import re
from pathlib import Path

import monailabel
import pytest

from tests.support.ohif import SHOTS
from tests.support.server import find_series

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


def test_the_stock_ohif_mode_connects_and_offers_no_model_for_a_mammogram(page, server, models):
    study = find_series(server, "P001")["L CC low energy"][0]
    page.goto(f"{server.address}/ohif/monai-label?StudyInstanceUIDs={study}")
    page.fill("#monailabelServerURL", f"{server.address}/")
    page.click(".settingsTable .actionButton")
    page.get_by_text("Connected to MONAI Label - Successful").first.wait_for()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "stock-monai-label-mode.png")
    offered = page.eval_on_selector_all("select option", "all => all.map(one => one.textContent)")
    assert not set(offered) & set(models)
