"""Radiologists read a blinded study in real OHIF: sign in, check the display, answer by keys, mark, come back."""

import json
import os
import signal
import socket
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from mammosynth.files.read import read_image
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.protocol import parse_protocol
from mammosynth.reading.store import StudyStore
from mammosynth.terms import ImageLaterality
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.accessibility import accessibility_faults
from tests.support.ohif import CHROMIUM, FLAGS, SHOTS, shown
from tests.support.reading_page import READY_MS, SIZES, begin, reading_page, ready, saved, shoot, sign_in
from tests.support.server import running
from tests.support.shared import made_once

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PIXEL_MM = 1.0  # 229 x 191 pixels
VIEWS = ("R CC", "R MLO", "L CC", "L MLO")  # not as they hang
STUDY = "room"
READERS = ("R1", "R2", "R3", "R4")
# All that OHIF shows by a name: three tools, viewports with empty overlays, our panel; its logo leads nowhere.
EVERYTHING_SHOWN = {
    *("return-to-work-list", "WindowLevel", "Zoom", "Pan", "viewport-grid", "viewport-pane"),
    *(f"viewport-overlay-{corner}" for corner in ("top-left", "top-right", "bottom-left", "bottom-right")),
    *("panel-btn", "side-panel-header-right"),
}
BUTTONS = {"WindowLevel", "Zoom", "Pan"}
LATEST_MS = 200  # an answer that was given so long before the browser is killed is kept
NEXT_CASE_MS = 1000  # once its images were fetched, as the browser measures it
# Buttons and links of OHIF, outside our panel.
_BUTTONS = """() => [...document.querySelectorAll('button, a, [role=button], [aria-haspopup]')]
  .filter(each => each.checkVisibility()).map(each => each.dataset.cy ?? each.outerHTML.slice(0, 150))"""
QUESTIONS = {
    "bpe": {
        "type": "category",
        "title": "Background parenchymal enhancement",
        "categories": ["a", "b", "c", "d"],
        "labels": ["minimal", "mild", "moderate", "marked"],
        "keys": {"a": "1", "b": "2", "c": "3", "d": "4"},
    },
    "lesion": {
        "type": "yes_no",
        "title": "Is there a lesion in this breast?",
        "per": "breast",
        "suspicion": True,
        "keys": {"yes": "y", "no": "n"},
    },
    "realism": {
        "type": "likert",
        "title": "These images look real",
        "labels": ["strongly disagree", "Bildverarbeitungsartefaktverdacht", "undecided", "agree", "strongly agree"],
    },
    "lesions": {"type": "marks", "title": "Mark each lesion, and rate how suspicious it is"},
    "origin": {
        "type": "real_or_generated",
        "title": "Are they real or generated?",
        "keys": {"real": "r", "generated": "g"},
        "required": False,
    },
    "quality": {
        "type": "items",
        "title": "Image quality",
        "items": {"texture": "Texture of the tissue", "noise": "Noise"},
        "required": False,
    },
    "sharp": {"type": "yes_no", "title": "Is this image sharp?", "per": "image", "required": False},
    "note": {"type": "text", "title": "Structures that cannot be real", "required": False},
}


def _case(patient, **settings):
    views = ("L CC", "R CC") if patient == "P2" else VIEWS
    images = {arm: [f"{patient} {view} {arm}" for view in views] for arm in ("clinical", "synthesized")}
    return {"patient": patient, "breasts": ["R", "L"], "images": images, **settings}


def _protocol():
    truth = {"lesion": {"R": "yes", "L": "no"}, "bpe": "b", "lesions": [{"image": 1, "x": 100, "y": 110, "radius": 15}]}
    return parse_protocol(
        json.dumps(
            {
                "version": 1,
                "name": STUDY,
                "title": "Lesions in recombined images of the phantom",
                "reading_unit": "patient",
                "arms": {"clinical": {"title": "As acquired"}, "synthesized": {"title": "Smoothed", "generated": True}},
                "reference_arm": "clinical",
                "readers": list(READERS),
                "questions": QUESTIONS,
                "design": {"sessions": 2, "washout_days": 14, "seed": 1},
                "endpoints": {"auc": {"title": "AUC", "question": "lesion", "statistic": "auc"}},
                "cases": {
                    "training": _case("T1", training=True, truth=truth, feedback="A mass in the right breast."),
                    **{f"case-{n}": _case(f"P{n}", truth=truth) for n in (1, 2, 3)},
                },
            }
        )
    )


@pytest.fixture(scope="module")
def exams(tmp_path_factory):
    """Two phantom exams; not to be changed."""
    return made_once(tmp_path_factory, "reading-exams", _write_exams)


def _write_exams(folder):
    for seed in (1, 2):
        write_exam(folder / f"E{seed}", seed=seed, pixel_mm=PIXEL_MM, include_recombined=True)


def _reader_of(exams):
    """Sources by name: four patients of two exams, two of them with left and right changed, in two arms."""

    def read(source):
        patient, side, view, arm = source.split(" ")
        exam, is_mirrored = {"P1": ("E1", False), "P2": ("E2", False), "P3": ("E1", True), "T1": ("E2", True)}[patient]
        taken_from = {"R": "L", "L": "R"}[side] if is_mirrored else side
        image = read_image(exams / exam / f"{taken_from}-{view}-recombined.dcm", accept_generated=True)
        pixels = image.pixels[:, ::-1] if is_mirrored else image.pixels
        pixels = ndimage.gaussian_filter(pixels, 1) if arm == "synthesized" else pixels
        return Mammogram(np.ascontiguousarray(pixels, np.float32), source, image.view_position, ImageLaterality(side))

    return read


def _prepare(folder, exams):
    """The data folder of a server, with a blinded study; the readers' tokens."""
    store = StudyStore(folder / "studies.sqlite")
    store.open_study(_protocol(), "Olga")
    blind(store, STUDY, folder / "blinded", _reader_of(exams))
    store.close()
    people = {reader: Identity(reader, Role.READER) for reader in READERS}
    return {reader: add_token(folder / "tokens.json", identity) for reader, identity in people.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory, exams):
    folder = tmp_path_factory.mktemp("reading-room")
    return folder, _prepare(folder, exams)


@pytest.fixture(scope="module")
def server(place):
    folder, _ = place
    with running(folder, "--token-file", str(folder / "tokens.json")) as it:
        yield it


@pytest.fixture(scope="module")
def fourth(browser, server, place):
    """The first case of the first session of R4, in one page for several tests; and its panel."""
    _, tokens = place
    _train(server, tokens["R4"])
    with reading_page(browser, "1280x800") as page:
        sign_in(page, server.address, tokens["R4"])
        yield page, begin(page, "Session 1")
        assert page.faults == []


# As if another tab were in front for a while: a headless browser has none.
_LOOK_AWAY = """async () => {
  for (const hidden of [true, false]) {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
    await new Promise(resolve => setTimeout(resolve, 400));
  }
}"""


def _check_display(page, shot):
    """The check of the display, before a session begins, is for everybody, and its lines do not touch."""
    shoot(page, shot)
    assert accessibility_faults(page) == []
    fields, size = (page.locator(part).bounding_box() for part in (".fields", "#size"))
    assert size["y"] - fields["y"] - fields["height"] >= 12, "pixels between the fields and the line below them"


def _answer_by_keys(page, suspicion="80"):
    """Everything that is required, without the mouse."""
    keyboard = page.keyboard
    keyboard.press("2")
    for key in ("y", "n"):
        keyboard.press(key)
        keyboard.type(suspicion)
        keyboard.press("Enter")
    keyboard.press("4")
    keyboard.press("Enter")  # sets a point: the crosshair is in the middle of the first image
    for _ in range(5):
        keyboard.press("ArrowRight")
    keyboard.press("Enter")
    keyboard.type("65")
    keyboard.press("Enter")


def _records(folder, kind, reader, session=1):
    """What the store has of a session, in the order in which it came."""
    store = StudyStore(folder / "studies.sqlite")
    found = [
        each | {"content": json.loads(each["content"])}
        for each in store.content(STUDY)["records"]
        if (each["kind"], each["reader"], each["session"]) == (kind, reader, session)
    ]
    store.close()
    return found


def _answers(folder, reader):
    """Of the first session: (position, question, target, content)."""
    names = ("position", "question", "target", "content")
    return [tuple(each[name] for name in names) for each in _records(folder, "answered", reader)]


def _train(server, token):
    """Read the training case without a browser."""
    reader = server.as_holder_of(token)
    study = f"/reading-room/studies/{STUDY}"
    display = {"steps_seen": 18, "window_width": 1280, "window_height": 800, "device_pixel_ratio": 1}
    assert reader.post(f"{study}/sessions/0", json={"display": display}).status_code == 200
    given = [
        {"question": "bpe", "value": "b"},
        *({"question": "lesion", "target": side, "value": {"answer": "no", "suspicion": 1}} for side in "RL"),
        {"question": "lesions", "value": []},
        {"question": "realism", "value": 3},
    ]
    answer = reader.post(f"{study}/answers", json={"session": 0, "position": 1, "answers": given})
    assert answer.json()["is_complete"], answer.text
    assert reader.post(f"{study}/show", json={"session": 0, "position": 2}).json()["state"] == "session_over"


@pytest.mark.parametrize("size", SIZES)
def test_a_radiologist_reads_by_keyboard_alone(browser, server, place, size):
    _, tokens = place
    reader = READERS[list(SIZES).index(size)]
    with reading_page(browser, size) as page:
        sign_in(page, server.address, tokens[reader])
        shoot(page, f"reading-room-{size}")
        assert accessibility_faults(page) == []
        panel = begin(page, "Training", lambda: _check_display(page, f"reading-display-{size}"))
        shoot(page, f"reading-training-{size}")
        assert accessibility_faults(page, "mammosynth-reading") == []
        _answer_by_keys(page)
        page.keyboard.press("Control+Enter")
        panel.get_by_text("A mass in the right breast.").wait_for()
        shoot(page, f"reading-truth-{size}")
        page.keyboard.press("Control+Enter")
        page.get_by_role("heading", name="The training is over").wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("row", name="Training").get_by_text("finished").first.wait_for()
        panel = begin(page, "Session 1")
        hung = []
        for case in (1, 2, 3):
            ready(page, case)
            hung.append([label.inner_text() for label in page.locator(".mammosynth-label").all()])
            _answer_by_keys(page)
            if case == 2:
                page.evaluate(_LOOK_AWAY)
            saved(panel)
            assert panel.get_by_role("heading", name=f"case {case} of").is_visible(), "Enter has not gone on by itself"
            shoot(page, f"reading-case-{case}-{size}")
            page.wait_for_load_state("networkidle")  # the next case is fetched
            page.wait_for_timeout(500)
            page.keyboard.press("Control+Enter")
        page.get_by_role("heading", name="Session 1 is finished").wait_for()
        waits = page.evaluate("performance.getEntriesByName('mammosynth: next case').map(each => each.duration)")
        (SHOTS / f"next-case-{size}.json").write_text(json.dumps(waits))  # milliseconds
        assert len(waits) == 2
        assert sorted(hung) == [["R CC", "L CC"], *[["R CC", "L CC", "R MLO", "L MLO"]] * 2]
        shoot(page, f"reading-end-{size}")
        page.keyboard.press("Enter")
        page.get_by_role("row", name="Session 2").get_by_text("may begin on").first.wait_for()
        shoot(page, f"reading-washout-{size}")
        assert page.faults == []
    assert max(waits) < NEXT_CASE_MS * max(1, os.getloadavg()[0] / os.cpu_count()), "others kept the cores busy, too"
    answers = _answers(place[0], reader)
    assert {answer[:3] for answer in answers} == {
        (position, question, target)
        for position in (1, 2, 3)
        for question, target in (
            ("bpe", "case"),
            ("lesion", "R"),
            ("lesion", "L"),
            ("lesions", "case"),
            ("realism", "case"),
        )
    }
    assert all(content["duration_s"] > 0 for *_, content in answers)
    (started,) = _records(place[0], "session_started", reader)
    assert (started["content"]["display"]["steps_seen"], started["content"]["display"]["luminance_cd_m2"]) == (18, 450)
    assert started["content"]["display"]["window_width"] == SIZES[size][0]
    shown = [each["content"]["left"] for each in _records(place[0], "shown", reader)]
    left = {each["position"]: each for each in shown if each and each["session"] == 1}
    assert [left[position]["focus_losses"] for position in (1, 2, 3)] == [0, 1, 0]
    assert 0.3 < left[2]["hidden_s"] < left[2]["seconds"]


def _drag(page, viewport, start, end):
    box = page.locator(".cornerstone-canvas").nth(viewport).bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def test_marks_are_set_moved_and_removed_with_the_mouse(browser, server, place):
    folder, tokens = place
    _train(server, tokens["R3"])
    with reading_page(browser, "1280x800") as page:
        sign_in(page, server.address, tokens["R3"])
        panel = begin(page, "Session 1")
        assert set(page.evaluate(_BUTTONS)) == BUTTONS
        address = page.url
        page.locator("[data-cy=return-to-work-list]").click()
        page.wait_for_timeout(500)
        assert page.url == address
        assert (
            set(page.locator("[data-cy]").evaluate_all("all => all.map(each => each.dataset.cy)")) == EVERYTHING_SHOWN
        )
        assert not any(page.locator("[data-cy^=viewport-overlay]").all_inner_texts())
        panel.get_by_role("button", name="Set an ellipse").click()
        _drag(page, 1, (0.2, 0.4), (0.3, 0.5))
        page.keyboard.type("33")
        page.keyboard.press("Enter")
        saved(panel)
        _drag(page, 1, (0.2, 0.4), (0.25, 0.45))
        saved(panel)
        panel.get_by_role("button", name="Set a point").click()
        _drag(page, 0, (0.8, 0.5), (0.8, 0.5))
        page.keyboard.type("77")
        page.keyboard.press("Enter")
        saved(panel)
        shoot(page, "reading-marks")
        panel.get_by_role("button", name="Remove mark 2").click()
        saved(panel)
        panel.get_by_label("Structures that cannot be real").fill("A vessel that ends")
        page.keyboard.press("Escape")
        panel.get_by_role("heading", name="Paused").wait_for()
        shoot(page, "reading-pause")
        page.keyboard.press("Enter")
        panel.get_by_role("heading", name="Paused").wait_for(state="hidden")
        saved(panel)
        page.keyboard.press("Control+Enter")
        panel.get_by_text("Background parenchymal enhancement is not answered yet.").wait_for()
        page.keyboard.press("F1")
        panel.get_by_role("heading", name="Keys").wait_for()
        shoot(page, "reading-keys")
        assert accessibility_faults(page, "mammosynth-reading") == []
        page.keyboard.press("Escape")
        assert page.faults == []
    marks = [content["value"] for _, question, _, content in _answers(folder, "R3") if question == "lesions"]
    first, moved, both, left = marks
    assert [len(each) for each in marks] == [1, 1, 2, 1]
    assert left == moved
    assert (first[0]["shape"], first[0]["image"], first[0]["rating"]) == ("ellipse", 3, 33), "L CC is the third image"
    assert moved[0]["x"] > first[0]["x"]
    assert moved[0]["radius_x"] == first[0]["radius_x"]
    assert (both[1]["shape"], both[1]["image"], both[1]["rating"]) == ("point", 1, 77)
    assert ("note", "A vessel that ends") in {
        (question, content["value"]) for _, question, _, content in _answers(folder, "R3") if question == "note"
    }


def _active(page):
    """Which of the images is the active one."""
    return page.evaluate("""async () => {
      const { activeView, views } = await import('/ohif/extensions/viewer.js');
      return views().findIndex(({ viewportId }) => viewportId === activeView().viewportId);
    }""")


def test_images_are_looked_at_by_keys(fourth):
    page, _ = fourth
    press = page.keyboard.press
    before = shown(page)
    first = _active(page)
    press("F6")
    active = _active(page)
    assert active == (first + 1) % len(before)
    press("Shift+ArrowRight")
    press("Shift+ArrowDown")
    moved = shown(page)
    assert np.subtract(moved[active]["pan"], before[active]["pan"]) == pytest.approx([40, 40], abs=0.5)
    press("Control+ArrowUp")
    assert shown(page)[active]["zoom"] == pytest.approx(moved[active]["zoom"] * 1.15)
    assert [each["zoom"] for each in shown(page)][first] == pytest.approx(before[first]["zoom"])
    press("Control+Shift+ArrowUp")
    brighter = shown(page)
    assert all(new["window"][0] < old["window"][0] for new, old in zip(brighter, before, strict=True)), "all of them"
    press("Control+Shift+ArrowRight")
    widths = [np.ptp(each["window"]) for each in (brighter[active], shown(page)[active])]
    assert widths[1] < widths[0]
    press("Control+Home")
    for new, old in zip(shown(page), before, strict=True):
        assert new["zoom"] == pytest.approx(old["zoom"])
        assert new["pan"] == pytest.approx(old["pan"], abs=0.5)
        assert new["window"] == pytest.approx(old["window"])


def test_every_kind_of_question_is_answered_by_keys(fourth, place):
    page, panel = fourth
    press = page.keyboard.press
    press("g")
    page.keyboard.type("60")
    press("Enter")
    panel.get_by_label("Texture of the tissue: 1").focus()
    press("3")
    press("4")
    sharp = panel.locator("fieldset", has_text="Is this image sharp?")
    sharp.filter(has_text="Image 2").get_by_role("radio").first.focus()
    press("2")
    panel.get_by_role("button", name="Set an ellipse").focus()
    press("Enter")
    press("Shift+ArrowRight")
    press("Enter")
    for _ in range(3):
        press("ArrowUp")
    press("Enter")
    page.keyboard.type("55")
    press("Enter")
    saved(panel)
    given = {(question, target): content["value"] for _, question, target, content in _answers(place[0], "R4")}
    (mark,) = given.pop(("lesions", "case"))
    assert given == {
        ("origin", "case"): {"answer": "generated", "confidence": 60},
        ("quality", "case"): {"texture": 3, "noise": 4},
        ("sharp", "2"): "no",
    }
    assert (mark["shape"], mark["rating"]) == ("ellipse", 55)
    assert mark["radius_y"] > mark["radius_x"] > 0


def test_what_kept_a_reader_from_going_on_is_told_until_it_is_over(fourth):
    page, panel = fourth
    questions = panel.locator("#scroll")
    assert questions.evaluate("each => each.scrollWidth <= each.clientWidth"), "the longest word is broken"
    page.context.set_offline(True)
    page.keyboard.press("2")
    for key in ("y", "n"):
        page.keyboard.press(key)
        page.keyboard.type("80")
        page.keyboard.press("Enter")
    page.keyboard.press("4")
    panel.get_by_text("Not saved yet, trying again").wait_for()
    page.keyboard.press("Control+Enter")
    panel.get_by_role("alert").get_by_text("cannot be reached").wait_for()
    page.context.set_offline(False)
    saved(panel)
    panel.get_by_role("alert").wait_for(state="hidden")
    page.faults.clear()  # requests without a network


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def _kill_browser(profile):
    """As a crash does."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--user-data-dir={profile}".encode() in command and not any(
            part.startswith(b"--type=") for part in command
        ):
            os.kill(int(process.name), signal.SIGKILL)


def test_nothing_is_lost_when_server_and_browser_are_killed(browser, exams, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    tokens = _prepare(folder, exams)
    arguments = ("--port", _free_port(), "--token-file", str(folder / "tokens.json"))
    profile = tmp_path / "profile"

    def opened():
        context = browser.browser_type.launch_persistent_context(
            str(profile), executable_path=CHROMIUM, args=FLAGS, viewport={"width": 1280, "height": 800}
        )
        context.set_default_timeout(READY_MS)
        page = context.pages[0]
        page.faults = []
        return context, page

    _, page = opened()
    with running(folder, *arguments) as server:
        _train(server, tokens["R1"])
        sign_in(page, server.address, tokens["R1"])
        panel = begin(page, "Session 1")
        page.keyboard.press("3")
        saved(panel)
        server.process.kill()
        server.process.wait()
        page.keyboard.press("y")
        page.keyboard.type("70")
        page.keyboard.press("Enter")
        panel.get_by_text("Not saved yet, trying again").wait_for()
        shoot(page, "reading-no-server")
        page.keyboard.press("Control+Enter")
        panel.get_by_text("is not answered yet").wait_for()
    with running(folder, *arguments) as server:
        saved(panel)
        assert [answer[1:3] for answer in _answers(folder, "R1")] == [("bpe", "case"), ("lesion", "R")]
        _kill_browser(profile)
        context, page = opened()
        context.clear_cookies()
        sign_in(page, server.address, tokens["R1"])
        page.get_by_role("row", name="Session 1").get_by_text("0 of 3 cases read").wait_for()
        page.get_by_role("button", name="Go on").click()
        panel = ready(page)
        assert panel.get_by_role("radio", name="c moderate").is_checked()
        assert panel.get_by_label("Suspicion, 0 to 100").first.input_value() == "70"
        assert panel.locator("fieldset.now").get_by_text("Left breast").is_visible()
        server.process.kill()
        server.process.wait()
        panel.get_by_label("Structures that cannot be real").press_sequentially("A v")
        panel.get_by_role("radio", name="4 agree").check()
        page.wait_for_timeout(LATEST_MS)
        _kill_browser(profile)  # neither was sent
        assert [answer[1] for answer in _answers(folder, "R1")] == ["bpe", "lesion"]
    with running(folder, *arguments) as server:
        context, page = opened()
        context.clear_cookies()
        sign_in(page, server.address, tokens["R1"])
        page.get_by_role("button", name="Go on").click()
        panel = ready(page)
        saved(panel)
        assert panel.get_by_label("Structures that cannot be real").input_value() == "A v"
        assert [answer[1] for answer in _answers(folder, "R1")][2:] == ["realism", "note"]
        page.keyboard.press("n")  # half an answer, which stays in the browser
        page.goto(f"{server.address}/reading-room")
        assert page.evaluate("indexedDB.databases().then(all => all.length)") == 1
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token").wait_for()
        assert page.evaluate("indexedDB.databases().then(all => all.length)") == 0, "what was kept goes with the reader"
        context.close()
