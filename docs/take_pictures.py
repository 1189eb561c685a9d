"""Takes the picture of README and of the site's first page again: the demo exam in real OHIF, in headless Chromium.

Run: `.venv/bin/python -m docs.take_pictures` from the repository's root (needs Chromium: `apt-get install chromium`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.demo import DEMO_SEED
from tests.support.ohif import CHROMIUM, FLAGS, WAIT_MS, wait_until_drawn
from tests.support.server import find_series, running

PICTURES = Path(__file__).parent / "pictures"


def main() -> None:
    """Write docs/pictures/side-by-side.png."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        studies = Path(folder) / "studies"
        write_exam(studies, seed=DEMO_SEED, workers=None, patient_id="DEMO")
        with running(Path(folder) / "data", "--studies", str(studies)) as server:
            study, series = find_series(server, "DEMO")["L CC low energy"]
            url = server.synthesize(study, series)["result"]["viewer_url"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1600, "height": 900})
            page.set_default_timeout(WAIT_MS)
            page.goto(server.address + url)
            page.locator("mammosynth-panel").get_by_text("SYNTHETIC contrast L CC").first.wait_for()
            page.get_by_role("button", name="Skip the tour").click()
            wait_until_drawn(page, 2)
            picture = PICTURES / "side-by-side.png"
            page.screenshot(path=str(picture))
            browser.close()
    Image.open(picture).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(picture, optimize=True)


if __name__ == "__main__":
    main()
