"""Orders on a Ray cluster: three machines, simulated on one; at most two workers at once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from mammosynth import cli
from mammosynth.batch import Run, synthesize_files
from mammosynth.bundle import default_bundle, load_bundle
from mammosynth.errors import DataError
from mammosynth.evaluation.realism import phantom_statistics
from mammosynth.journey import Order
from mammosynth.parallel.engine import in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.exam import write_exam
from mammosynth.phantom.clinic.manifest import CohortSettings, read_manifest
from mammosynth.phantom.clinic.read import phantom_splits
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.task import task_named
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.orders import Logged, die, later_the_smaller, lines, refuse
from tests.support.ray_cluster import add_node, temporary_cluster
from tests.support.waiting import until

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mammosynth[ray]'")
from mammosynth.parallel.on_ray import RayEngine

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with temporary_cluster(2) as started:
        yield started


@pytest.fixture
def engine(cluster: Any) -> RayEngine:
    return RayEngine(cluster.address, workers=2)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_jobs_come_in_their_order_and_each_worker_is_given_once_what_they_share(
    engine: RayEngine, tmp_path: Path
) -> None:
    assert list(in_order(engine, later_the_smaller, range(9))) == [job * job for job in range(9)]
    processes = {process for _, process in engine.run(Logged(tmp_path, 0.3), range(20))}
    assert len(processes) == len(lines(tmp_path / "loaded")) == 2
    assert sorted(lines(tmp_path / "done")) == list(range(20))


def test_who_stops_early_ends_the_workers_and_few_jobs_were_begun(engine: RayEngine, tmp_path: Path) -> None:
    with closing(engine.run(Logged(tmp_path, 0.05), range(100))) as finished:
        _, process = next(finished)
    assert len(lines(tmp_path / "begun")) <= 5
    assert _ends(process)


def test_an_error_of_a_job_comes_in_its_own_words(engine: RayEngine) -> None:
    with pytest.raises(DataError, match=r"\Athree is refused\Z"):
        list(engine.run(refuse, range(9)))


def test_a_killed_worker_loses_nothing(engine: RayEngine, tmp_path: Path) -> None:
    finished = engine.run(Logged(tmp_path, 0.4), range(12))
    _, process = next(finished)
    until(lambda: len(lines(tmp_path / f"begun-by-{process}")) == 2)  # another one, whatever the other worker does
    os.kill(process, signal.SIGKILL)
    jobs = [job for job, _ in finished]
    assert len(jobs) == len(set(jobs)) == 11
    assert sorted(lines(tmp_path / "done")) == list(range(12))
    assert len(lines(tmp_path / "begun")) > 12  # one was begun again


def test_an_order_that_kills_every_worker_ends_with_what_to_do(engine: RayEngine) -> None:
    with pytest.raises(DataError, match="workers died 4 times at the same order.*fewer at once to go on"):
        list(engine.run(die, [1]))


def test_a_machine_that_is_killed_in_the_middle_changes_no_byte_of_phantoms(
    cluster: Any, engine: RayEngine, tmp_path: Path
) -> None:
    case = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    settings, seeds = CohortSettings(case), range(6)
    write_cohort(tmp_path / "here", settings, seeds, engine=LocalEngine(1))
    told: list[tuple[int, int, str]] = []

    def kill_a_machine_once(*news: Any) -> None:
        told.append(news)
        if len(told) == 1:
            cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

    write_cohort(tmp_path / "there", settings, seeds, engine=engine, progress=kill_a_machine_once)
    add_node(cluster)
    assert [news[:2] for news in told] == [(number, 6) for number in range(1, 7)]
    assert len({name for _, _, name in told}) == 6
    assert tree(tmp_path / "there") == tree(tmp_path / "here")


def test_files_have_the_bytes_that_they_have_here_and_refusals_are_the_same(engine: RayEngine, tmp_path: Path) -> None:
    (first, *_) = write_exam(tmp_path / "in", seed=1, pixel_mm=3.6)
    shutil.copy(first, tmp_path / "in" / "the-same-again.dcm")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    order = Order.parse(load_bundle(default_bundle("contrast")), {})
    run = Run()
    reports = [
        synthesize_files([tmp_path / "in"], tmp_path / name / "out", order, engine=each, run=run)
        for name, each in (("here", LocalEngine(1)), ("there", engine))
    ]
    assert tree(tmp_path / "there") == tree(tmp_path / "here")
    here, there = reports
    assert len(here.written) == 4
    assert [path.name for path in there.written] == [path.name for path in here.written]
    assert (there.refused, there.notes, there.warnings) == (here.refused, here.notes, here.warnings)
    assert [name for name, _ in there.refused] == ["broken.png"]
    assert [words for _, words in there.notes] == ["the same image as R-CC-low-energy.dcm; synthesized once"]


def test_an_evaluation_tells_the_same_to_the_last_byte(engine: RayEngine, tmp_path: Path) -> None:
    case = CaseParameters(0, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=1.8)
    write_cohort(tmp_path / "data", CohortSettings(case), range(4), engine=LocalEngine(1))
    evaluation = task_named("contrast").load("evaluation")
    here, there = (
        evaluation(
            tmp_path / "data",
            phantom_splits(tmp_path / "data")[0],
            [load_bundle(default_bundle("contrast"))],
            options=evaluation.options(bootstrap=20, samples=2),
            with_page=True,
            engine=each,
        )
        for each in (LocalEngine(1), engine)
    )
    assert json.dumps(there.values) == json.dumps(here.values)
    assert (there.text, there.page) == (here.text, here.page)


def test_statistics_of_phantoms_are_the_same(engine: RayEngine) -> None:
    here, there = (
        [
            (each.patient, each.values.tobytes(), each.octaves.tobytes())
            for each in phantom_statistics(3, seed=5, engine=of)
        ]
        for of in (LocalEngine(1), engine)
    )
    assert len(here) == 3
    assert there == here


def test_a_cluster_that_is_not_there_is_told_with_what_to_do(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    options = ["--engine", "ray", "--ray-address", "127.0.0.1:1", "--out", str(tmp_path / "out")]
    assert cli.main(["phantom", *options]) == 1
    assert "--ray-address 127.0.0.1:1: no Ray cluster answers there" in capsys.readouterr().err


def test_an_interrupted_command_that_started_ray_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mammosynth", "phantom", "--out", str(tmp_path / "p"), "--cases", "40"]
    command += ["--pixel-mm", "2", "--views", "CC", "--sides", "L", "--engine", "ray", "--workers", "1"]
    mark = {"MAMMOSYNTH_TEST": str(tmp_path)}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, **mark}
    )
    while not list((tmp_path / "p").glob("case-*/case.json")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.communicate(timeout=60)[1].endswith("interrupted\n")
    assert process.returncode == 130
    until(lambda: not _marked(mark), 15)
    assert 0 < len(read_manifest(tmp_path / "p")[1]["cases"]) < 40


def _marked(mark: dict[str, str]) -> list[psutil.Process]:
    """Processes that inherited a variable."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark.items() <= process.environ().items():
                found.append(process)
        except psutil.Error:
            continue
    return found


def _ends(process: int) -> bool:
    try:
        psutil.Process(process).wait(10)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True
