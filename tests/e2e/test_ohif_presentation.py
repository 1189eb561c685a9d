"""Real OHIF puts the grey on the screen that models see: of a source and of what is derived from it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from pydicom.dataset import Dataset

from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.read import read_mammogram
from mammosynth.task import IMAGE, Output, Placement
from monailabel_app.gateway.ohif import create_ohif, viewer_url
from monailabel_app.gateway.proxy import create_proxy
from monailabel_app.identity import LOCAL, SCOPE_KEY
from tests.support.archives import ARCHIVES, archive_of, serving
from tests.support.instances import as_file, build_instance, build_raw_instance, lut_item
from tests.support.ohif import SHOTS
from tests.support.provenance import provenance
from tests.support.server import Server, stow
from tests.support.viewports import clean_page

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
BARS, ROWS, COLUMNS = 12, 150, 120  # vertical bars of equal width, dark to bright
SPACING_MM = 0.1
SQUARED = np.rint(np.arange(4096) ** 2 / 4095).astype("<u2").tobytes()
NARROW = {"WindowCenter": "2000", "WindowWidth": "2400"}
INVERSE = {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}
GREY_LEVELS = 2.0  # of 255: how far the screen may be from what models see


def bars(lowest: float = 0, highest: float = 4095) -> np.ndarray:
    """(ROWS, COLUMNS) uint16."""
    levels = np.linspace(lowest, highest, BARS).round().astype(np.uint16)
    return np.tile(np.repeat(levels, COLUMNS // BARS), (ROWS, 1))


def ramp(**attributes: Any) -> Dataset:
    return build_instance(attributes.pop("values", bars()), ImagerPixelSpacing=[SPACING_MM, SPACING_MM], **attributes)


SOURCES = {
    "linear": lambda uids: ramp(**NARROW, **uids),
    "inverse": lambda uids: ramp(**NARROW, **INVERSE, **uids),
    "sigmoid": lambda uids: ramp(**NARROW, VOILUTFunction="SIGMOID", **uids),
    "inverse-sigmoid": lambda uids: ramp(**NARROW, **INVERSE, VOILUTFunction="SIGMOID", **uids),
    "voi-lut": lambda uids: ramp(**NARROW, VOILUTSequence=[lut_item(4096, 0, 12, SQUARED)], **uids),
    "padding": lambda uids: ramp(**INVERSE, PixelPaddingValue=0, **uids),
    "for-processing": lambda uids: build_raw_instance(
        np.rint(12000 * np.exp(bars() / -2000.0)).astype(np.uint16), ImagerPixelSpacing=[SPACING_MM] * 2, **uids
    ),
}

COMPRESSED = ("inverse",)  # whose derived images are written in JPEG-LS


@dataclass(frozen=True)
class Pair:
    """A source in the archive, the grey levels of its bars and of those of its derived image, and where both hang."""

    expected: np.ndarray
    """What models see of the source."""
    derived: np.ndarray
    """The same in the window of the derived image."""
    url: str


def in_window(grey: np.ndarray, derived: Dataset) -> np.ndarray:
    """Grey levels that a window makes of those of the whole range."""
    center, width = float(derived.WindowCenter), float(derived.WindowWidth)
    return 255 * np.clip((grey / 255 * 65535 - (center - width / 2)) / width, 0, 1)


@contextmanager
def viewer(archive_url: str) -> Iterator[str]:
    """OHIF and its way to the archive, without the models, which have no part in this."""
    app = FastAPI()
    app.include_router(create_ohif())
    app.include_router(create_proxy(archive_url, None)[0])

    async def as_local(scope, receive, send) -> None:
        await app({**scope, SCOPE_KEY: LOCAL}, receive, send)

    with serving(as_local) as address:
        yield address


@pytest.fixture(scope="module", params=ARCHIVES)
def pairs(request, tmp_path_factory) -> Iterator[dict[str, Pair]]:
    """Each source with an image of its display values, written as results are."""
    folder = tmp_path_factory.mktemp(request.param)
    with archive_of(request.param, folder) as url, viewer(url) as address:
        found, files = {}, []
        for number, (name, build) in enumerate(SOURCES.items(), 1):
            study = f"1.2.{number}"
            series = [f"{study}.1", f"{study}.2"]
            uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series[0], "SOPInstanceUID": f"{series[0]}.1"}
            instance = build({**uids, "PatientID": f"P{number}", "SeriesDescription": name})
            source = read_mammogram(instance)
            (derived,) = derive_instances(
                (Output(IMAGE, source),),
                *(provenance(), Placement.ON_SOURCE, source),
                identify=lambda kind, _, uid=series[1]: uid if kind == "series" else f"{uid}.1",
                burned_in_mark=False,
                compress=name in COMPRESSED,
            )
            for kind, dataset in (("source", instance), ("derived", derived)):
                files.append(folder / f"{name}-{kind}.sent")
                files[-1].write_bytes(as_file(dataset).getvalue())
            grey = 255 * source.pixels[ROWS // 2, COLUMNS // BARS // 2 :: COLUMNS // BARS]
            found[name] = Pair(grey, in_window(grey, derived), address + viewer_url(study, series))
        stored = stow(Server(None, address, folder), files)
        assert stored.status_code == 200, stored.text
        yield found


@pytest.fixture(scope="module")
def page(browser):
    page = clean_page(browser, 1600, 700)
    yield page
    page.close()


# Where on the screen points of the image are, by viewport from left to right; nothing before images are there.
_FIND_BARS = """async points => {
  const { services, cornerstone, views } = await import('/ohif/extensions/viewer.js');
  const { cornerstone: core } = cornerstone();
  return views().map(({ viewportId, imageId }) => {
    const viewport = services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
    if (!viewport?.getImageData?.()) return null;
    const { left, top } = viewport.element.getBoundingClientRect();
    return points.map(point => {
      const [x, y] = viewport.worldToCanvas(core.utilities.imageToWorldCoords(imageId, point));
      return [left + x, top + y];
    });
  });
}"""


def shown_bars(page) -> list[np.ndarray]:
    """The grey level of each bar in each viewport that shows an image."""
    width = COLUMNS // BARS
    points = [[(bar + 0.5) * width, ROWS / 3] for bar in range(BARS)]  # clear of the overlays in the corners
    found = [positions for positions in page.evaluate(_FIND_BARS, points) if positions]
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"), np.float64)
    return [
        np.array([np.median(screen[int(y) - 3 : int(y) + 4, int(x) - 2 : int(x) + 3]) for x, y in positions])
        for positions in found
    ]


def wait_for_bars(page, timeout_s: float = 120) -> list[np.ndarray]:
    """The bars of both viewports once they are drawn and have stopped to change."""
    before: list[np.ndarray] = []
    page.locator(".cornerstone-canvas").nth(1).wait_for(timeout=1000 * timeout_s)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        shown = shown_bars(page)
        if len(shown) == 2 and all(np.ptp(each) > 20 for each in shown) and np.array_equal(shown, before):
            return shown
        before = shown
        page.wait_for_timeout(500)
    pytest.fail(f"{len(before)} viewports after {timeout_s} s, or an empty one; expected 2 that show an image")


@pytest.mark.parametrize("name", SOURCES)
def test_source_and_derived_image_have_the_grey_that_models_see(page, pairs, name, request):
    pair = pairs[name]
    page.goto(pair.url, timeout=120_000)
    source, derived = wait_for_bars(page)
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SHOTS / f"presentation-{request.node.callspec.id}.png"))
    assert len(set(pair.expected.round())) >= 6, "bars of equal grey would show little"
    np.testing.assert_allclose(source, pair.expected, atol=GREY_LEVELS)
    np.testing.assert_allclose(derived, pair.derived, atol=GREY_LEVELS)


_BRIGHTEN = """async factor => {
  const { services, views } = await import('/ohif/extensions/viewer.js');
  const viewport = services().cornerstoneViewportService.getCornerstoneViewport(views()[0].viewportId);
  const { lower, upper } = viewport.getProperties().voiRange;
  const width = factor * (upper - lower);
  // The dark end stays: low values, or high ones where the image is inverse.
  viewport.setProperties({
    voiRange: viewport.getProperties().invert ? { lower: upper - width, upper } : { lower, upper: lower + width },
  });
  viewport.render();
}"""


@pytest.mark.parametrize("name", ["linear", "inverse"])
def test_a_brighter_window_of_the_source_brightens_the_derived_image_alike(page, pairs, name):
    pair = pairs[name]
    page.goto(pair.url, timeout=120_000)
    wait_for_bars(page)
    page.evaluate(_BRIGHTEN, 0.5)
    source, derived = wait_for_bars(page)
    brighter = np.minimum(2 * pair.expected, 255)
    assert np.abs(brighter - pair.expected).max() > 50
    np.testing.assert_allclose(source, brighter, atol=2 * GREY_LEVELS)
    np.testing.assert_allclose(derived, np.minimum(2 * pair.derived, 255), atol=2 * GREY_LEVELS)
