import pytest

from mammosynth.preprocessing.splits import split_of


def test_shares_are_what_they_say_and_nobody_moves_when_others_come():
    shares = {"train": 70, "val": 30}
    found = [split_of(f"patient {number}", shares) for number in range(1000)]
    assert found.count("val") == pytest.approx(300, abs=45)
    assert found[:10] == [split_of(f"patient {number}", shares) for number in range(10)]


def test_shares_that_leave_someone_over_are_refused():
    with pytest.raises(ValueError, match="add up to 100"):
        [split_of(str(number), {"train": 50}) for number in range(50)]
