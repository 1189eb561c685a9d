"""The commands of docs/reader-study.md, as they stand there; and what they say when they cannot."""

from __future__ import annotations

import json
import re
import shlex
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from mammosynth.cli import main

DOCS = Path(__file__).parents[2] / "docs" / "reader-study.md"


def study(*arguments: str) -> int:
    return main(["study", *arguments])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    block = re.search(r"```\n(mammosynth study new.*?)```", DOCS.read_text(), re.DOTALL)
    for line in block[1].splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    printed = capsys.readouterr().out
    assert "3 readers, 246 readings" in printed
    assert "tutorial: open, SIMULATED READERS, 246 of 246 readings" in printed
    assert "246 readings are as they were" in printed
    results = json.loads((folder / "results" / "results.json").read_text())
    assert not [name for name, result in results["endpoints"].items() if "problem" in result]
    skill = {"clinical": 0.94, "synthesized": 0.86}
    for arm, found in results["endpoints"]["auc"]["arms"].items():
        assert found["value"] == pytest.approx(skill[arm], abs=0.1)  # 37 and 26 breasts: standard error 0.04
    page = (folder / "results" / "report.html").read_text()
    assert "Simulated readers: no person has read these cases" in page
    assert results["protocol_sha256"] in page
    assert not re.search(r"(?:src|href)=\"http", page), "the page is self-contained"
    check_second_run(folder)
    check_exports(folder, results)


def check_second_run(folder: Path) -> None:
    """The same from the backup in another store, byte for byte."""
    assert study("analyse", "tutorial", "--store", "elsewhere.sqlite", "--output", "again") == 0
    for name in ("report.html", "report.pdf", "results.json", "answers.csv", "records.csv", "lesion.imrmc"):
        first, second = (sha256((folder / place / name).read_bytes()).digest() for place in ("results", "again"))
        assert first == second, name


def check_exports(folder: Path, results: dict) -> None:
    answers = pd.read_csv(folder / "tables" / "answers.csv")
    assert len(answers) == 3 * 2 * (40 + 63)
    assert set(answers["arm"]) == {"clinical", "synthesized"}
    printed = json.loads((folder / "mrmc.json").read_text())
    (difference,) = printed["differences"]
    endpoint = results["endpoints"]["auc"]["differences"]["synthesized"]
    sign = 1 if difference["first"] == "synthesized" else -1
    assert sign * difference["value"] == pytest.approx(endpoint["value"], abs=1e-12)


def test_a_protocol_is_never_replaced(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert study("new", "--template", "realism") == 0
    assert study("new", "--template", "realism") == 1
    assert "realism.yaml is there already, and is never replaced" in capsys.readouterr().err


def test_an_open_study_shows_no_answers_and_a_closed_one_takes_none(capsys: pytest.CaptureFixture[str]) -> None:
    study("new", "--template", "bpe-agreement")
    assert study("open", "bpe-agreement.yaml", "--store", "s.sqlite") == 0
    assert study("analyse", "bpe-agreement", "--store", "s.sqlite") == 1
    assert "bpe-agreement is open, and its answers stay unseen" in capsys.readouterr().err
    assert study("close", "bpe-agreement", "--store", "s.sqlite") == 1
    assert study("close", "bpe-agreement", "--store", "s.sqlite", "--reason", "no money") == 0
    assert study("simulate", "bpe-agreement", "--store", "s.sqlite", "--skill", "clinical=0.9") == 1
    assert "expected one AUC for each of clinical, synthesized" in capsys.readouterr().err


def test_a_store_that_was_tampered_with_is_told_and_the_command_fails(capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    study("new", "--template", "realism")
    study("open", "realism.yaml", "--store", "s.sqlite")
    with sqlite3.connect("s.sqlite") as connection:
        connection.execute("UPDATE readings SET arm = 'real' WHERE position = 3 AND session = 1")
    connection.close()
    assert study("verify", "realism", "--store", "s.sqlite") == 1
    assert "the readings are not those that were drawn at the opening" in capsys.readouterr().err
    assert study("backup", "realism", "--store", "s.sqlite") == 1
    assert "realism does not verify" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["status", "x"], "there is no such file; open a study first"),
        (["verify"], "name a study of the store, or a --backup"),
        (["check"], "no protocol was named"),
        (["check", "none.yaml"], "none.yaml: cannot be read"),
        (["restore", "none.json", "--store", "s.sqlite"], "none.json: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert study(*arguments) == 1
    assert words in capsys.readouterr().err


def test_the_json_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert study("check", "--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Protocol"
