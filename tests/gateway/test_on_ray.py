"""A server whose networks run in workers of a Ray cluster: two machines of one CPU, simulated here."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pydicom
import pytest

from mammosynth.parallel.engine import THREAD_COUNTS
from mammosynth.phantom.clinic.exam import write_exam
from tests.support.ray_cluster import temporary_cluster
from tests.support.server import Server, find_series, made, order, retrieve, running
from tests.support.waiting import until

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mammosynth[ray]'")
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("on-ray")
    write_exam(folder / "studies", seed=1, pixel_mm=3.6, patient_id="RAY")
    with (
        temporary_cluster(2) as started,
        running(folder / "d", "--studies", str(folder / "studies"), "--ray-address", started.address) as each,
    ):
        until(lambda: _workers(each)["idle"] == 2, 90)
        yield each


def _workers(server: Server) -> dict[str, float]:
    lines = server.get("/metrics").text.splitlines()
    found = [line.split() for line in lines if line.startswith("mammosynth_pool_workers{")]
    states = {name.split('"')[1]: float(value) for name, value in found}
    return {"idle": 0.0, "busy": 0.0, "starting": 0.0, **states}


def _processes() -> list[psutil.Process]:
    """Workers of the cluster that this test has started, and of no other."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::_Worker"):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _submit(server: Server, seed: int, **parameters: Any) -> str:
    study, series = next(iter(find_series(server, "RAY").values()))
    answer = server.post("/synthesis", json={**order(study, series), "parameters": {"seed": seed, **parameters}})
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def _image(server: Server, status: dict[str, Any]) -> pydicom.Dataset:
    output = made(status["result"])
    return retrieve(server, output["study_instance_uid"], output["series_instance_uid"], output["sop_instance_uid"])


def _kill_what_runs() -> int:
    """Kill the workers that have an order, of which Ray makes the method their title."""
    busy = [process for process in _processes() if process.cmdline()[0].startswith("ray::_Worker.call")]
    for process in busy:
        process.send_signal(signal.SIGKILL)
    return len(busy)


def test_the_image_is_the_one_that_is_made_here(server: Server, tmp_path: Path) -> None:
    assert server.get("/ready").json()["pool"] == "ok"
    there = _image(server, server.wait(_submit(server, 3), "done"))
    write_exam(tmp_path / "studies", seed=1, pixel_mm=3.6, patient_id="RAY")
    threads = dict.fromkeys(THREAD_COUNTS, "1")  # as a worker has; the last bits depend on their number
    with running(tmp_path / "d", "--studies", str(tmp_path / "studies"), environment=threads) as local:
        here = _image(local, local.wait(_submit(local, 3), "done"))
    assert there.SOPInstanceUID == here.SOPInstanceUID
    assert there.PixelData == here.PixelData


def test_two_jobs_run_at_once_and_models_are_loaded_once(server: Server) -> None:
    before = {process.pid for process in _processes()}
    jobs = [_submit(server, seed) for seed in range(100, 112)]
    most = 0
    while sum(server.get(f"/synthesis/{job}").json()["state"] != "done" for job in jobs):
        states = [server.get(f"/synthesis/{job}").json()["state"] for job in jobs]
        assert "failed" not in states
        most = max(most, states.count("running"))
    assert most >= 2  # states are asked one after another: one may end meanwhile, and another begin
    assert {process.pid for process in _processes()} == before


def test_a_job_whose_worker_is_killed_once_is_done_once(server: Server) -> None:
    job = _submit(server, 7)
    until(_kill_what_runs, 60)
    status = server.wait(job, "done", timeout_s=90)
    assert len(status["result"]["outputs"]) == 1
    until(lambda: "mammosynth_pool_deaths_total 0.0" not in server.get("/metrics").text, 60)
    until(lambda: _workers(server)["idle"] == 2, 90)


def test_a_job_is_done_though_all_workers_die_at_once(server: Server) -> None:
    job = _submit(server, 8)
    until(lambda: server.get(f"/synthesis/{job}").json()["state"] == "running", 60)
    for process in _processes():  # the idle one, too, before anybody has noticed
        process.send_signal(signal.SIGKILL)
    assert server.wait(job, "done", timeout_s=90)
    until(lambda: _workers(server)["idle"] == 2, 90)


def test_a_job_that_is_cancelled_while_it_runs_frees_its_worker(server: Server) -> None:
    jobs = [_submit(server, seed) for seed in range(200, 206)]
    until(lambda: server.get(f"/synthesis/{jobs[0]}").json()["state"] == "running", 60)
    for job in jobs:
        server.request("DELETE", f"/synthesis/{job}")
    ended = ("cancelled", "done")  # the first may have been quicker
    states = [until(lambda job=job: _in(server, job, ended), 60) for job in jobs]
    assert "cancelled" in states
    until(lambda: _workers(server)["idle"] == 2, 20)
    assert server.wait(_submit(server, 300), "done")


def _in(server: Server, job: str, states: tuple[str, ...]) -> str:
    state = server.get(f"/synthesis/{job}").json()["state"]
    return state if state in states else ""


def test_infer_runs_there_too(server: Server) -> None:
    _, series = next(iter(find_series(server, "RAY").values()))
    answer = server.post(f"/infer/contrast?image={series}&output=json", data={"params": "{}"})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ray-address", "127.0.0.1:1"], "no Ray cluster answers there"),
        (["--ray-address", "http://10.0.0.1"], "expected HOST:PORT of a cluster's head"),
        (["--ray-workers", "2"], "and --ray-address of the cluster with it"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(options: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=words), running(tmp_path / "d", *options):
        pass


def test_without_its_cluster_a_server_lives_is_not_ready_and_stops_leaving_nothing(tmp_path: Path) -> None:
    write_exam(tmp_path / "studies", seed=1, pixel_mm=3.6, patient_id="RAY")
    with temporary_cluster(2) as started:
        options = ("--studies", str(tmp_path / "studies"), "--ray-address", started.address)
        with running(tmp_path / "d", *options) as server:
            assert server.wait(_submit(server, 1), "done", timeout_s=90)
            started.shutdown()
            until(lambda: server.get("/ready").status_code == 503, 60)
            assert server.get("/ready").json()["pool"] != "ok"
            assert server.get("/health").status_code == 200
            assert "mammosynth_pool_up 0.0" in server.get("/metrics").text
            refused = until(lambda: _refused(server), 60)
            assert "the Ray cluster" in refused
            children = psutil.Process(server.process.pid).children(recursive=True)
        assert not [child for child in children if child.is_running()]
        assert server.process.returncode == 0


def _refused(server: Server) -> str:
    study, series = next(iter(find_series(server, "RAY").values()))
    answer = server.post("/synthesis", json=order(study, series))
    return answer.json()["detail"] if answer.status_code == 503 else ""
