import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from mammosynth.atomic import UNFINISHED, atomic_path, write_json
from mammosynth.errors import OutputError


def test_a_file_appears_when_it_is_whole_in_folders_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "scan.nii.gz"
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.name.startswith(UNFINISHED)
        assert temporary.suffixes == [".nii", ".gz"]
        assert not path.exists()
    assert path.read_bytes() == b"half"
    assert list(path.parent.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_old_file_and_no_remainder(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"share": np.float64(0.5)})
    with pytest.raises(KeyboardInterrupt):
        _write_half(path)
    assert json.loads(path.read_text()) == {"share": 0.5}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    told = pytest.raises(OutputError, match=r"a\.bin: cannot be written \(No space left on device\); check the folder")
    with told, atomic_path(tmp_path / "a.bin"), Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_a_sentence_by_those_who_write_dicom_too(tmp_path: Path) -> None:
    header = Dataset()
    header.PatientName = "Doe"
    header.is_implicit_VR = header.is_little_endian = True
    told = pytest.raises(OutputError, match=r"a\.dcm: cannot be written \(No space left on device\); check the folder")
    with told, atomic_path(tmp_path / "a.dcm"), Path("/dev/full").open("wb", buffering=0) as full:
        dcmwrite(full, header)


def _write_half(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("{")
        raise KeyboardInterrupt
