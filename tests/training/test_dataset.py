"""Cases of any task: both splits are read, counted and known by a hash."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mammosynth.errors import DataError
from mammosynth.training.dataset import count_cases, hash_cases, read_splits


@dataclass(frozen=True)
class Named:
    name: str
    patient_id: str = "P1"

    def digest(self) -> str:
        return self.name


class Folder:
    """A dataset of which only reading matters."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems

    def read(self, place: Path, split: str) -> Sequence[Any]:
        if split in self.problems:
            raise DataError(self.problems[split])
        return [Named(split)]


def test_both_splits_are_read() -> None:
    train, val = read_splits(Folder({}), Path("data"))  # type: ignore[arg-type]
    assert ([case.name for case in train], [case.name for case in val]) == (["train"], ["val"])


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        ({"train": "train is bad", "val": "val is bad"}, "^train is bad\\nval is bad$"),
        ({"train": "no such folder", "val": "no such folder"}, "^no such folder$"),
    ],
)
def test_what_is_wrong_is_told_together_and_with_the_folder_once(problems: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_splits(Folder(problems), Path("data"))  # type: ignore[arg-type]


def test_the_hash_of_cases_does_not_depend_on_their_order() -> None:
    one, other = Named("a"), Named("b", "P2")
    assert hash_cases([one, other]) == hash_cases([other, one]) != hash_cases([one])
    assert count_cases([one, other, one]) == {"cases": 3, "patients": 2}
