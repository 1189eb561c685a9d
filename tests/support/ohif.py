"""OHIF in a real, headless browser: opening a study, and what each viewport shows."""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu-compositing",  # of the page; what is drawn in software is drawn once, images by WebGL
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
SHOTS = Path(__file__).parents[1] / "e2e" / "screenshots"
WAIT_MS = 120_000
# Series description, zoom, pan and window of each viewport, as cornerstone has them.
_SHOWN = """async () => {
  const { services, views } = await import('/ohif/extensions/viewer.js');
  return views().map(({ viewportId, displaySet, sopInstanceUid }) => {
    const viewport = services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
    const { voiRange } = viewport?.getProperties() || {};
    return {
      series: displaySet.SeriesDescription.replace('SYNTHETIC PHANTOM ', ''), uid: displaySet.SeriesInstanceUID,
      sop: sopInstanceUid, zoom: viewport?.getZoom(), pan: viewport?.getPan(),
      window: voiRange && [voiRange.lower, voiRange.upper], mirrored: viewport?.getCamera().flipHorizontal,
    };
  });
}"""


def open_study(page, server, study, series=""):
    """The panel, once the study hangs by the four views; with a series active if one is given."""
    page.goto(f"{server.address}/ohif/synthesis?StudyInstanceUIDs={study}")
    panel = page.locator("mammosynth-panel")
    panel.locator("#advanced input").first.wait_for(state="attached")
    wait_until_drawn(page)
    if series:
        panel.locator("#source").select_option(label=next(o for o in options(panel) if o.endswith(series)))
    return panel


def options(panel):
    return panel.locator("#source option").all_inner_texts()


def shown(page):
    """What each viewport shows: series, uid, sop, zoom, pan, window, mirrored."""
    return page.evaluate(_SHOWN)


def names(page):
    return [view["series"] for view in shown(page)]


def plain_names(page):
    """What each viewport shows, without model and rendering."""
    return [name.partition(" expected ")[0] for name in names(page)]


def wait_for(page, question, timeout_s=WAIT_MS / 1000, *, every_ms=100):
    """The first answer that is true; None if there is none in time."""
    for _ in range(int(timeout_s * 1000 / every_ms)):
        if answer := question():
            return answer
        page.wait_for_timeout(every_ms)
    return None


def shot(page, name, server):
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=str(SHOTS / f"{name}-{server.data_dir.parent.name}.png"))


def pictures(page) -> list[np.ndarray]:
    """What each viewport shows, as grey values."""
    boxes = page.evaluate(
        "() => [...document.querySelectorAll('.cornerstone-canvas')].map(c => c.getBoundingClientRect().toJSON())"
    )
    shot = Image.open(io.BytesIO(page.screenshot())).convert("L")
    corners = [(box["left"], box["top"], box["right"], box["bottom"]) for box in boxes]
    return [np.asarray(shot.crop([round(c) for c in corner]), np.float32) for corner in corners]


def wait_until_drawn(page, count=None):
    """The viewports, once each shows more than an empty one does."""

    def drawn():
        found = pictures(page)
        wanted = len(shown(page)) if count is None and found else count
        return found if found and len(found) >= wanted and all(p.std() > 10 for p in found) else None

    found = wait_for(page, drawn, every_ms=250)  # a screenshot takes longer than most answers
    assert found, f"expected {count or 'as many as there are'} viewports that show an image, found {names(page)}"
    return found
