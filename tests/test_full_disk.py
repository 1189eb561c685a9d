"""Whatever is written while the disk is full: told in words, nothing half there, and it works again with space."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mammosynth import installation
from mammosynth.atomic import write_json
from mammosynth.commands.options import write_report
from mammosynth.dicom.write import write_instance
from mammosynth.errors import OutputError
from mammosynth.files.write import to_nrrd_bytes, write_image
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.write import write_case
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.tasks.contrast.evaluation.floors import Floors
from mammosynth.terms import ImageLaterality, ViewPosition
from mammosynth.training.checkpoint import write_checkpoint
from mammosynth.training.log import RunLog
from tests.support.full_disk import full_disk
from tests.support.instances import build_instance
from tests.support.templates import write_template

pytestmark = pytest.mark.slow  # many that take several seconds together

PIXELS = np.random.default_rng(0).random((64, 48)).astype(np.float32)
SOURCE = Mammogram(PIXELS, "a", None, None)


def _image(ending: str) -> Callable[[Path], Callable[[], object]]:
    return lambda folder: partial(write_image, folder / f"result{ending}", PIXELS, SOURCE, None)


# What prepares a write in a folder, and gives the write.
WRITES: dict[str, Callable[[Path], Callable[[], object]]] = {
    "PNG": _image(".png"),
    "TIFF": _image(".tif"),
    "NRRD": _image(".nrrd"),
    "NIfTI": _image(".nii"),
    "NIfTI, compressed": _image(".nii.gz"),
    "DICOM": lambda folder: partial(write_instance, build_instance(), folder / "result.dcm"),
    "report": lambda folder: partial(write_report, folder / "report.json", {"values": list(range(1000))}),
    "checkpoint": lambda folder: partial(write_checkpoint, folder / "checkpoint.pt", {"a": torch.zeros(1000)}),
    "floors": lambda folder: partial(Floors({"a": PIXELS}, "test").save, folder / "floors.safetensors"),
    "training: results": lambda folder: partial(RunLog(folder, 1).results, [{"step": float(n)} for n in range(1000)]),
    "training: sample": lambda folder: partial(RunLog(folder, 1).sample, 1, PIXELS),
}


def files_in(folder: Path) -> list[str]:
    """All but TensorBoard's, which are read record by record, so that a half one does no harm."""
    files = [path for path in folder.rglob("*") if path.is_file() and "tfevents" not in path.name]
    return sorted(str(path.relative_to(folder)) for path in files)


@pytest.mark.parametrize("after", [0, 600])
@pytest.mark.parametrize("write", WRITES)
def test_nothing_half_written_stays_and_it_works_again(write: str, after: int, tmp_path: Path) -> None:
    do = WRITES[write](tmp_path)
    with (
        full_disk(after),
        pytest.raises(OutputError, match=r"cannot be written.*; check the folder, its rights and free space"),
    ):
        do()
    assert files_in(tmp_path) == []
    do()
    assert len(files_in(tmp_path)) == 1


def test_curves_for_tensorboard_are_given_up_and_the_run_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = RunLog(tmp_path, 1)
    with full_disk(0):
        for step in range(500):  # it writes ten points at once, from a thread of its own
            log.curves(step, {"loss": 1.0})
            if "no more curves" in caplog.text:
                break
            time.sleep(0.01)
    assert "results.csv has the numbers" in caplog.text
    log.curves(1000, {"loss": 1.0})
    log.sample(1000, PIXELS)
    log.close()
    assert files_in(tmp_path) == ["run/samples/step-001000.png"]


def test_the_nrrd_of_an_answer_is_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with full_disk(600), pytest.raises(OutputError, match="cannot be written"):
        to_nrrd_bytes(PIXELS, SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_is_installed_whole_or_not_at_all(tmp_path: Path) -> None:
    bundle, target = write_template(tmp_path / "a"), tmp_path / "served" / "b"
    with full_disk(600), pytest.raises(OutputError, match=r"^[^/]+: cannot be written \(File too large\); check the"):
        installation.install_bundle(bundle, target)
    assert list(target.parent.iterdir()) == []
    installation.install_bundle(bundle, target)
    assert files_in(target) == files_in(bundle)


def test_weights_are_drawn_whole_or_not_at_all(tmp_path: Path) -> None:
    bundle = write_template(tmp_path / "a")
    weights = bundle / installation.WEIGHTS
    weights.unlink()
    with full_disk(600), pytest.raises(OutputError, match=r"cannot be written \(File too large\)"):
        installation.initialize_weights(bundle, 1)
    assert not weights.exists()
    assert installation.initialize_weights(bundle, 1) == weights


def test_a_phantom_is_written_whole_or_has_no_record(tmp_path: Path) -> None:
    parameters = CaseParameters(1, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=3.6)
    with full_disk(600), pytest.raises(OutputError, match="cannot be written"):
        write_case(tmp_path / "case", parameters)
    assert files_in(tmp_path) == []
    assert write_case(tmp_path / "case", parameters)["seed"] == 1


def test_a_file_that_is_there_stays_as_it_was(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with full_disk(), pytest.raises(OutputError):
        write_json(tmp_path / "a.json", {"a": 2})
    assert (tmp_path / "a.json").read_text() == '{\n    "a": 1\n}\n'
