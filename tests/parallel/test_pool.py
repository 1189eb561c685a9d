"""What is told of a pool while it changes; the pool itself is tested with a server, in tests/gateway/test_on_ray.py."""

from collections.abc import Callable
from typing import Any

import pytest

from mammosynth import __version__
from mammosynth.parallel.pool_errors import PoolAwayError

pytest.importorskip("ray", reason="Ray is not installed: pip install 'mammosynth[ray]'")
from mammosynth.parallel.pool import RayPool
from mammosynth.parallel.ray_actors import _Worker, pack, unpack

pytestmark = pytest.mark.slow  # Ray takes a second to be imported


@pytest.mark.parametrize("ask", [RayPool.check, RayPool.check_ready])
def test_a_cluster_that_comes_back_while_it_is_asked_for_is_refused_in_words(ask: Callable[[RayPool], None]) -> None:
    class Returning(RayPool):
        @property
        def _away(self) -> str:
            return told.pop() if told else ""

        @_away.setter
        def _away(self, value: str) -> None:
            pass

    told: list[str] = []
    pool = Returning("127.0.0.1:1")
    told.append("the Ray cluster does not answer")
    with pytest.raises(PoolAwayError, match="^the Ray cluster does not answer$"):
        ask(pool)


def test_how_far_an_order_is_is_never_told_of_the_next() -> None:
    class Watched(_Worker):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if watches:
                seen.append(self.look())

    watches, seen = False, list[tuple[int, float, str]]()
    worker = Watched()
    worker._parts = {"tell": lambda job, report: report(job, "told")}
    watches = True
    for number, fraction in ((1, 0.9), (2, 0.1)):
        assert unpack(worker.call(number, (__version__, {}), "tell", pack(fraction))) is None
    assert {fraction for number, fraction, _ in seen if number == 2} == {0.0, 0.1}
