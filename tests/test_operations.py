"""What operates the server outside of it: the container's steps and the unit of systemd."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mammosynth.cli import _build_parser

ROOT = Path(__file__).parents[1]
_UNIT = ROOT / "docs/mammosynth.service"


def _joined(text: str) -> list[str]:
    return re.sub(r"\\\n\s*", " ", text).splitlines()


def test_the_container_is_built_by_the_steps_of_ci() -> None:
    lines = _joined((ROOT / "Containerfile").read_text())
    made = [line.removeprefix("RUN ") for line in lines if line.startswith("RUN make")]
    assert made == ["make .venv/.ready"]
    assert made[0] in (ROOT / ".ci/run").read_text().splitlines()


def test_container_and_unit_start_the_server_by_options_that_it_has() -> None:
    (entry,) = (line for line in _joined((ROOT / "Containerfile").read_text()) if line.startswith("ENTRYPOINT"))
    (start,) = (line for line in _joined(_UNIT.read_text()) if line.startswith("ExecStart="))
    for words in (re.findall(r'"([^"]+)"', entry), shlex.split(start.removeprefix("ExecStart="))):
        words = [word for word in words if word != "$MAMMOSYNTH_OPTIONS"]
        assert words[0].endswith(".venv/bin/mammosynth")
        args = _build_parser().parse_args(words[1:])
        assert args.token_file == args.data_dir / "tokens.json"


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        if os.environ.get("CI"):
            pytest.fail("needs systemd-analyze (apt-get install systemd)")
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    unit = tmp_path / "mammosynth.service"
    unit.write_text(_UNIT.read_text().replace("/opt/mammosynth/.venv/bin/mammosynth", sys.executable))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "mammosynth.service" in line]
    assert (done.returncode, ours) == (0, [])
