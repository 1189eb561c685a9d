"""What a run shows people: results.csv, curves for TensorBoard, grids of images (`RunLog`), and lines of progress."""

from __future__ import annotations

import csv
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mammosynth.atomic import atomic_path
from mammosynth.training.recipe import TrainingRecipe

RESULTS = Path("run", "results.csv")
SAMPLES = Path("run", "samples")
TENSORBOARD = Path("run", "tensorboard")

logger = logging.getLogger(__name__)


class RunLog:
    """Writes below a run's output folder.

    Args:
        output: The run's folder.
        step: Steps done so far: curves of later steps, of a run that was killed, are taken back.
    """

    def __init__(self, output: Path, step: int) -> None:
        self._output = output
        if step == 0:
            for folder in (SAMPLES, TENSORBOARD):
                shutil.rmtree(output / folder, ignore_errors=True)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            logger.info("tensorboard is not installed: no curves for it; %s has the numbers", RESULTS.name)
            self._writer = None
        else:
            self._writer = SummaryWriter(str(output / TENSORBOARD), purge_step=step + 1)

    def curves(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each curve."""

        def points(writer: Any) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)

        self._record(points)

    def results(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write all rows anew, so that no row is ever there twice."""
        path = self._output / RESULTS
        with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)

    def sample(self, step: int, grid: np.ndarray) -> None:
        """An (H, W) image in [0, 1] as PNG and for TensorBoard."""
        path = self._output / SAMPLES / f"step-{step:06d}.png"
        pixels = np.round(np.clip(grid, 0, 1) * 255).astype(np.uint8)
        with atomic_path(path) as temporary:
            Image.fromarray(pixels).save(temporary)
        self._record(lambda writer: writer.add_image("samples", pixels, step, dataformats="HW"))

    def close(self) -> None:
        """Finish what is buffered."""
        self._record(lambda writer: writer.close())

    def _record(self, do: Callable[[Any], None]) -> None:
        """TensorBoard writes from a thread of its own and tells the next caller what went wrong there.

        Its curves are not worth a run: without them, the table has the numbers.
        """
        if self._writer is None:
            return
        try:
            do(self._writer)
        except OSError as error:
            logger.warning("no more curves for TensorBoard (%s); %s has the numbers", error.strerror, RESULTS.name)
            self._writer = None


class ProgressLines:
    """Tells a run's progress in plain lines, since a bar that redraws itself fills a log file.

    A line for every message before the first step, for every step with a validation, and for the last step.

    Args:
        recipe: Of the run.
        write: Takes a line.
    """

    def __init__(self, recipe: TrainingRecipe, write: Callable[[str], None]) -> None:
        self._recipe, self._write, self._started = recipe, write, time.monotonic()

    def __call__(self, fraction: float, message: str, values: Mapping[str, float]) -> None:
        """What `train_model` calls."""
        if round(fraction * self._recipe.steps) % self._recipe.validate_every == 0 or fraction >= 1:
            elapsed = timedelta(seconds=int(time.monotonic() - self._started))
            self._write(f"{elapsed} {progress_text(message, values)}")


def progress_text(message: str, values: Mapping[str, float]) -> str:
    """A message with the losses and the score that networks are chosen by."""
    chosen = [name for name in sorted(values) if name.startswith("loss") or name == "val_score"]
    shown = [f"{name} {values[name]:.4f}" for name in chosen]
    return ", ".join([message, *shown])
