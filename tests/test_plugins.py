"""A package that adds a task or a command and cannot be loaded is told in a sentence, with its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from experiments.uninstalled import write_metadata
from mammosynth.cli import main
from mammosynth.errors import PluginError
from mammosynth.task import TaskSpec, tasks

_SPECIFICATION = (
    "from mammosynth.task import *\nSPECIFICATION = TaskSpec({name!r}, '', '', (), Placement.NEW_STUDY, {more})"
)
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package with a task of its own where Python finds it."""

    def put(specification: str, *, group: str = "mammosynth.tasks", module: str = "upside") -> None:
        project = tmp_path / "pyproject.toml"
        project.write_text(
            '[project]\nname = "upside-down"\nversion = "1"\n'
            f'[project.entry-points."{group}"]\nupside = "{module}:SPECIFICATION"\n'
        )
        (tmp_path / "site").mkdir()
        (tmp_path / "site" / "upside.py").write_text(specification)
        write_metadata(project, tmp_path / "site")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        monkeypatch.delitem(sys.modules, "upside", raising=False)
        tasks.cache_clear()

    yield put
    monkeypatch.undo()
    tasks.cache_clear()


def _specification(name: str = "upside", **more: str) -> str:
    return _SPECIFICATION.format(name=name, more=", ".join(f"{key}={value!r}" for key, value in more.items()))


@pytest.mark.parametrize(
    ("specification", "told"),
    [
        ("def", r"the package upside-down cannot be loaded \(SyntaxError: .*upside.py, line 1"),
        ("import numpyy", "ModuleNotFoundError: No module named 'numpyy'"),
        ("SPEC = 1", "AttributeError: module 'upside' has no attribute 'SPECIFICATION'.*; repair it, .*pip uninstall"),
        ("SPECIFICATION = 1", "what the package of 'upside' names is a int, expected a TaskSpec named 'upside'"),
        (_specification("down"), "is named 'down', expected a TaskSpec named 'upside'; make both names one"),
    ],
)
def test_a_task_that_cannot_be_loaded_is_told_with_its_package(install: Install, specification: str, told: str) -> None:
    install(specification)
    with pytest.raises(PluginError, match=told):
        tasks()


def test_a_command_whose_module_is_gone_ends_in_a_sentence(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    install("", group="mammosynth.commands", module="upside_gone")
    assert main(["bundle", "list"]) == 1
    told = capsys.readouterr().err
    assert "mammosynth.commands: upside = upside_gone:SPECIFICATION of the package upside-down cannot be loaded" in told
    assert "install the package again if its files changed since" in told


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ("upside_gone:DATASET", "dataset is 'upside_gone:DATASET', but there is no upside_gone; correct it"),
        ("upside:DATASET", "dataset is 'upside:DATASET', but upside has no such name; correct it"),
        (None, "task upside has no dataset; choose another task, or name one in its specification: dataset="),
    ],
)
def test_a_part_of_a_task_that_is_not_there_is_told(install: Install, part: str | None, told: str) -> None:
    install(_specification(**({"dataset": part} if part else {})))
    found = tasks()["upside"]
    assert isinstance(found, TaskSpec)
    with pytest.raises(Exception, match=told):
        found.load("dataset")
