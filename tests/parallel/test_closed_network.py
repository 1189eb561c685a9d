"""The law and the simulation of `benchmarks/scaling.py`, against each other and against what is known."""

import numpy as np
import pytest

from benchmarks.closed_network import Stage, bend, law, most, rate, simulate

STAGES = [Stage("network", 0.01), Stage("archive", 0.1)]


def test_one_worker_waits_for_nobody() -> None:
    assert law(0.4, STAGES, 1) == [pytest.approx(1 / 0.51)]
    assert rate(simulate(0.4, STAGES, 1, 50), 1) == pytest.approx(1 / 0.51)


def test_machine_repair_has_the_known_rate() -> None:
    # M/M/1//2 with Z = D = 1: balance gives p = 1/5, 2/5, 2/5 of no, one and two orders at the stage: rate 4/5.
    assert law(1.0, [Stage("repair", 1.0)], 2)[-1] == pytest.approx(0.8)


@pytest.mark.parametrize("workers", [2, 5, 12])
def test_the_law_is_what_a_simulation_of_drawn_times_comes_to(workers: int) -> None:
    simulated = rate(simulate(0.4, STAGES, workers, 20_000, np.random.default_rng(0)), workers)
    assert law(0.4, STAGES, workers)[-1] == pytest.approx(simulated, rel=0.03)


def test_times_that_are_alike_let_workers_take_turns_until_the_narrowest_stage_is_full() -> None:
    assert bend(0.4, STAGES) == pytest.approx(5.1)
    assert rate(simulate(0.4, STAGES, 5, 2000), 5) == pytest.approx(5 / 0.51, rel=0.01)
    for workers in (6, 20):
        assert rate(simulate(0.4, STAGES, workers, 2000), workers) == pytest.approx(most(STAGES), rel=0.01)


def test_more_servers_move_the_bend() -> None:
    wider = [Stage("archive", 0.1, servers=4)]
    assert most(wider) == pytest.approx(40)
    assert rate(simulate(0.4, wider, 15, 3000), 15) == pytest.approx(15 / 0.5, rel=0.02)
    assert rate(simulate(0.4, wider, 60, 3000), 60) == pytest.approx(40, rel=0.02)
    assert law(0.4, wider, 60)[-1] == pytest.approx(40, rel=0.02)


def test_every_order_is_done_once_and_workers_without_an_order_do_nothing() -> None:
    assert len(simulate(0.4, STAGES, 3, 7)) == 7
    assert simulate(0.4, STAGES, 9, 2) == [pytest.approx(0.51), pytest.approx(0.61)]
