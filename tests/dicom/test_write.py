"""UIDs, stored values, and files that are whole or not there."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammosynth.dicom.generated import is_synthesized_uid
from mammosynth.dicom.write import new_uid, to_stored_values, write_instance
from mammosynth.errors import OutputError
from tests.support.instances import build_instance


def test_what_a_person_makes_has_a_uid_of_its_own() -> None:
    assert len({new_uid() for _ in range(100)}) == 100
    assert pydicom.uid.UID(new_uid()).is_valid
    assert not is_synthesized_uid(new_uid())


@given(st.lists(st.floats(-1, 2, width=32), min_size=1))
def test_stored_values_are_within_half_a_step(values: list[float]) -> None:
    stored = to_stored_values(np.array(values, np.float32))
    assert stored.dtype == np.uint16
    np.testing.assert_allclose(stored / 65535, np.clip(values, 0, 1), atol=0.5 / 65535 + 1e-9)


def test_stored_values_of_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_stored_values(np.array([np.nan]))


def test_a_failed_write_leaves_neither_a_file_nor_a_remainder(tmp_path: Path) -> None:
    dataset = build_instance()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"a\.dcm: cannot be written"):
        write_instance(dataset, tmp_path / "file" / "a.dcm")
    dataset.add_new(0x00081030, "LO", object())
    with pytest.raises(Exception, match="StudyDescription|encode|object|str"):
        write_instance(dataset, tmp_path / "b.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
