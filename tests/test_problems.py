import pytest

from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.problems import Problems


def test_everything_that_is_wrong_is_told_at_once_and_once() -> None:
    problems, read = Problems(), []
    for name in ("a", "b", "c", "b"):
        with problems.catching(ValueError, about=f"{name}.png"):
            read.append(int(name, base=11))
    problems.add("the folder is old")
    assert read == [10]
    assert len(problems) == 3
    with pytest.raises(DataError) as caught:
        problems.raise_if_any(f"{len(problems)} of 4:")
    first, *others = str(caught.value).split("\n  ")
    assert first == "3 of 4:"
    assert [line.split(":")[0] for line in others] == ["b.png", "c.png", "the folder is old"]


def test_other_exceptions_are_raised_and_nothing_wrong_is_no_error() -> None:
    problems = Problems()
    with pytest.raises(KeyError), problems.catching(ValueError):
        raise KeyError
    problems.raise_if_any("nothing:")
    assert not problems


def test_the_kind_of_the_error_and_sentences_that_stand_alone() -> None:
    problems = Problems()
    problems.add("one", "two")
    with pytest.raises(InvalidParameterError, match=r"^one\ntwo$"):
        problems.raise_if_any(kind=InvalidParameterError)
