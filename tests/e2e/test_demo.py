"""What `make demo ONCE=1` runs."""

import re
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_the_demo_does_the_main_job_and_is_quick_the_second_time(tmp_path):
    command = [sys.executable, "-m", "mammosynth", "demo", "--once", "--pixel-mm", "1.8", "--port", "0"]
    for _ in range(2):
        done = subprocess.run(
            [*command, "--data-dir", str(tmp_path / "demo")], capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(
            r"http://127\.0\.0\.1:\d+/ohif/synthesis\?StudyInstanceUIDs=[\d.]+&initialSeriesInstanceUID=", done.stdout
        )
    assert len(list((tmp_path / "demo" / "studies").rglob("*.dcm"))) == 4 + 4 + 1  # low energy, recombined, synthesized
