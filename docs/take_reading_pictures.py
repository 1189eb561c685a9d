"""Takes the pictures of tutorials/reading-tutorial.md again: its study of phantoms, run and read in headless Chromium.

Run: `.venv/bin/python -m docs.take_reading_pictures FOLDER` from the root of the repository (needs Chromium: `apt-get
install chromium`). The phantoms in FOLDER are kept, so that a second run is faster; the study is opened anew.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from docs.tutorial_study import write_study
from mammosynth.cli import main as mammosynth
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.ohif import CHROMIUM, FLAGS, wait_until_drawn
from tests.support.reading_room import Reader
from tests.support.server import Server, running

PICTURES = Path(__file__).parent / "pictures"
STUDY, READER = "tutorial", "ann"


def main() -> None:
    """Write docs/pictures/reading-*.png."""
    folder = Path(sys.argv[1])
    protocol = write_study(folder)
    data, tokens = folder / "data", folder / "tokens.json"
    shutil.rmtree(data, ignore_errors=True)
    tokens.unlink(missing_ok=True)
    owner = add_token(tokens, Identity("Dr. Study", Role.OWNER))
    with running(data, "--token-file", str(tokens)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with signed_in(browser, server, owner) as page:
            token = prepare(page, protocol, folder, data)
            with signed_in(browser, server, token) as reader:
                read(reader)
            finish_session(Reader(server, {"authorization": f"Bearer {token}"}))
            watch(page)
        browser.close()


@contextmanager
def signed_in(browser: Browser, server: Server, token: str) -> Iterator[Page]:
    """A page of somebody who has signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{server.address}/sign-in")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.goto(f"{server.address}/sign-in")
    yield page
    context.close()


def prepare(page: Page, protocol: Path, folder: Path, data: Path) -> str:
    """The owner opens the study, has it blinded, and makes a token, which is returned."""
    page.get_by_role("link", name="Reader studies").click()
    page.get_by_label("Protocol (YAML)").set_input_files(protocol)
    page.get_by_role("button", name="Check").click()
    page.get_by_text("Opening freezes the protocol").wait_for()
    save(page, "reading-open")
    page.get_by_role("button", name="Open the study").click()
    page.get_by_text("Not made yet").wait_for()
    places = ("--store", data / "studies.sqlite", "--copies", data / "blinded", "--images", folder / "images")
    if mammosynth(["study", "blind", STUDY, *map(str, places)]):
        raise SystemExit("the study was not blinded")
    page.reload()
    page.get_by_text("Made: readers can begin.").wait_for()
    page.get_by_role("button", name=f"Make a token for {READER}").click()
    token = page.get_by_role("dialog").get_by_label("Token").input_value()
    save(page, "reading-token", page.get_by_role("dialog"))
    page.get_by_role("button", name="Done").click()
    return token


def read(page: Page) -> None:
    """A reader checks the display, reads the training case, and begins the first session."""
    page.get_by_role("link", name="Go to your reading room").click()
    page.get_by_role("button", name="Begin: Training").click()
    page.get_by_label("Patches with a visible square").fill("18")
    page.get_by_label("Luminance of white").fill("500")
    save(page, "reading-display")
    page.get_by_role("button", name="Begin training").click()
    answer_in_panel(page)
    save(page, "reading-case")
    page.keyboard.press("Control+Enter")
    page.get_by_role("heading", name="The truth").wait_for()
    save(page, "reading-truth")


def answer_in_panel(page: Page) -> None:
    """Every question of the template `cem-s3`, by the keyboard alone."""
    wait_until_drawn(page, 2)
    page.get_by_text("All answers are saved.").or_(page.get_by_text("Training: answers are sent")).wait_for()
    page.keyboard.press("2")
    for choice, suspicion in (("y", "85"), ("n", "5")):
        page.keyboard.press(choice)
        page.keyboard.type(suspicion)
        page.keyboard.press("Enter")


def finish_session(reader: Reader) -> None:
    """Training and first session to their end, as the viewer sends them."""
    for session in (0, 1):
        reader.start(STUDY, session)
        readings = reader.current(STUDY)["readings"]
        for position in range(1, readings + 1):
            reader.show(STUDY, session, position)
            answers = [{"question": "bpe", "value": "b", "target": "case"}]
            lesion = {"answer": "no", "suspicion": 20}
            answers += [{"question": "lesion", "value": lesion, "target": side} for side in ("R", "L")]
            body = {"session": session, "position": position, "answers": answers}
            reader.ask("POST", f"/studies/{STUDY}/answers", json=body)


def watch(page: Page) -> None:
    """The owner sees progress and wash-out, closes the study, and finds the results."""
    page.reload()
    page.get_by_text("may begin on").wait_for()
    page.get_by_text("Made: readers can begin.").wait_for()
    save(page, "reading-progress")
    page.get_by_label("Reason to close it so").fill("the tutorial ends here")
    page.get_by_role("button", name="Close the study").click()
    page.get_by_role("button", name="Close it").click()
    page.get_by_role("heading", name="Results").wait_for()
    page.evaluate("scrollTo(0, 0)")
    save(page, "reading-results")


def save(page: Page, name: str, part: Locator | None = None) -> None:
    """A picture of the page, or of a part of it, with a palette."""
    file = PICTURES / f"{name}.png"
    (part or page).screenshot(path=str(file))
    Image.open(file).convert("P", palette=Image.Palette.ADAPTIVE, colors=256).save(file, optimize=True)


if __name__ == "__main__":
    main()
