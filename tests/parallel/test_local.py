"""Orders in processes of this machine."""

import multiprocessing
from contextlib import closing
from pathlib import Path

import pytest

from mammosynth.errors import DataError
from mammosynth.parallel.engine import in_order
from mammosynth.parallel.local import LocalEngine
from tests.support.orders import Logged, die, later_the_smaller, lines, refuse

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once_and_comes_in_the_order_in_which_it_was_given(workers: int, tmp_path: Path) -> None:
    assert list(in_order(LocalEngine(workers), later_the_smaller, range(9))) == [job * job for job in range(9)]
    list(LocalEngine(workers).run(Logged(tmp_path), range(9)))
    assert sorted(lines(tmp_path / "done")) == list(range(9))


def test_every_process_is_given_once_what_all_jobs_have_in_common(tmp_path: Path) -> None:
    processes = {process for _, process in LocalEngine(2).run(Logged(tmp_path), range(9))}
    assert processes <= set(lines(tmp_path / "loaded"))
    assert len(lines(tmp_path / "loaded")) == 2


def test_few_jobs_are_under_way_at_a_time(tmp_path: Path) -> None:
    with closing(LocalEngine(2).run(Logged(tmp_path), range(100))) as finished:
        next(finished)
    assert len(lines(tmp_path / "begun")) <= 5


def test_an_error_of_a_job_ends_all_in_its_own_words() -> None:
    with pytest.raises(DataError, match=r"\Athree is refused\Z"):
        list(LocalEngine(2).run(refuse, range(9)))
    assert not multiprocessing.active_children()


def test_a_dead_process_is_told_with_what_to_do() -> None:
    with pytest.raises(DataError, match="a process was killed; 2 ran at once.*give the same command again with fewer"):
        list(LocalEngine(2).run(die, range(4)))
