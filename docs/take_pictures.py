"""Takes the pictures of README and of the site's first pages again: the demo exam in real OHIF, in headless Chromium.

Run: `.venv/bin/python -m docs.take_pictures` from the repository's root (needs Chromium: `apt-get install chromium`).
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.demo import DEMO_SEED
from tests.support.ohif import CHROMIUM, FLAGS, WAIT_MS, open_study, options, wait_until_drawn
from tests.support.server import Server, find_series, running

PICTURES = Path(__file__).parent / "pictures"
SOURCE = "L CC low energy"
MOVING_WIDTH = 960  # pixels; the page is larger, so that text stays readable
READ_MS, STEP_MS = 1500, 120  # how long a frame stays that is to be read, and one of a movement
SWIPE = (*range(50, 2, -4), *range(2, 50, 4))  # % of the viewport left of the divider


def main() -> None:
    """Write docs/pictures/side-by-side.png and moving.webp."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        studies = Path(folder) / "studies"
        write_exam(studies, seed=DEMO_SEED, workers=None, patient_id="DEMO")
        with running(Path(folder) / "data", "--studies", str(studies)) as server:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            with page_of(browser, 1280, 720) as page:
                save_moving(generate_and_swipe(page, server), PICTURES / "moving.webp")
            with page_of(browser, 1600, 900) as page:
                take_side_by_side(page, server)
            browser.close()


@contextmanager
def page_of(browser: Browser, width: int, height: int) -> Iterator[Page]:
    """A page that remembers nothing."""
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(WAIT_MS)
    yield page
    page.close()


def generate_and_swipe(page: Page, server: Server) -> Iterator[tuple[Image.Image, int]]:
    """Open a study, press Generate, and swipe: pictures, each with the milliseconds that it stays."""
    panel = open_study(page, server, find_series(server, "DEMO")[SOURCE][0])
    panel.get_by_role("button", name="Skip the tour").click()
    panel.locator("#source").select_option(label=next(each for each in options(panel) if each.endswith(SOURCE)))
    generate = panel.get_by_role("button", name="Generate", exact=True)
    generate.hover()
    yield frame(page), READ_MS
    generate.click()
    done = panel.get_by_text("Done: the result hangs beside its source.")
    while not done.is_visible():
        yield frame(page), 2 * STEP_MS
    wait_until_drawn(page, 2)
    yield frame(page), READ_MS
    page.keyboard.press("4")
    for position in SWIPE:
        page.locator("mammosynth-compare #position").fill(str(position))
        page.wait_for_timeout(STEP_MS)
        yield frame(page), STEP_MS
    yield frame(page), READ_MS


def frame(page: Page) -> Image.Image:
    """What the page shows now."""
    shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return shot.resize((MOVING_WIDTH, round(shot.height * MOVING_WIDTH / shot.width)), Image.Resampling.LANCZOS)


def save_moving(frames: Iterator[tuple[Image.Image, int]], file: Path) -> None:
    """An animated WebP that begins again for ever."""
    (first, *others), durations = zip(*frames, strict=True)
    first.save(file, save_all=True, append_images=others, duration=list(durations), loop=0, quality=70, method=6)


def take_side_by_side(page: Page, server: Server) -> None:
    """The address that `make demo` prints, as it opens."""
    study, series = find_series(server, "DEMO")[SOURCE]
    page.goto(server.address + server.synthesize(study, series)["result"]["viewer_url"])
    page.locator("mammosynth-panel").get_by_text("SYNTHETIC contrast L CC").first.wait_for()
    page.get_by_role("button", name="Skip the tour").click()
    wait_until_drawn(page, 2)
    picture = PICTURES / "side-by-side.png"
    page.screenshot(path=str(picture))
    Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


if __name__ == "__main__":
    main()
