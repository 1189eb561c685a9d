"""The viewer in a real browser, for tests that touch images: where a pixel is on the screen, what is shown there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.ohif import SHOTS, WAIT_MS, wait_for, wait_until_drawn
from tests.support.server import Server, made

SCREENS = {"1280x800": (1280, 800), "1920x1080": (1920, 1080), "2560x1440": (2560, 1440)}
# For tests of how the viewer lies on the screen; of what it does, one size is enough.
at_every_size = pytest.mark.parametrize("screen", SCREENS, indirect=True)
EDGE = 1.5  # pixels of the screen: how far from its place an image may lie
# Asked of cornerstone itself, not of our own overlay: image corners (0, 0) and (columns, rows) on the screen.
_PLACES = """async () => {
  const { services, cornerstone, describe, views } = await import('/ohif/extensions/viewer.js');
  const { utilities } = cornerstone().cornerstone;
  return views().flatMap(({ viewportId, imageId, sopInstanceUid, displaySet }) => {
    const viewport = services().cornerstoneViewportService.getCornerstoneViewport(viewportId);
    if (!viewport?.getImageData?.()) return [];
    const name = describe({ displaySet, sopInstanceUid }).split(',')[0];
    const box = viewport.getCanvas().getBoundingClientRect().toJSON();
    const { Rows: rows, Columns: columns } = displaySet.instances[0];
    const at = position => {
      const [x, y] = viewport.worldToCanvas(utilities.imageToWorldCoords(imageId, position));
      return [x + box.left, y + box.top];
    };
    return { viewportId, name, box, sopInstanceUid, rows, columns, first: at([0, 0]), last: at([columns, rows]) };
  });
}"""


# OHIF takes errors out of the console and shows a toast instead, some of them for a moment only. One is its own, and
# nobody sees it: a resize scrolls 40 ms later, also in viewports that are gone by then (3.10, setImageIdIndex).
_TELL = """
  const isLateScroll = ({ stack }) => /_throwIfDestroyed[^]*setImageIdIndex/.test(stack);
  addEventListener('unhandledrejection', ({ reason }) => console.error(`not handled: ${reason?.stack || reason}`));
  addEventListener('error', ({ error }) =>
    error && !isLateScroll(error) && console.error(`not caught: ${error.stack || error}`));
  new MutationObserver(changes => changes
    .flatMap(({ addedNodes }) => [...addedNodes])
    .flatMap(node => [node, ...(node.querySelectorAll?.('*') ?? [])]) // the first one comes with its list
    .filter(node => node.matches?.('[data-sonner-toast]'))
    .forEach(toast => console.error(`toast: ${toast.innerText}`))
  ).observe(document, { childList: true, subtree: true });
"""


def clean_page(browser: Any, width: int, height: int) -> Any:
    """A page that remembers nothing of others but what is compiled of the viewer, which takes half of opening it.

    For one page at a time: what others of the browser's profile have stored is gone.
    """
    profile = browser.contexts[0]  # other contexts keep no compiled code
    page = profile.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.set_default_timeout(WAIT_MS)
    page.set_default_navigation_timeout(WAIT_MS)
    session = profile.new_cdp_session(page)
    session.send("Storage.clearDataForOrigin", {"origin": "*", "storageTypes": "local_storage,indexeddb"})
    session.detach()
    profile.clear_cookies()
    return page


def watched_page(browser: Any, screen: str) -> Any:
    """A clean page of one of the sizes, which is its `size`; errors and toasts are kept in its `faults`."""
    page = clean_page(browser, *SCREENS[screen])
    page.add_init_script(_TELL)
    page.size, page.faults = screen, []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    return page


class View:
    """One viewport as it shows its image now."""

    def __init__(self, page: Any, place: dict[str, Any]) -> None:
        self.page = page
        self.viewport_id: str = place["viewportId"]
        self.name: str = place["name"]  # such as R MLO
        self.box: tuple[float, ...] = tuple(place["box"][side] for side in ("left", "top", "right", "bottom"))
        self.sop_instance_uid: str = place["sopInstanceUid"]
        self.shape: tuple[int, int] = (place["rows"], place["columns"])
        self.first, self.last = np.array(place["first"]), np.array(place["last"])

    @property
    def width(self) -> float:
        """Of the image, in pixels of the screen."""
        return abs(float(self.last[0] - self.first[0]))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a position in pixels of the image is; (0, 0) is its outer corner."""
        place = self.first + (self.last - self.first) * (x / self.shape[1], y / self.shape[0])
        return float(place[0]), float(place[1])

    def drag(self, *positions: tuple[float, float], steps: int = 1) -> None:
        """Draw with the left button through positions of the image."""
        mouse = self.page.mouse
        mouse.move(*self.at(*positions[0]))
        mouse.down()
        for position in positions[1:]:
            mouse.move(*self.at(*position), steps=steps)
        mouse.up()

    def colours(self, shot: np.ndarray, step: int = 4) -> np.ndarray:
        """(N, 3) what a screenshot shows on a grid of image positions in the middle of the image."""
        rows, columns = self.shape
        places = [self.at(x, y) for y in range(rows // 4, 3 * rows // 4, step) for x in range(4, columns // 2, step)]
        return np.array([shot[round(y), round(x)] for x, y in places], np.float32)

    def faults(self) -> Iterator[str]:
        """Why it does not lie as it should: whole, as large as its viewport allows, its chest wall at the edge."""
        (left, right), (top, bottom) = (sorted((self.first[axis], self.last[axis])) for axis in (0, 1))
        beyond = max(self.box[0] - left, right - self.box[2], self.box[1] - top, bottom - self.box[3])
        slack = min(self.box[2] - self.box[0] - (right - left), self.box[3] - self.box[1] - (bottom - top))
        from_edge = self.box[2] - right if self.name.startswith("R") else left - self.box[0]
        if beyond > EDGE:
            yield f"{self.name}: {beyond:.1f} pixels outside its viewport"
        if slack > EDGE:
            yield f"{self.name}: {slack:.1f} pixels smaller than its viewport allows"
        if abs(from_edge) > EDGE:
            yield f"{self.name}: chest wall {from_edge:.1f} pixels from the edge"


def misplaced(page: Any, count: int) -> list[str]:
    """What is wrong with the places of images; nothing if so many hang and each lies as it should."""
    found = views(page)
    if len(found) != count:
        return [f"{len(found)} images hang, expected {count}"]
    return [fault for view in found for fault in view.faults()]


def assert_in_place(page: Any, count: int) -> None:
    """Wait until so many images hang and are drawn; each must lie as it should."""
    wait_for(page, lambda: not misplaced(page, count))
    wait_until_drawn(page, count)
    wait_for(page, lambda: not misplaced(page, count), 10)  # a late resize is mended before it is drawn
    assert misplaced(page, count) == []


def views(page: Any) -> list[View]:
    """The viewports that show something, in the order of the grid."""
    return [View(page, place) for place in page.evaluate(_PLACES)]


def screenshot(page: Any, name: str = "") -> np.ndarray:
    """(H, W, 3) uint8 of the page; kept among the screenshots if it has a name."""
    data = page.screenshot()
    if name:
        SHOTS.mkdir(exist_ok=True)
        (SHOTS / f"{name}.png").write_bytes(data)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def open_pair(page: Any, server: Server, source: tuple[str, str], result: dict[str, Any]) -> tuple[View, View]:
    """A source (study, series) and what was synthesized from it, hung side by side in the Synthesis mode."""
    study, series = source
    asked = f"StudyInstanceUIDs={study}&SeriesInstanceUIDs={series},{made(result)['series_instance_uid']}"
    page.goto(f"{server.address}/ohif/synthesis?{asked}&hangingprotocolId=mammosynth.pair")
    page.locator("mammosynth-compare #modes").wait_for(timeout=WAIT_MS)
    page.wait_for_function("() => document.querySelectorAll('.cornerstone-canvas').length === 2", timeout=WAIT_MS)
    for _ in range(240):
        found = views(page) if page.locator("mammosynth-compare #modes:enabled").count() else []
        if len(found) == 2 and all(view.colours(screenshot(page)).std() > 5 for view in found):
            return found[0], found[1]
        page.wait_for_timeout(500)
    pytest.fail("the pair was not drawn")


def chosen_in_screening(page, panel, model: str, name: str):
    """The view of an image, once a model is chosen, the screening exam hangs and that image was clicked."""
    panel.locator("#model").select_option(model)
    panel.locator("#layout").select_option("mammosynth.screening")
    assert_in_place(page, 4)
    source = next(view for view in views(page) if view.name == name)
    page.mouse.click(*source.at(60, 100))
    return source
