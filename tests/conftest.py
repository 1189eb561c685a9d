"""What holds for all tests: workers that share nothing by accident, and servers and browsers for e2e tests only."""

import os
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mammosynth.imports import import_monai, imports_that_stay
from tests.support.processes import note_test
from tests.support.shared import made_once

if TYPE_CHECKING:
    from tests.support.toy import Toy

_IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
_KINDS_OF_ARCHIVES = ("embedded", "orthanc")


def pytest_configure(config: pytest.Config) -> None:
    """Workers share the cores already: they, and the servers that they start, inherit one thread each."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """As the commands do it; who only hands out tests imports none."""
    with imports_that_stay():
        if _IS_WORKER or not session.config.getoption("numprocesses", None):
            import_monai()
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests go first, so that no worker waits for another at the end."""
    if _IS_WORKER:
        items.sort(key=lambda item: ("e2e" not in item.keywords, "slow" not in item.keywords))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Which tests go together is read from their names: xdist 3.8 loses the marks of groups under pytest 9.2."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)

    return ByGroup(config, log)


def _group(nodeid: str) -> str:
    """A file is for one worker, since its tests share fixtures; so are a folder's tests with one kind of archive."""
    file, _, test = nodeid.partition("::")
    parameters = test.partition("[")[2].rstrip("]").split("-")
    for kind in _KINDS_OF_ARCHIVES:
        if kind in parameters:
            return f"{Path(file).parent.name} {kind}"
    return file


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember whether the test may start servers and browsers."""
    note_test(item.nodeid, marked=item.get_closest_marker("e2e") is not None)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> "Toy":
    """The task of docs/how-to/add-a-task.md, installed into a folder of its own."""
    from tests.support.toy import install_toy, toy_in  # here, since the process that hands out tests needs no torch

    return toy_in(made_once(tmp_path_factory, "toy", install_toy))
