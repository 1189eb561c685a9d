"""A radiologist in a real browser: signs in to the reading room, begins a session, and waits for what is drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.ohif import SHOTS
from tests.support.viewports import _TELL

SIZES = {"1280x800": (1280, 800), "2560x1440": (2560, 1440)}
READY_MS = 90_000


@contextmanager
def reading_page(browser: Any, size: str, **options: Any) -> Iterator[Any]:
    """A page of one of the sizes; errors and toasts are kept in its `faults`. Options are those of its context."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page = context.new_page()
    page.set_default_timeout(READY_MS)
    page.set_default_navigation_timeout(READY_MS)
    page.add_init_script(_TELL)
    page.faults = []
    page.on("console", lambda message: message.type == "error" and page.faults.append(message.text))
    yield page
    context.close()


def sign_in(page: Any, address: str, token: str) -> None:
    """From nowhere to the page of the reading room."""
    page.goto(address)
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Signed in as").wait_for()
    page.faults.clear()  # a 401 asked for the token


def begin(page: Any, session: str, look: Callable[[], None] = lambda: None) -> Any:
    """From the page of the reading room to the first case; looks at the check of the display on the way."""
    page.get_by_role("row", name=session).get_by_role("button").click()
    page.get_by_label("Patches with a visible square").fill("18")
    page.get_by_label("Luminance of white").fill("450")
    look()
    page.get_by_role("button", name="Begin").click()
    return ready(page)


def ready(page: Any, case: int | None = None) -> Any:
    """The panel, once its images are drawn."""
    panel = page.locator("mammosynth-reading")
    if case:
        panel.locator("#where", has_text=f"case {case} of").wait_for()
    panel.locator("fieldset input:enabled").first.wait_for()
    return panel


def shoot(page: Any, name: str) -> None:
    """Keep a screenshot."""
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def saved(panel: Any) -> None:
    """Wait until the server has every answer."""
    panel.get_by_text("All answers are saved.").wait_for()
