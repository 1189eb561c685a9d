"""`make` says first what it cannot work with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEWER = """#!/bin/sh
[ "$1" = --version ] && echo "Python 3.13.0" && exit 0
exit 1
"""

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None, reason="make is not installed: the Makefile is not tested"
)


def environment(place: Path, python: str) -> subprocess.CompletedProcess[str]:
    command = ["make", f"VENV={place}", f"PYTHON={python}", f"{place}/.ready"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False)


def test_another_python_is_refused_in_one_sentence_before_anything_is_made(tmp_path: Path) -> None:
    python = tmp_path / "python3.13"
    python.write_text(NEWER)
    python.chmod(0o755)
    done = environment(tmp_path / "new", str(python))
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(
        "MammoSynth needs Python 3.11, because MONAI Label does not import on 3.12 and later; "
    )
    assert f"{python} is Python 3.13.0" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_python_that_is_not_there_is_called_missing(tmp_path: Path) -> None:
    done = environment(tmp_path / "new", str(tmp_path / "no-python"))
    assert "no-python is missing" in done.stderr
    assert not (tmp_path / "new").exists()


def test_the_demo_of_a_new_checkout_builds_the_documentation_that_help_leads_to(tmp_path: Path) -> None:
    (tmp_path / ".ready").touch()
    built, missing = tmp_path / "index.html", tmp_path / "none" / "index.html"
    built.touch()

    def planned(site: Path) -> str:
        ready = ["--old-file", f"{tmp_path}/.ready", f"VENV={tmp_path}"]
        command = ["make", "--dry-run", *ready, f"SITE={site}", "demo"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "mkdocs build" in planned(missing).split("mammosynth demo")[0]
    assert "mkdocs build" not in planned(built)
