"""Damaged and hostile files: read in a process that may die, and sent to a server that must not."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx

from benchmarks.server import peak_rss_mib
from benchmarks.storm.seeds import (
    Named,
    hostile_instances,
    hostile_pictures,
    instances,
    mutants_of,
    pictures,
)
from benchmarks.storm.setting import (
    CONTROL,
    Memory,
    Place,
    Table,
    end_of_process,
    make_place,
    progress,
    serving,
)
from tests.support.server import Server, stow

SLOW_S = 2.0
MEMORY_LIMIT_MIB = 1536
_MOST_DEATHS = 20  # of the server; then the rest is not sent
_HANG_S = 10.0  # then the reading process is killed
_ADDRESS_SPACE = 8 << 30  # bytes; what asks for more gets a MemoryError instead of this machine's memory
_SECRET = b"SECRET-THAT-NOBODY-MAY-READ" * 16


def storm(*, count: int, http_count: int, file_count: int, pixel_mm: float) -> bool:
    """Read and send; print three tables. Whether every goal is met."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        secret = folder / "secret"
        secret.write_bytes(_SECRET)
        by_hand = list(hostile_instances())
        tables = [_in_process(f"{count} mutants in process, and {len(by_hand)} by hand", _all(count, by_hand))]
        files = _all_pictures(file_count, secret)
        tables.append(_in_process(f"{len(files)} picture and volume files in process", files))
        (folder / "served").mkdir()
        place = make_place(folder / "served", pixel_mm=pixel_mm)
        tables.append(_over_http(place, _all(http_count, by_hand), files))
    return all([table.print() for table in tables])


def _all(count: int, by_hand: list[Named]) -> list[Named]:
    return [*by_hand, *mutants_of(instances(), count)]


def _all_pictures(count: int, secret: Path) -> list[Named]:
    by_hand = list(hostile_pictures(secret))
    return [*by_hand, *mutants_of(pictures(), max(0, count - len(by_hand)))]


# ---- in process ----


@dataclass
class Outcomes:
    """What became of all files.

    Attributes:
        read: Readings that gave a result.
        refused: Readings that were refused in words.
        uncaught: Other exceptions, by file and reader.
        crashes: Files at which the reading process died.
        slow: Files with a reading over `SLOW_S`, and how long it took.
        peak_mib: Largest memory of a reading process.
    """

    read: int = 0
    refused: int = 0
    uncaught: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    peak_mib: float = 0.0

    def take(self, name: str, answers: Iterable[tuple[str, str, float]], peak_mib: float) -> None:
        """Count what a reading process says of one file."""
        self.peak_mib = max(self.peak_mib, peak_mib)
        for reader, outcome, seconds in answers:
            if outcome == "read":
                self.read += 1
            elif outcome == "refused":
                self.refused += 1
            else:
                self.uncaught.append(f"{name}: {reader}: {outcome}")
            if seconds > SLOW_S:
                self.slow.append(f"{name}: {reader}: {seconds:.1f} s")


def _in_process(title: str, files: list[Named]) -> Table:
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_things:
        reading = _ReadingProcess(Path(folder))
        open_things.callback(lambda: reading.end())
        for number, (name, content) in enumerate(files, start=1):
            answer = reading.ask(name, content)
            if isinstance(answer, str):
                (outcomes.slow if answer == "hang" else outcomes.crashes).append(f"{name}: {answer}")
                reading.end()
                reading = _ReadingProcess(Path(folder))
            else:
                outcomes.take(name, *answer)
            if number % 100 == 0:
                progress(f"{title}: {number} of {len(files)}")
    table = Table(title)
    table.tell("readings that gave a result", str(outcomes.read))
    table.tell("readings refused in words", str(outcomes.refused))
    table.none_of("uncaught exceptions", outcomes.uncaught)
    table.none_of("crashes", outcomes.crashes)
    table.none_of(f"readings over {SLOW_S:g} s", outcomes.slow)
    table.below("memory, peak", outcomes.peak_mib, MEMORY_LIMIT_MIB, "MiB", 0)
    return table


class _ReadingProcess:
    """A process that reads what it is sent; a crash or a hang ends it, not us."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_read_all, args=(theirs, folder), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()  # it has imported everything

    def ask(self, name: str, content: bytes) -> Any:
        """Its answers and its memory; "hang", or how it died."""
        try:
            self._connection.send((name, content))
            return self._connection.recv() if self._connection.poll(_HANG_S) else "hang"
        except (EOFError, OSError):
            self._process.join(5)
            return f"ended with {self._process.exitcode}"

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.join()
        self._connection.close()


def _read_all(connection: Connection, folder: Path) -> None:
    """What the reading process does."""
    from mammosynth.files import read_image  # noqa: F401 - so that its import is not timed
    from monailabel_app.pacs import pixels  # noqa: F401

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    warnings.simplefilter("ignore")
    connection.send("ready")
    while True:
        try:
            name, content = connection.recv()
        except EOFError:
            return
        path = folder / name.replace(" ", "-")
        path.write_bytes(content)
        answers = list(_readings(path))
        own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        connection.send((answers, max(own, children) / 1024))


def _readings(path: Path) -> Iterator[tuple[str, str, float]]:
    """Name, outcome and seconds of every reader that a file of that name may meet."""
    from mammosynth.dicom.read import read_mammogram
    from mammosynth.errors import MammoSynthError
    from mammosynth.files import read_image
    from monailabel_app.pacs.instances import UnservableFileError, read_instance
    from monailabel_app.pacs.pixels import UnavailableFrameError, UndecodableFrameError, read_frames, render

    yield _reading("read_image", lambda: read_image(path), MammoSynthError)
    if path.suffix:  # a picture or volume; the archive takes DICOM only
        return
    yield _reading("read_mammogram", lambda: read_mammogram(path), MammoSynthError)
    yield _reading("read_instance", lambda: read_instance(path), UnservableFileError)
    try:
        instance = read_instance(path)
    except Exception:  # told above
        return
    refusals = (UnavailableFrameError, UndecodableFrameError)
    yield _reading("frames", lambda: read_frames(instance, [1], as_stored=False), *refusals)
    yield _reading("stored frames", lambda: read_frames(instance, [1], as_stored=True), *refusals)
    yield _reading("render", lambda: render(instance, 1, image_format="JPEG"), *refusals)


def _reading(name: str, action: Callable[[], Any], *refusals: type[Exception]) -> tuple[str, str, float]:
    started = time.monotonic()
    try:
        action()
        outcome = "read"
    except refusals:
        outcome = "refused"
    except Exception as error:  # this is what is counted
        outcome = f"{type(error).__name__}: {str(error)[:60]}"
    return name, outcome, time.monotonic() - started


# ---- over HTTP ----


@dataclass
class Sent:
    """What became of all requests: statuses, and what must not be."""

    statuses: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    deaths: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    peak_mib: float = 0.0

    def note(self, name: str, what: str, answer: httpx.Response, seconds: float) -> None:
        """Count an answer."""
        key = f"{what} {answer.status_code // 100}xx"
        self.statuses[key] = self.statuses.get(key, 0) + 1
        if answer.status_code >= 500:
            self.errors.append(f"{name}: {what}: {answer.status_code} {answer.text[:60]}")
        if seconds > SLOW_S:
            self.slow.append(f"{name}: {what}: {seconds:.1f} s")
        if _SECRET[:20] in answer.content:
            self.told.append(f"{name}: {what}")


def _over_http(place: Place, mutants: list[Named], files: list[Named]) -> Table:
    sent = Sent()
    waiting = [("mutant", *each) for each in mutants] + [("file", *each) for each in files]
    total = len(waiting)
    after_restart = ["all: it does not start"]
    with _starts_are_counted(sent):
        while waiting and len(sent.deaths) < _MOST_DEATHS:
            with serving(place) as server, Memory(server.process.pid) as memory:
                _send_until_dead(server, sent, waiting)
            sent.peak_mib = max(sent.peak_mib, memory.peak_mib)
            progress(f"over HTTP: {total - len(waiting)} of {total}")
        with serving(place) as server:
            after_restart = _unlisted(server)
    left = place.left_in_uploads()
    table = Table(f"{len(mutants)} mutants and {len(files)} files over HTTP, by STOW and /infer")
    for what, count in sorted(sent.statuses.items()):
        table.tell(what, str(count))
    table.none_of("not sent, because the server died too often", len(waiting))
    table.none_of("answers 5xx", sent.errors)
    table.none_of("deaths of the server", sent.deaths)
    table.none_of(f"answers over {SLOW_S:g} s", sent.slow)
    table.none_of("answers that tell of another file", sent.told)
    table.none_of("mutants after which the control is not listed", sent.unlisted)
    table.none_of("listings without the control after a restart", after_restart)
    table.none_of("files left in TMPDIR", left)
    table.below("memory of the server, peak", sent.peak_mib, MEMORY_LIMIT_MIB, "MiB", 0)
    return table


@contextlib.contextmanager
def _starts_are_counted(sent: Sent) -> Iterator[None]:
    """A server that does not start any more ends the block, not the script."""
    try:
        yield
    except RuntimeError as error:
        lines = str(error).splitlines()
        sent.deaths.append(f"does not start: {lines[-1][:80]}")


def _send_until_dead(server: Server, sent: Sent, waiting: list[tuple[str, str, bytes]]) -> None:
    """Send one after the other, taking each off the list."""
    while waiting:
        if not _send_one(server, sent, *waiting.pop(0)):
            return
        if len(waiting) % 50 == 0:
            progress(f"over HTTP: {len(waiting)} left")
    with contextlib.suppress(OSError):
        sent.peak_mib = max(sent.peak_mib, peak_rss_mib(server.process.pid))


def _send_one(server: Server, sent: Sent, kind: str, name: str, content: bytes) -> bool:
    """Send a file every way it may come; whether the server lives."""
    try:
        if kind == "mutant":
            _store(server, sent, name, content)
        _infer(server, sent, name, content)
        sent.unlisted += [f"{name}: {listing}" for listing in _unlisted(server)]
    except httpx.HTTPError as error:
        ended = end_of_process(server)
        if ended is None:
            sent.errors.append(f"{name}: no answer ({type(error).__name__})")
            return True
        sent.deaths.append(f"{name}: ended with {ended}")
        return False
    return True


def _store(server: Server, sent: Sent, name: str, content: bytes) -> None:
    """STOW, and what a viewer asks for of an instance that was taken."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        started = time.monotonic()
        answer = stow(server, [Path(file.name)])
    sent.note(name, "STOW", answer, time.monotonic() - started)
    for url in _references(answer):
        for path, accept in (
            ("/metadata", "application/dicom+json"),
            ("/frames/1", "multipart/related"),
            ("/rendered", "image/jpeg"),
            ("", 'multipart/related; type="application/dicom"'),
        ):
            started = time.monotonic()
            answer = server.get(url + path, headers={"accept": accept})
            sent.note(name, f"GET {path or 'instance'}", answer, time.monotonic() - started)


def _references(answer: httpx.Response) -> list[str]:
    """Paths of what was stored, from Retrieve URL (0008,1190) of each item."""
    if answer.status_code not in (200, 202):
        return []
    items = answer.json().get("00081199", {}).get("Value", [])
    urls = [item["00081190"]["Value"][0] for item in items]
    return [url[url.index("/proxy/") :] for url in urls if "/proxy/" in url]


def _infer(server: Server, sent: Sent, name: str, content: bytes) -> None:
    started = time.monotonic()
    upload = {"file": (name.replace(" ", "-"), content, "application/octet-stream")}
    answer = server.post("/infer/contrast?output=json", files=upload)
    sent.note(name, "infer", answer, time.monotonic() - started)


def _unlisted(server: Server) -> list[str]:
    """Listings that are no valid answer any more, or lack the control."""
    found = []
    for level in ("studies", "series", "instances"):
        answer = server.get(f"/proxy/dicom/qido/{level}", params={"includefield": "00100020"})
        try:
            patients = [item.get("00100020", {}).get("Value", [None])[0] for item in answer.json()]
        except ValueError:
            patients = []
        expected = 1 if level == "studies" else 4  # views
        if answer.status_code != 200 or patients.count(CONTROL) != expected:
            found.append(f"{level} ({answer.status_code})")
    return found
