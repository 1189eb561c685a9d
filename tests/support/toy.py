"""The task of docs/how-to/add-a-task.md: taken from the page, installed into a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from mammosynth.dicom.segmentation import LesionClass, Segment, draw_segmentation
from mammosynth.phantom.clinic.exam import write_exam
from tests.support.server import Server, running_over, stow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-task.md"
PIXEL_MM = 3.6
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


def toy_in(folder: Path) -> Toy:
    """What `install_toy` put into a folder."""
    return Toy(folder / "package" / "bundle", folder / "site", folder / "clinic")


def install_toy(folder: Path) -> None:
    """Write, install, and draw weights and phantoms."""
    toy = toy_in(folder)
    package = toy.bundle.parent
    write_toy(package)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    subprocess.run([*pip, "--target", str(toy.site), str(package)], check=True)
    for arguments in (
        ("bundle", "initialize", toy.bundle, "--seed", "1"),  # a gain above zero
        # Last digits of the seeds: 0 trains, 8 validates.
        ("phantom", "--out", toy.clinic, "--seed", "0", "--cases", "9", "--workers", "1",
         "--views", "CC", "--sides", "L", "--pixel-mm", "3.6"),
    ):  # fmt: skip
        done = toy.run(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr


@contextmanager
def serving_toy(kind: str, toy: Toy, folder: Path) -> Iterator[Server]:
    """A server into whose data folder the model was installed; two patients with a drawn lesion on every image."""
    toy.install(folder / "data")
    for number in (1, 2):
        write_exam(folder / "exams" / str(number), seed=number, pixel_mm=PIXEL_MM, patient_id=f"P{number}")
    with running_over(kind, folder, environment=toy.environment) as server:
        images = sorted((folder / "exams").rglob("*.dcm"))
        for some in (images, _draw_lesions(images, folder / "drawn")):
            assert stow(server, some).status_code == 200
        yield server


def _draw_lesions(images: list[Path], folder: Path) -> list[Path]:
    folder.mkdir()
    drawn = []
    for image in images:
        header = pydicom.dcmread(image)
        mask = np.zeros((header.Rows, header.Columns), bool)
        mask[20:26, 8:12] = True
        lesion = Segment(1, "Lesion 1", mask, LesionClass.MALIGNANT)
        drawn.append(folder / f"{len(drawn)}.dcm")
        draw_segmentation([lesion], header, software_version="0.1.0").save_as(drawn[-1], write_like_original=False)
    return drawn
