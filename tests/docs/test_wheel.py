"""What `pip install` gives, away from the checkout: commands, models, viewers, and a server."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True)
    (built,) = folder.glob("mammosynth-*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; what it depends on is that of the environment in which the tests run."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    # A .pth names a folder but does not read the .pth files in it, so the editable checkout stays out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(folder)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder


def _run(environment: Path, cwd: Path, *arguments: str) -> str:
    """What a command prints, without anything of the checkout on Python's path."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(environment / "bin" / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_models_viewers_tables_and_the_site_if_that_was_built(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packed = {
        *ROOT.glob("model_zoo/*/configs/*.json"),
        *ROOT.glob("model_zoo/*/models/*.safetensors"),
        *ROOT.glob("monailabel_app/viewers/**/*.js"),
        *ROOT.glob("monailabel_app/**/*.html"),
        *ROOT.glob("lib/mammosynth/**/*.html"),
        *ROOT.glob("lib/mammosynth/**/*.yaml"),
        *ROOT.glob("lib/mammosynth/**/*.csv"),
    }
    expected = {
        path.relative_to(ROOT).as_posix().removeprefix("lib/").replace("model_zoo/", "mammosynth_model_zoo/", 1)
        for path in packed
    }
    assert any("model.safetensors" in name for name in expected)
    assert sorted(expected - names) == []


def test_from_elsewhere_it_shows_its_models_and_synthesizes(environment: Path, tmp_path: Path) -> None:
    assert "serve" in _run(environment, tmp_path, "mammosynth", "--help")
    listed = _run(environment, tmp_path, "mammosynth", "bundle", "list")
    assert all(name in listed for name in ("breast_cem_residual", "breast_mg_mask", "breast_mg_view"))
    place = "import mammosynth, monailabel_app; print(mammosynth.__file__, monailabel_app.__file__)"
    assert str(ROOT) not in _run(environment, tmp_path, "python", "-c", place)
    _run(environment, tmp_path, "mammosynth", "labels", "--draw", "1", "--seed", "1", "--output", "maps")
    _run(environment, tmp_path, "mammosynth", "synthesize", "mask", "maps", "--output", "out", "--seed", "1")
    assert list((tmp_path / "out").rglob("*.png"))


@pytest.mark.e2e
def test_from_elsewhere_it_serves(environment: Path, tmp_path: Path) -> None:
    options = ["--once", "--port", "0", "--pixel-mm", "3.6", "--data-dir", "data"]
    told = _run(environment, tmp_path, "mammosynth", "demo", *options)
    assert "/ohif/" in told
    assert "Stopped." in told
