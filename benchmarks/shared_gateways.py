"""Whole servers on one PostgreSQL and one archive: is every job stored once, whoever is killed or updated?

Run from the root, with `MAMMOSYNTH_TEST_POSTGRESQL=postgresql://…` in the environment:
`PYTHONPATH=. .venv/bin/python benchmarks/shared_gateways.py [kills|update]`. Images are small phantoms; people are
threads that try again what may be answered later.
"""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from benchmarks.storm.setting import Table, progress
from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway.jobs import JobState, JobStore
from tests.support.gateways import Client, gateways, orders, restart_in_turn, synthesized_in
from tests.support.postgresql import empty_database

_LATEST_KILL_S = 3.0  # after the requests for jobs begin that arrive meanwhile


def main() -> int:
    """Measure and print; returns 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="kills|update", default=["kills", "update"])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--kills", type=int, default=10, help="of each server")
    parser.add_argument("--people", type=int, default=20, help="who ask while servers are restarted in turn")
    parser.add_argument("--leave", type=float, default=3.0, help="for how long a server answers that is told to stop")
    args = parser.parse_args()
    parts = {"kills": _killed, "update": _updated}
    tables = []
    for part in args.parts:
        with empty_database() as url, tempfile.TemporaryDirectory() as folder:
            tables.append(parts[part](url, Path(folder), args))
    return int(not all([table.print() for table in tables]))


def _killed(url: str, folder: Path, args: argparse.Namespace) -> Table:
    draw, jobs, running_at_kill = random.Random(1), [], 0
    with gateways(folder, 2, url) as (servers, archive), closing(Database(url, LAYOUTS)) as database:
        store = JobStore(database, holder="looks")
        client = Client(itertools.cycle([each.address for each in servers]).__next__)
        wanted, begun = orders(archive, args.jobs), time.monotonic()
        rounds = [*servers] * args.kills
        for number, victim in enumerate(rounds):
            part = wanted[number * len(wanted) // len(rounds) : (number + 1) * len(wanted) // len(rounds)]
            with ThreadPoolExecutor(1) as pool:
                sent = pool.submit(lambda part=part: [client.submit(each) for each in part])
                time.sleep(draw.uniform(0, _LATEST_KILL_S))
                running_at_kill += store.present()[JobState.RUNNING] > 0
                victim.kill()
                victim.start()
                jobs += sent.result()
            progress(f"kill {number + 1} of {len(rounds)}, {time.monotonic() - begun:.0f} s")
        ended = [client.wait(job) for job in jobs]
        seconds = time.monotonic() - begun
        made = [each["result"]["outputs"][0]["sop_instance_uid"] for each in ended if each["state"] == "done"]
        there = synthesized_in(archive)
        rows = store.content()
    table = Table(f"{len(jobs)} jobs acknowledged, two servers, each killed (-9) {args.kills} times")
    table.tell("kills while a job ran", f"{running_at_kill} of {len(rounds)}")
    table.tell("requests that were tried again", str(len(client.tried_again)))
    table.tell("jobs begun again", str(sum(row["attempts"] > 1 for row in rows)))
    table.tell("seconds", f"{seconds:.0f}")
    table.none_of("acknowledged and not done", [str(each) for each in ended if each["state"] != "done"])
    table.none_of("results that the archive lacks", sorted(set(made) - set(there)))
    table.none_of("images there that no job is told to have made", sorted(set(there) - set(made)))
    table.none_of("images stored twice", [uid for uid, count in Counter(there).items() if count > 1])
    table.none_of("orders without an image of their own", len(wanted) - len(set(made)))
    return table


def _updated(url: str, folder: Path, args: argparse.Namespace) -> Table:
    with gateways(folder, 2, url, "--leave", f"{args.leave:g}") as (servers, archive):
        seen = restart_in_turn(servers, archive, people=args.people, jobs_each=3)
        there = synthesized_in(archive)
    table = Table(f"two servers restarted in turn (--leave {args.leave:g}), {args.people} clients")
    table.tell("requests, jobs", f"{seen.requests}, {len(seen.jobs)}")
    table.tell("tried again by the client", str(dict(Counter(each.why for each in seen.tried_again)) or "none"))
    table.none_of("failed otherwise", seen.failed)
    table.none_of("refused before /ready said no", [str(each) for each in seen.early])
    table.none_of("jobs lost", [str(each) for each in seen.statuses if each["state"] != "done"])
    table.none_of("jobs whose image is not there", len(seen.jobs) - len(set(there)))
    return table


if __name__ == "__main__":
    raise SystemExit(main())
