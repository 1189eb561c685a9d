"""Two whole servers with one queue on PostgreSQL: killed or updated, no job is lost and none is stored twice."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.gateways import Client, gateways, orders, restart_in_turn, synthesized_in
from tests.support.postgresql import empty_database

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_servers_that_are_killed_store_every_acknowledged_job_once(tmp_path: Path) -> None:
    with empty_database() as url, gateways(tmp_path, 2, url) as (servers, archive):
        client = Client(itertools.cycle([each.address for each in servers]).__next__)
        jobs: list[str] = []
        for victim in servers:
            wanted = orders(archive, 12)[len(jobs) : len(jobs) + 6]
            with ThreadPoolExecutor(1) as pool:
                sent = pool.submit(lambda wanted=wanted: [client.submit(each) for each in wanted])
                victim.kill()
                victim.start()
                jobs += sent.result()
        ended = [client.wait(job) for job in jobs]
        assert [each["state"] for each in ended] == ["done"] * 12
        made = [each["result"]["outputs"][0]["sop_instance_uid"] for each in ended]
        assert len(set(made)) == 12
        assert sorted(synthesized_in(archive)) == sorted(made)


def test_servers_that_are_updated_in_turn_refuse_nothing_before_they_say_so_and_lose_no_job(tmp_path: Path) -> None:
    with empty_database() as url, gateways(tmp_path, 2, url, "--leave", "2") as (servers, archive):
        seen = restart_in_turn(servers, archive, people=5, jobs_each=2)
    assert seen.failed == []
    assert seen.early == []
    assert {each["state"] for each in seen.statuses} == {"done"}
    assert len(seen.statuses) == 10
