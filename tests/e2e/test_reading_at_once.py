"""Three radiologists in one study at the same moment, each in a browser of their own: nobody's answers or cases mix."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import pytest

from mammosynth.reading.blinding.copies import BlindedCopies, blind
from mammosynth.reading.design import readings
from mammosynth.reading.store import StudyStore
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.blinded import blinded_protocol, read
from tests.support.ohif import shown
from tests.support.reading_page import begin, reading_page, ready, saved, shoot, sign_in
from tests.support.server import running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
READERS = {"ann": "2560x1440", "bob": "1280x800", "eve": "1280x800"}
DENSITIES = ("a", "b", "c", "d")
PROTOCOL = blinded_protocol(
    questions={
        "density": {
            "type": "category",
            "title": "Density",
            "categories": list(DENSITIES),
            "keys": {letter: str(number) for number, letter in enumerate(DENSITIES, start=1)},
        },
        "lesion": {
            "type": "yes_no",
            "title": "Is there a lesion?",
            "suspicion": True,
            "keys": {"yes": "y", "no": "n"},
        },
        "note": {"type": "text", "title": "Remarks", "required": False},
    }
)
NOTE = "Remarks"
RELOADS, GOES_BACK, RETURNS = ("bob", 2), ("ann", 3), ("eve", 4)  # reader, and the case in which they do


class Radiologist:
    """One of the readers, what they have answered, and which images they are to see."""

    def __init__(self, name: str, copies: BlindedCopies, browser: Any, address: str, token: str) -> None:
        self.name, self.number = name, list(READERS).index(name)
        own = sorted((each for each in readings(PROTOCOL) if each.reader == name), key=lambda each: each.position)
        self.cases = [copies.of(each) for each in own if each.session == 1]
        self.given: dict[tuple[int, str], Any] = {}
        self.asked: list[str] = []
        self._enter = (browser, address, token)
        self.leave = ExitStack()

    def come(self) -> None:
        """In a browser that knows nothing of this reader, to the page of the reading room."""
        browser, address, token = self._enter
        self.page = self.leave.enter_context(reading_page(browser, READERS[self.name]))
        self.page.on("request", lambda request: self.asked.append(request.url))
        sign_in(self.page, address, token)

    def sees(self, case: int) -> Any:
        """The panel, once the images of this case are drawn, and no others."""
        panel = ready(self.page, case)
        assert [each["sop"] for each in shown(self.page)] == [each.sop_instance_uid for each in self.cases[case - 1]]
        return panel

    def rates(self, case: int, density: int) -> None:
        self.page.keyboard.press(str(1 + density))
        self.given[case, "density"] = DENSITIES[density]

    def density(self, case: int) -> Any:
        """The control of what was answered there."""
        name = re.compile(rf"^{self.given[case, 'density']}\b")
        return self.page.locator("mammosynth-reading").get_by_role("radio", name=name)

    def finds(self, case: int) -> None:
        answer, suspicion = ("yes", "no")[(self.number + case) % 2], 10 * self.number + case
        self.page.keyboard.press(answer[0])
        self.page.keyboard.type(str(suspicion))
        self.page.keyboard.press("Enter")
        self.given[case, "lesion"] = {"answer": answer, "suspicion": suspicion}

    def notes(self, case: int) -> None:
        words = f"{self.name} about case {case}"
        self.page.get_by_label(NOTE).press_sequentially(words)
        self.given[case, "note"] = words

    def remembers(self, case: int) -> None:
        """What was answered is answered in the panel."""
        panel = self.sees(case)
        assert self.density(case).is_checked()
        lesion = self.given.get((case, "lesion"))
        assert panel.get_by_label("Suspicion, 0 to 100").input_value() == (str(lesion["suspicion"]) if lesion else "")
        assert panel.get_by_label(NOTE).input_value() == self.given.get((case, "note"), "")


@pytest.fixture
def radiologists(browser, tmp_path) -> Iterator[list[Radiologist]]:
    """All of them, in their first case."""
    data = tmp_path / "data"
    store = StudyStore(data / "studies.sqlite")
    store.open_study(PROTOCOL, "owner")
    blind(store, PROTOCOL.name, data / "blinded", read)
    copies = BlindedCopies(store, PROTOCOL.name, data / "blinded")
    tokens = {name: add_token(tmp_path / "tokens", Identity(name, Role.READER)) for name in READERS}
    with running(data, "--token-file", str(tmp_path / "tokens")) as server, ExitStack() as stack:
        all_of_them = [Radiologist(name, copies, browser, server.address, tokens[name]) for name in READERS]
        for each in all_of_them:
            stack.enter_context(each.leave)
            each.come()
        for each in all_of_them:
            begin(each.page, "Session 1")
        yield all_of_them
        assert [fault for each in all_of_them for fault in each.page.faults] == []
    store.close()


def test_answers_and_cases_of_three_readers_do_not_mix_whatever_they_do(radiologists, tmp_path):
    cases = len(PROTOCOL.cases)
    for case in range(1, cases + 1):
        for each in radiologists:
            each.sees(case)
        for each in radiologists:
            each.rates(case, (each.number + case) % len(DENSITIES))
            if (each.name, case) == RELOADS:
                saved(each.page.locator("mammosynth-reading"))
                each.page.reload()
                each.remembers(case)
        for each in radiologists:
            each.finds(case)
            if (each.name, case) == GOES_BACK:
                goes_back(each, case)
        for each in radiologists:
            each.notes(case)
            if (each.name, case) == RETURNS:
                returns(each, case)
        for each in radiologists[case % 3 :] + radiologists[: case % 3]:
            shoot(each.page, f"at-once-{each.name}-{case}")
            each.page.keyboard.press("Control+Enter")
    for each in radiologists:
        each.page.get_by_role("heading", name="Session 1 is finished").wait_for()
        shoot(each.page, f"at-once-{each.name}-end")
    for each in radiologists:
        kept, order = in_the_store(tmp_path, each.name)
        assert kept == each.given
        assert order == [1, 2, 3, *([2, 3] if each.name == GOES_BACK[0] else []), *range(4, cases + 1)]
        others = {image.study_instance_uid for other in radiologists if other is not each for (image,) in other.cases}
        assert not [url for url in each.asked for uid in others if uid in url]


def goes_back(each: Radiologist, case: int) -> None:
    """To the case before, where an answer becomes another one, and forward again."""
    each.page.keyboard.press("Control+Shift+Enter")
    each.remembers(case - 1)
    each.density(case - 1).focus()
    each.rates(case - 1, (DENSITIES.index(each.given[case - 1, "density"]) + 1) % len(DENSITIES))
    each.page.keyboard.press("Control+Enter")
    each.remembers(case)


def returns(each: Radiologist, case: int) -> None:
    """From a browser that is closed, in another one."""
    saved(each.page.locator("mammosynth-reading"))
    assert each.page.faults == []
    each.leave.close()
    each.come()
    each.page.get_by_role("button", name="Go on").click()
    each.remembers(case)


def in_the_store(folder: Any, reader: str) -> tuple[dict[tuple[int, str], Any], list[int]]:
    """The last answer to each question of each case, and the cases in the order in which they were shown."""
    store = StudyStore(folder / "data" / "studies.sqlite")
    records = [each for each in store.content(PROTOCOL.name)["records"] if each["reader"] == reader]
    store.close()
    answers = [each for each in records if each["kind"] == "answered"]
    kept = {(each["position"], each["question"]): json.loads(each["content"])["value"] for each in answers}
    seen = [each["position"] for each in records if each["kind"] == "shown" and each["position"]]
    return kept, [position for position, _ in groupby(seen)]  # a page that is loaded again shows its case again
