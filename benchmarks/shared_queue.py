"""Several servers on one PostgreSQL: is every job done once, whoever is killed, and who waits how long?

Run from the root: `MAMMOSYNTH_TEST_POSTGRESQL=postgresql://… PYTHONPATH=. .venv/bin/python benchmarks/shared_queue.py`.
Servers are reduced to their queue (a job sleeps), in processes of their own, and killed with SIGKILL in turn.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.jobs import JobRequest, JobState, JobStore
from tests.support import queue_server
from tests.support.postgresql import empty_database

_MOST_RATIO = 2.0


def main() -> int:
    """Measure and print; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10, help="of each server")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--people", type=int, default=20, help="who ask, all at once")
    parser.add_argument("--each", type=int, default=3, help="how many jobs")
    parser.add_argument("--job-s", type=float, default=0.1, help="how long a job takes")
    args = parser.parse_args()
    with empty_database() as url, tempfile.TemporaryDirectory() as folder:
        names = [f"server-{number}" for number in range(args.servers)]
        missed = _killed(url, Path(folder), names, args)
    with empty_database() as url, tempfile.TemporaryDirectory() as folder:
        missed |= _in_turn(url, Path(folder), names, args)
    return int(missed)


def _killed(url: str, folder: Path, names: Sequence[str], args: argparse.Namespace) -> bool:
    with closing(Database(url, LAYOUTS)) as database:
        store = JobStore(database, holder="asks")
        ids = _submit(store, args.jobs, args.people)
        begun = time.monotonic()
        running = {name: queue_server.start(url, name, folder / name, args.job_s) for name in names}
        try:
            apart_s = args.jobs * args.job_s / len(names) / (args.kills * len(names) + 1)
            for name in [*names] * args.kills:
                time.sleep(apart_s)
                _kill(running[name])
                running[name] = queue_server.start(url, name, folder / name, args.job_s)
            _wait(store)
        finally:
            for process in running.values():
                _kill(process)
        states = Counter(store.status(job)["state"] for job in ids)
    worked = Counter(line for name in names for line in (folder / name).read_text().split())
    again = sum(worked.values()) - len(worked)
    print(f"{args.jobs} jobs of {args.people} people, {len(names)} servers, each killed {args.kills} times")
    print(f"done, otherwise                 {states[JobState.DONE]}, {args.jobs - states[JobState.DONE]}")
    print(
        f"worked on to the end twice      {again}, of {args.kills * len(names)} that ran when their server was killed"
    )
    print(f"seconds                         {time.monotonic() - begun:.1f}")
    return states[JobState.DONE] < args.jobs


def _in_turn(url: str, folder: Path, names: Sequence[str], args: argparse.Namespace) -> bool:
    """Everybody asks for several jobs at once: until a person's last one is done, against the middle person.

    With one job each and one server, the wait until a job begins would be twice the median by arithmetic, in the best
    order that there is: (n - 1) t over (n - 1) t / 2.
    """
    with closing(Database(url, LAYOUTS)) as database:
        store = JobStore(database, holder="asks", max_queued_each=args.jobs)
        for number in range(args.jobs // 2):  # somebody has asked for very much before
            store.submit(JobRequest("contrast", {}, {"number": number}, "greedy"))
        running = [queue_server.start(url, name, folder / name, args.job_s) for name in names]
        ids = _submit(store, args.people * args.each, args.people)
        begun = time.monotonic()
        done: dict[str, float] = {}
        while len(done) < len(ids):
            for job in ids:
                if job not in done and store.status(job)["state"] == JobState.DONE:
                    done[job] = time.monotonic() - begun
            time.sleep(0.01)
        for process in running:
            _kill(process)
    waits = [max(done[job] for job in ids[person :: args.people]) for person in range(args.people)]
    ratio = max(waits) / statistics.median(waits)
    print(f"\n{args.people} people at once, {args.each} jobs each, behind {args.jobs // 2} jobs of one")
    print(f"longest wait / median           {max(waits):.2f} s / {statistics.median(waits):.2f} s")
    print(f"ratio                           {ratio:.2f} (goal: at most {_MOST_RATIO:g})")
    return ratio > _MOST_RATIO


def _submit(store: JobStore, count: int, people: int) -> list[str]:
    return [
        store.submit(JobRequest("contrast", {}, {"number": number}, f"person {number % people}"))
        for number in range(count)
    ]


def _wait(store: JobStore) -> None:
    while sum(store.present().values()):
        time.sleep(0.05)


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


if __name__ == "__main__":
    raise SystemExit(main())
