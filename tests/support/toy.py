"""The task of docs/add-a-task.md: taken from the page, installed into a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "add-a-task.md"
_FILE = re.compile(r"^```(\w+)\n(?:# (\S+\.\w+)\n)(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Toy:
    """Where it is.

    Attributes:
        bundle: Its model, with random weights.
        site: What PYTHONPATH must hold.
        clinic: Phantoms to train and evaluate on.
    """

    bundle: Path
    site: Path
    clinic: Path

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that knows the task."""
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH", "")]))}

    def install(self, data_dir: Path) -> None:
        """Into the data folder of a server."""
        done = self.run(
            "bundle", "install", self.bundle, "--name", "upside_down", "--data-dir", data_dir, cwd=self.site
        )
        assert done.returncode == 0, done.stderr

    def run(self, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """A command of ours."""
        command = [sys.executable, "-m", "mammosynth", *map(str, arguments)]
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def write_toy(folder: Path) -> None:
    """The files of the page, below a folder."""
    for _, name, text in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def install_toy(folder: Path) -> Toy:
    """Write, install, and draw weights and phantoms."""
    package, site = folder / "package", folder / "site"
    write_toy(package)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([*pip, "--target", str(site), str(package)], check=True)
    toy = Toy(package / "bundle", site, folder / "clinic")
    for arguments in (
        ("bundle", "initialize", toy.bundle, "--seed", "1"),  # a gain above zero
        # Last digits of the seeds: 0 trains, 8 validates.
        ("phantom", "--out", toy.clinic, "--seed", "0", "--cases", "9", "--workers", "1",
         "--views", "CC", "--sides", "L", "--pixel-mm", "3.6"),
    ):  # fmt: skip
        done = toy.run(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    return toy
