"""Running the module's unittests, and the panel's, in the environment that has Slicer's MRML core."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-slicer" / "bin" / "python"
MODULE = ROOT / "monailabel_app" / "viewers" / "slicer" / "MammoSynth"


def run_unittest(name: str, environment: dict[str, str] | None = None, timeout_s: float = 600) -> str:
    """Run a test case by its file's name, of which every test must run and pass.

    Returns:
        What unittest wrote.
    """
    if not PYTHON.is_file():
        pytest.skip("Slicer's core is not installed: make slicer-venv")
    paths = [MODULE, MODULE / "Testing", ROOT / "tests" / "slicer"]
    done = subprocess.run(
        [str(PYTHON), "-W", "error::DeprecationWarning:MammoSynthLib", "-m", "unittest", "-v", name],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **(environment or {})},
    )
    assert done.returncode == 0, done.stderr
    count = re.search(r"^Ran (\d+) tests? in", done.stderr, re.MULTILINE)
    assert count, done.stderr
    assert int(count[1]) > 0, done.stderr
    assert "skipped" not in done.stderr, done.stderr
    return done.stderr
