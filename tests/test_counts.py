import pytest

from mammosynth.counts import count_of


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, "case"), "0 cases"),
        ((1, "case"), "1 case"),
        ((2_000_000, "case"), "2000000 cases"),
        ((1, "study", "studies"), "1 study"),
        ((3, "study", "studies"), "3 studies"),
        ((1.0, "day"), "1 day"),
        ((0.5, "day"), "0.5 days"),
    ],
)
def test_one_thing_is_no_plural(arguments: tuple, said: str) -> None:
    assert count_of(*arguments) == said
