"""Phantoms as training pairs, from memory and from files."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mammosynth.errors import DataError
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.clinic.cohort import write_cohort
from mammosynth.phantom.clinic.manifest import CohortSettings
from mammosynth.phantom.clinic.pairs import phantom_pairs, phantom_view_pairs
from mammosynth.phantom.clinic.read import read_phantom_views, read_phantoms
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.cohort import SETTINGS


def test_pairs_from_files_are_those_from_memory_but_for_twelve_bits(cohort: Path) -> None:
    stored, made = read_phantoms(cohort, "val"), list(phantom_pairs([SETTINGS.case(8)]))
    assert len(stored) == len(made) == 2
    for file, memory in zip(stored, made, strict=True):
        assert np.abs(file.low_energy.pixels - memory.low_energy.pixels).max() < 1 / 4095
        assert np.abs(file.recombined - memory.recombined).max() < 1 / 4095
        np.testing.assert_array_equal(file.lesion, memory.lesion)
        np.testing.assert_array_equal(file.recombined_breast, memory.recombined_breast)
        assert file.patient_id == memory.patient_id == "PHANTOM-8"
        for name in ("view_position", "image_laterality", "pixel_spacing_mm"):
            assert getattr(file.low_energy, name) == getattr(memory.low_energy, name)


def test_views_from_files_are_those_from_memory_but_for_twelve_bits(cohort: Path) -> None:
    (stored,), (made,) = read_phantom_views(cohort, "test"), phantom_view_pairs([SETTINGS.case(9)])
    assert stored.cc.image_laterality is ImageLaterality.RIGHT
    assert np.abs(stored.cc.pixels - made.cc.pixels).max() < 1 / 4095
    assert np.abs(stored.mlo.pixels - made.mlo.pixels).max() < 1 / 4095
    assert made.cc_lesion.any()
    np.testing.assert_array_equal(stored.cc_lesion, made.cc_lesion)
    np.testing.assert_array_equal(stored.mlo_lesion, made.mlo_lesion)


def test_a_breast_that_is_known_to_have_no_lesion_has_an_empty_mask(tmp_path: Path) -> None:
    settings = CohortSettings(CaseParameters(0, lesions=(), views=(ViewPosition.CC,), pixel_mm=3.6))
    write_cohort(tmp_path / "p", settings, [5], engine=LocalEngine(1))
    pairs = read_phantoms(tmp_path / "p", "train")
    assert [pair.lesion.any() for pair in pairs] == [False, False]
    with pytest.raises(DataError, match="no MLO views; generate it with --views CC,MLO"):
        read_phantom_views(tmp_path / "p", "train")
    with pytest.raises(DataError, match="no case with split 'val', found train; the last digit of the seed decides"):
        read_phantoms(tmp_path / "p", "val")


def test_every_changed_or_missing_file_is_told(cohort: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(cohort, tmp_path / "phantoms"))
    image = folder / "case-000008" / "R-MLO-recombined.dcm"
    content = bytearray(image.read_bytes())
    content[-2000] ^= 1
    image.write_bytes(content)
    with pytest.raises(DataError, match=r"1 of 1 case .*\n  case-000008: R-MLO-recombined\.dcm has other pixels"):
        read_phantoms(folder, "val")
    (folder / "case-000009" / "R-CC-low-energy.dcm").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"case-000009: R-CC-low-energy\.dcm is no DICOM image"):
        read_phantom_views(folder, "test")
    (folder / "case-000000" / "R-CC-low-energy.dcm").unlink()
    with pytest.raises(DataError, match=r"case-000000: .*No such file"):
        read_phantoms(folder, "train")


@pytest.mark.slow
def test_pairs_in_memory_need_no_dicom_library() -> None:
    unwanted = "{'pydicom', 'highdicom', 'monai'}"
    code = f"import sys, mammosynth.phantom.clinic.pairs; sys.exit(bool({unwanted} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
