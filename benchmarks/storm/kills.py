"""kill -9, again and again, while things are stored, synthesized, drawn and trained; then what is there is counted."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from benchmarks.storm.setting import Place, Table, control_series, make_place, progress, serving
from mammosynth.atomic import UNFINISHED
from mammosynth.bundle import METADATA, WEIGHTS
from mammosynth.errors import OutputError
from mammosynth.training.checkpoint import CHECKPOINT, read_checkpoint
from tests.support.images import as_file, mammogram
from tests.support.server import Server, order, retrieve, stow
from tests.support.templates import write_template

KINDS = ("STOW", "jobs", "segmentations", "training")
_LATEST_S = 2.5  # after an activity has begun
_SIDE = 256  # pixels


def storm(*, count: int, seed: int, pixel_mm: float) -> bool:
    """Kill `count` times, print a table; whether every goal is met."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served").mkdir()
        (folder / "trained").mkdir()
        place = make_place(folder / "served", pixel_mm=pixel_mm)
        kept = Kept()
        for number in range(count - count // len(KINDS)):
            _kill_once(place, kept, KINDS[number % 3], draw)
            progress(f"kills of the server: {number + 1}, of kind {KINDS[number % 3]}")
        kept.verify_end(place)
        trained = _kill_training(folder / "trained", count // len(KINDS), draw)
    return all([kept.table().print(), trained.print()])


@dataclass
class Kept:
    """What the server has acknowledged, and what it had of it after each kill.

    Attributes:
        instances: SOP to Study and Series Instance UID of what STOW acknowledged.
        sent: SOP Instance UIDs of all that was sent.
        jobs: Ids that POST /synthesis acknowledged.
        done: Jobs that were told to be done, and the instances that they named.
        drawings: SOP Instance UID and label map of acknowledged segmentations.
    """

    instances: dict[str, tuple[str, str]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    jobs: list[str] = field(default_factory=list)
    done: dict[str, list[str]] = field(default_factory=dict)
    drawings: dict[str, bytes] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    half: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    unfinished_jobs: list[str] = field(default_factory=list)
    given_up: int = 0
    control_missed: int = 0
    slowest_start_s: float = 0.0

    def verify(self, server: Server, place: Place) -> None:
        """Count what is missing, half there, or left over after a restart."""
        self.left += [name for name in place.left_in_uploads() if name not in self.left]
        self.control_missed += len(control_series(server)) != 4
        for job in self.jobs:
            answer = server.get(f"/synthesis/{job}")
            if answer.status_code != 200:
                self._lose([f"job {job}"])
            elif answer.json()["state"] == "done":
                self.done.setdefault(job, [each["sop_instance_uid"] for each in answer.json()["result"]["outputs"]])
        listed = _listed(server)  # after the jobs, which go on meanwhile
        self._lose(f"instance {uid}" for uid in self.instances if uid not in listed)
        strangers = listed.keys() & self.sent - self.instances.keys()
        for uid in strangers:  # stored, but the answer was lost: whole, or not there
            self.instances[uid] = listed[uid]
            self._check_whole(server, uid)
        for job, made in self.done.items():
            self._lose(f"result {uid} of job {job}" for uid in made if uid not in listed)
        self._lose(f"segmentation {uid}" for uid in self.drawings if uid not in listed)

    def verify_end(self, place: Place) -> None:
        """Let every job end, and look at every acknowledged thing itself."""
        with serving(place) as server:
            self.verify(server, place)
            for job in self.jobs:
                status = _ended(server, job)
                if "the server died" in status["message"]:  # thrice, so it might be the job that kills it
                    self.given_up += 1
                elif status["state"] != "done":
                    self.unfinished_jobs.append(f"{job}: {status['state']}: {status['message'][:60]}")
            self.verify(server, place)
            for uid in self.instances:
                self._check_whole(server, uid)
            self._check_drawings(server)
        self.left += place.left_in_uploads()
        self.half += [path.name for path in place.studies.rglob(f"{UNFINISHED}*")]

    def table(self) -> Table:
        """What was found."""
        table = Table(f"{sum(self.kills.values())} kill -9 of the server")
        table.tell("kills by what it did", ", ".join(f"{kind} {number}" for kind, number in self.kills.items()))
        acknowledged = len(self.instances), len(self.jobs), len(self.drawings)
        table.tell("acknowledged instances, jobs, segmentations", ", ".join(map(str, acknowledged)))
        table.none_of("acknowledged and lost", self.lost)
        table.none_of("half visible", self.half)
        table.none_of("jobs that did not get done", self.unfinished_jobs)
        table.tell("jobs given up, in words, after the server died thrice", str(self.given_up))
        table.none_of("starts after which the control is not listed", self.control_missed)
        table.none_of("files left in TMPDIR after a start", self.left)
        table.none_of("processes that outlive the server", self.orphans)
        table.tell("slowest start", f"{self.slowest_start_s:.1f} s")
        return table

    def _lose(self, things: Any) -> None:
        self.lost += [thing for thing in things if thing not in self.lost]

    def _check_whole(self, server: Server, uid: str) -> None:
        study, series = self.instances[uid]
        try:
            pixels = retrieve(server, study, series, uid).pixel_array
        except Exception as error:  # whatever it is, it is not whole
            self.half.append(f"{uid}: {type(error).__name__}")
            return
        if pixels.shape != (_SIDE, _SIDE):
            self.half.append(f"{uid}: {pixels.shape}")

    def _check_drawings(self, server: Server) -> None:
        study = _study(server)
        for uid, labels in self.drawings.items():
            answer = server.get(f"/studies/{study}/segmentations/{uid}/mask")
            if answer.status_code != 200 or answer.content != labels:
                self.half.append(f"segmentation {uid}: {answer.status_code}")


def _kill_once(place: Place, kept: Kept, kind: str, draw: random.Random) -> None:
    started = time.monotonic()
    with serving(place) as server:
        kept.slowest_start_s = max(kept.slowest_start_s, time.monotonic() - started)
        kept.verify(server, place)
        children = psutil.Process(server.process.pid).children(recursive=True)
        act = {"STOW": _store, "jobs": _order, "segmentations": _draw_lesions}[kind]
        killer = threading.Timer(draw.uniform(0.05, _LATEST_S), server.process.kill)
        killer.start()
        with contextlib.suppress(httpx.HTTPError):
            act(server, kept)
        killer.join()
        server.process.wait(10)
        kept.kills[kind] = kept.kills.get(kind, 0) + 1
        _, alive = psutil.wait_procs(children, timeout=2)
        for process in alive:
            kept.orphans.append(process.name())
            process.kill()


# ---- activities, each until the server is dead ----


def _store(server: Server, kept: Kept) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number in itertools.count():
            image = mammogram(number, patient_id="STORED", Rows=_SIDE, Columns=_SIDE)
            file = Path(folder) / "image.dcm"
            file.write_bytes(as_file(image))
            uid = str(image.SOPInstanceUID)
            kept.sent.add(uid)
            if stow(server, [file]).status_code == 200:
                kept.instances[uid] = (str(image.StudyInstanceUID), str(image.SeriesInstanceUID))


def _order(server: Server, kept: Kept) -> None:
    sources = sorted(control_series(server).values())
    for study, series in itertools.cycle(sources):
        # A seed of its own makes each a result of its own.
        body = {**order(study, series), "parameters": {"seed": len(kept.jobs)}}
        answer = server.post("/synthesis", json=body)
        if answer.status_code == 202:
            kept.jobs.append(answer.json()["job_id"])
        time.sleep(0.3)


def _draw_lesions(server: Server, kept: Kept) -> None:
    study, series = control_series(server)["L CC low energy"]
    (item,) = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    shape = item["00280010"]["Value"][0], item["00280011"]["Value"][0]
    description = {
        "sop_instance_uid": item["00080018"]["Value"][0],
        "segments": [{"number": 1, "label": "Lesion", "lesion_class": "benign"}],
    }
    for number in itertools.count(len(kept.drawings)):
        labels = np.zeros(shape, np.uint8)
        labels.flat[number * 7 % labels.size : number * 7 % labels.size + 50] = 1
        files = {"mask": ("mask.gz", gzip.compress(labels.tobytes()), "application/octet-stream")}
        answer = server.post(
            f"/studies/{study}/segmentations", data={"description": json.dumps(description)}, files=files
        )
        if answer.status_code == 201:
            kept.drawings[answer.json()["sop_instance_uid"]] = labels.tobytes()


def _study(server: Server) -> str:
    return next(study for study, _ in control_series(server).values())


def _listed(server: Server) -> dict[str, tuple[str, str]]:
    """SOP Instance UID to study and series of all that the archive lists."""
    answer = server.get("/proxy/dicom/qido/instances").raise_for_status()
    return {
        item["00080018"]["Value"][0]: (item["0020000D"]["Value"][0], item["0020000E"]["Value"][0])
        for item in answer.json()
    }


def _ended(server: Server, job: str, timeout_s: float = 600.0) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    while True:
        status = server.get(f"/synthesis/{job}").json()
        if status.get("state") in ("done", "failed", "cancelled") or time.monotonic() > deadline:
            return {"state": "lost", "message": "", **status}
        time.sleep(0.1)


# ---- training ----


def _kill_training(folder: Path, count: int, draw: random.Random) -> Table:
    """A run that is killed again and again and then left to end, beside one that never was."""
    steps = 100 + 40 * count  # more than are done between kills, so that the run has not ended before the last one
    template = write_template(folder / "template", steps=steps, batch_size=2, validate_every=50, sample_every=0)
    whole, output = folder / "whole", folder / "killed"
    _train(template, whole).communicate()
    checkpoints = _Checkpoints(output / CHECKPOINT)
    killed = 0
    for number in range(count):
        told, status = _steps_until_killed(_train(template, output), draw)
        killed += status == -signal.SIGKILL
        checkpoints.verify(told)
        progress(f"kills of training: {number + 1}, at step {checkpoints.step}")
    too_early = (output / METADATA).exists() and checkpoints.step < steps
    _train(template, output).communicate()
    table = Table(f"{killed} kill -9 of a training run")
    table.tell("step at the last kill", str(checkpoints.step))
    table.none_of("bundles that are there before the run has ended", int(too_early))
    table.none_of("saved steps that are lost", checkpoints.lost)
    table.none_of("checkpoints that cannot be read", checkpoints.refused)
    table.none_of("unfinished files after the run has ended", [path.name for path in output.rglob(f"{UNFINISHED}*")])
    differs = _weights(whole) is None or _weights(whole) != _weights(output)
    table.none_of("differences to the weights of the run that was not killed", int(differs))
    return table


@dataclass
class _Checkpoints:
    """What a checkpoint held after each kill, against what was told to be saved."""

    path: Path
    step: int = 0
    told: int = 0
    lost: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def verify(self, told: list[int]) -> None:
        self.told = max([self.told, *told])
        try:
            self.step = read_checkpoint(self.path, "cpu")["step"] if self.path.exists() else 0
        except OutputError as error:
            self.refused.append(str(error))
            return
        if self.step < self.told:
            self.lost.append(f"step {self.told} was saved, the checkpoint holds step {self.step}")


def _train(template: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.storm.training", str(template), str(output)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _steps_until_killed(process: subprocess.Popen[str], draw: random.Random) -> tuple[list[int], int]:
    """Steps that a run told to have saved before it was killed, and its exit status.

    One of five is killed at any time from its start on, the others soon after their first step.
    """
    assert process.stdout is not None
    killers = [threading.Timer(draw.uniform(0, 6), process.kill)] if draw.random() < 0.2 else []
    for killer in killers:
        killer.start()
    steps = []
    for line in process.stdout:
        steps.append(int(line))
        if not killers:
            killers.append(threading.Timer(draw.uniform(0, 0.4), process.kill))
            killers[0].start()
    status = process.wait()
    process.stdout.close()
    for killer in killers:
        killer.cancel()
    return steps, status


def _weights(bundle: Path) -> bytes | None:
    path = bundle / WEIGHTS
    return path.read_bytes() if path.is_file() else None
