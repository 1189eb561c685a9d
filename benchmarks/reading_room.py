"""20 readers answer and page at once: is an answer lost, how long does a save take, and how long the next case?

Run from the root: `PYTHONPATH=. .venv/bin/python benchmarks/reading_room.py [--seconds 60] [--think 1] [--database
postgresql://USER:PASSWORD@HOST/NAME]`. A server of its own holds a study of four-view cases in 1280 x 1024 pixels, in
SQLite, or in a schema of that database that is removed afterwards. Each reader answers three questions, each in a
request of its own, shows the next case, reads its headers, and fetches the pixels of the one after it ahead. A save is
the time until the server has an answer; a next case is that of showing it, its headers, and whatever of its pixels had
not arrived yet. What else runs on the machine slows all of it, as the time of a request for nothing (/health) shows,
but not the server's processor time.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from mammosynth.mammogram import Mammogram
from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.protocol import Protocol, parse_protocol
from mammosynth.reading.store import StudyStore
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.blinded import tissue
from tests.support.postgresql import empty_schema
from tests.support.reading_room import DISPLAY
from tests.support.server import running

_READERS, _PATIENTS, _ARMS = 20, 12, ("clinical", "synthesized")
_VIEWS = [(breast, view) for breast in ("R", "L") for view in ("CC", "MLO")]
_AT_ONCE = 2  # connections for what is fetched ahead, of the six of a browser
_MOST_SAVE_S, _MOST_NEXT_S = 0.2, 1.0


@dataclass
class Seen:
    """What came out, in seconds."""

    saves: list[float] = field(default_factory=list)
    nexts: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    nothing: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    again: int = 0


def main() -> int:
    """Measure and print; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--think", type=float, default=1.0, help="seconds between what a reader does")
    parser.add_argument("--database", help="a PostgreSQL database, instead of SQLite")
    args = parser.parse_args()
    protocol = _protocol()
    with tempfile.TemporaryDirectory() as name, _place(args.database, Path(name)) as place:
        folder = Path(name)
        data = folder / "data"
        tokens = {reader: add_token(folder / "tokens", Identity(reader, Role.READER)) for reader in protocol.readers}
        store = StudyStore(place)
        store.open_study(protocol, "benchmark")
        print(f"copies                          {blind(store, protocol.name, data / 'blinded', _read)}", flush=True)
        with running(data, "--token-file", str(folder / "tokens"), "--reader-studies", str(place)) as server:
            before = sum(psutil.Process(server.process.pid).cpu_times()[:2])
            seen = _read_at_once(server.address, protocol.name, tokens, args.seconds, args.think)
            busy_s = sum(psutil.Process(server.process.pid).cpu_times()[:2]) - before
        hashes = {record["sha256"] for record in store.content(protocol.name)["records"]}
        store.close()
    lost = [receipt for receipt in seen.acknowledged if receipt not in hashes]
    print(f"database                        {'PostgreSQL' if args.database else 'SQLite'}")
    print(f"readers, cores                  {_READERS}, {len(os.sched_getaffinity(0))}")
    print(f"answers acknowledged, lost      {len(seen.acknowledged)}, {len(lost)}")
    print(f"requests that failed, sent again {len(seen.failures)} {seen.failures[:3]}, {seen.again}")
    for what, values in (
        ("a save", seen.saves),
        ("the next case", seen.nexts),
        ("a frame, ahead", seen.frames),
        ("/health", seen.nothing),
    ):
        middle, late, most = np.percentile(values, [50, 95, 100])
        print(f"{what:<31} median {middle:.3f}, p95 {late:.3f}, most {most:.3f} s of {len(values)}")
    print(f"the server's processor time     {busy_s:.1f} s of {args.seconds:g} s")
    are_fast = np.percentile(seen.saves, 95) < _MOST_SAVE_S and np.percentile(seen.nexts, 95) < _MOST_NEXT_S
    return 0 if are_fast and not lost and not seen.failures else 1


def _place(database: str | None, folder: Path) -> AbstractContextManager[Path | str]:
    """Of the store."""
    return empty_schema(database) if database else nullcontext(folder / "data" / "studies.sqlite")


def _read_at_once(address: str, study: str, tokens: dict[str, str], seconds: float, think: float) -> Seen:
    seen = Seen()
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(len(tokens) + 1) as pool:
        clients = [_Client(address, token, seen) for token in tokens.values()]
        probe = pool.submit(_ask_for_nothing, clients[0], ends)
        for each in [pool.submit(_read_cases, client, study, ends, think) for client in clients]:
            each.result()
        probe.result()
    return seen


class _Client:
    """A reader's browser: asks, and asks again where a kept connection was closed meanwhile."""

    def __init__(self, address: str, token: str, seen: Seen) -> None:
        self.seen = seen
        self._address = address
        self._session = requests.Session()
        self._session.headers.update({"authorization": f"Bearer {token}", "accept": "multipart/related"})

    def ask(self, path: str, body: Any = None) -> Any:
        """JSON, or None for pixels."""
        method = "GET" if body is None else "POST"
        try:
            answer = self._session.request(method, self._address + path, json=body, timeout=60)
        except requests.ConnectionError:
            self.seen.again += 1
            answer = self._session.request(method, self._address + path, json=body, timeout=60)
        if answer.status_code != 200:
            self.seen.failures.append(f"{answer.status_code} {answer.text[:80]}")
            answer.raise_for_status()
        return answer.json() if "json" in answer.headers["content-type"] else None

    def timed(self, times: list[float], path: str, body: Any = None) -> Any:
        """The same, with the time that it took."""
        began = time.monotonic()
        said = self.ask(path, body)
        times.append(time.monotonic() - began)
        return said


def _ask_for_nothing(client: _Client, ends: float) -> None:
    """How long the machine alone makes everything."""
    while time.monotonic() < ends:
        client.timed(client.seen.nothing, "/health")
        time.sleep(0.25)


def _read_cases(client: _Client, study: str, ends: float, think: float) -> None:
    path = f"/reading-room/studies/{study}"
    here = client.ask(f"{path}/sessions/1", {"display": DISPLAY})
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while here["state"] == "reading" and time.monotonic() < ends:
            urls = (here["ahead"] or {"frames": []})["frames"]
            ahead = [pool.submit(client.timed, client.seen.frames, url) for url in urls]
            for question in here["questions"]:
                time.sleep(think)
                _answer(client, path, here, question)
            time.sleep(think)
            began = time.monotonic()
            place = {"session": 1, "position": here["position"] + 1}
            here = client.ask(f"{path}/show", place | {"left": {"seconds": 1.0}})
            if here["state"] == "reading":
                client.ask(f"/reading-room/dicom/wado/studies/{here['study_instance_uid']}/metadata")
            for each in ahead:
                each.result()
            client.seen.nexts.append(time.monotonic() - began)


def _answer(client: _Client, path: str, here: dict[str, Any], question: dict[str, Any]) -> None:
    value = {"yes_no": {"answer": "yes", "suspicion": 70}, "category": "b", "text": "a word"}[question["type"]]
    answers = [
        {"question": question["name"], "target": target, "value": value, "duration_s": 1.0}
        for target in question["targets"]
    ]
    body = {"session": 1, "position": here["position"], "answers": answers}
    said = client.timed(client.seen.saves, f"{path}/answers", body)
    client.seen.acknowledged += [receipt["sha256"] for receipt in said["receipts"]]


def _protocol() -> Protocol:
    cases = {
        f"case-{patient}": {
            "patient": f"P{patient}",
            "breasts": ["R", "L"],
            "images": {arm: [f"{patient} {view} {arm}" for view in range(len(_VIEWS))] for arm in _ARMS},
        }
        for patient in range(_PATIENTS)
    }
    settings = {
        **{"version": 1, "name": "load", "title": "Twenty readers at once", "reading_unit": "patient"},
        "arms": {"clinical": {"title": "Clinical"}, "synthesized": {"title": "Synthesized", "generated": True}},
        "reference_arm": "clinical",
        "readers": [f"reader-{number}" for number in range(_READERS)],
        "questions": {
            "bpe": {"type": "category", "title": "BPE", "categories": ["a", "b", "c", "d"], "positive": ["c", "d"]},
            "lesion": {"type": "yes_no", "title": "Is there a lesion?", "suspicion": True, "per": "breast"},
            "remark": {"type": "text", "title": "Anything else?", "required": False},
        },
        "design": {"sessions": 2, "seed": 1},
        "endpoints": {"bpe": {"title": "BPE", "question": "bpe", "statistic": "arm_agreement"}},
        **{"blinding": {}, "cases": cases},
    }
    return parse_protocol(json.dumps(settings))


def _read(source: str) -> Mammogram:
    patient, view, arm = source.split(" ")
    breast, position = _VIEWS[int(view)]
    pixels = tissue(100 * int(patient) + 10 * int(view) + (arm == _ARMS[0]), 512, 384)
    pixels = pixels[:, ::-1] if breast == "R" else pixels
    return Mammogram(np.ascontiguousarray(pixels), source, ViewPosition(position), ImageLaterality(breast))


if __name__ == "__main__":
    raise SystemExit(main())
