"""What is wrong with the data is told before the first step, all at once; what is only odd is warned of."""

from dataclasses import replace

import numpy as np
import pytest

from mammosynth.errors import DataError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.data import DATASET
from mammosynth.tasks.contrast.preflight import check_pairs
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing, PreparedMammogram
from mammosynth.training.dataset import read_splits
from tests.support.real_data import CDD_CESM
from tests.support.templates import FRAME, tiny_pair

PREPROCESSING = BreastFramePreprocessing(FRAME)


def with_images(pair: ContrastPair, *, low_energy: np.ndarray | None = None, **changes: object) -> ContrastPair:
    source = pair.low_energy if low_energy is None else replace(pair.low_energy, pixels=low_energy)
    return replace(pair, low_energy=source, **changes)


def shifted(image: np.ndarray, rows: int) -> np.ndarray:
    moved = np.zeros_like(image)
    moved[rows:] = image[:-rows]
    return moved


def check(train: list[ContrastPair], val: list[ContrastPair] | None = None) -> list[str]:
    return list(check_pairs(train, val or [], PREPROCESSING).warnings)


def test_good_pairs_pass_in_silence() -> None:
    assert check([tiny_pair(1), tiny_pair(2)], [tiny_pair(3)]) == []


def test_pairs_that_pass_are_handed_on_in_the_frame_prepared_once_each() -> None:
    class Counting(BreastFramePreprocessing):
        prepared: list[str] = []

        def prepare(self, source: Mammogram) -> PreparedMammogram:
            self.prepared.append(source.source_name)
            return super().prepare(source)

    checked = check_pairs([tiny_pair(1), tiny_pair(2)], [tiny_pair(3)], Counting(FRAME))
    assert Counting.prepared == ["1.png", "2.png", "3.png"]
    assert [pair.patient_id for pair in checked.train] == ["P1", "P2"]
    assert [pair.patient_id for pair in checked.val] == ["P3"]
    assert checked.val[0].maps.shape == (len(Counting.CHANNELS) + 3, *FRAME)


def test_every_bad_pair_of_every_kind_is_in_one_message() -> None:
    pairs = [tiny_pair(seed) for seed in range(9)]
    low_energy, recombined = pairs[0].low_energy.pixels, pairs[0].recombined
    bad = [
        tiny_pair(10, empty=True),
        with_images(pairs[1], recombined=np.full_like(recombined, 0.3)),
        with_images(pairs[2], low_energy=low_energy + 0.5),
        with_images(pairs[3], low_energy=np.where(low_energy > 0.5, np.nan, low_energy)),
        with_images(pairs[4], recombined=pairs[4].low_energy.pixels.copy()),
        with_images(pairs[5], recombined=shifted(recombined, 24)),
        with_images(pairs[6], low_energy=np.where(np.eye(64) > 0, 0.01, 0).astype(np.float32)),
        with_images(pairs[7], low_energy=None, recombined=recombined),
    ]
    bad[-1] = replace(bad[-1], low_energy=replace(bad[-1].low_energy, view_position=None))
    with pytest.raises(DataError) as caught:
        check([*bad, pairs[8]])
    lines = str(caught.value).splitlines()
    assert lines[0] == "8 problems, 8 of them of single ones of 9 pairs; repair or leave out:"
    for line, start in zip(
        lines[1:],
        (
            "10.png: the low-energy image shows no breast, it has one grey value 0.000",
            "1.png: the recombined image shows no breast, it has one grey value 0.300",
            "2.png: the low-energy image holds values from",
            "3.png: the low-energy image holds values from nan",
            "4.png: low-energy and recombined image are the same",
            "5.png: the breasts of low-energy and recombined image overlap by a Dice of 0.",
            "6.png: no breast was found",
            "7.png: (0018,5101) View Position is absent",
        ),
        strict=True,
    ):
        assert line.strip().startswith(start)


def test_a_small_misfit_is_warned_of() -> None:
    pair = tiny_pair(1)
    (warning,) = check([with_images(pair, recombined=shifted(pair.recombined, 5))])
    assert warning.startswith("1.png: the two breasts overlap by a Dice of 0.9")


def test_patients_in_both_splits_and_images_in_both_splits_are_refused() -> None:
    same_patient, same_image = replace(tiny_pair(5), patient_id="P1"), replace(tiny_pair(2), patient_id="other")
    with pytest.raises(DataError) as caught:
        check([tiny_pair(1), tiny_pair(2)], [same_patient, same_image, tiny_pair(3)])
    assert "5.png: in validation, but its patient has images in training" in str(caught.value)
    assert "2.png, 2.png: the same low-energy image in training and in validation" in str(caught.value)
    assert "2 problems, 0 of them" in str(caught.value)


def test_images_that_are_there_twice_in_one_split_and_empty_lesion_masks_are_warned_of() -> None:
    pair = tiny_pair(1)
    empty = replace(pair, lesion=np.zeros_like(pair.lesion))
    assert check([pair, empty]) == [
        "1.png, 1.png: the same low-energy image more than once",
        "the lesion mask of 1 of 2 pairs is empty: no lesion, or one not drawn",
    ]


def test_a_set_whose_images_were_swapped_is_refused() -> None:
    swapped = [
        with_images(pair, low_energy=pair.recombined + 0.01 * pair.low_energy.pixels, recombined=pair.low_energy.pixels)
        for pair in map(tiny_pair, range(4))
    ]
    # The images of these tiny pairs differ little in contrast; the recombined one's is made smaller.
    flat = [with_images(pair, low_energy=0.5 * pair.low_energy.pixels) for pair in swapped]
    with pytest.raises(DataError, match="in 4 of 4 pairs the recombined image has more contrast"):
        check(flat)
    assert not any("contrast" in warning for warning in check(flat[:3]))


def test_no_training_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="there are no training pairs"):
        check([], [tiny_pair(1)])


@pytest.mark.slow
@pytest.mark.skipif(not CDD_CESM.is_dir(), reason=f"no real data in {CDD_CESM.name}; set MAMMOSYNTH_CDD_CESM")
def test_the_real_pairs_pass_with_few_warnings() -> None:
    train, val = read_splits(DATASET, CDD_CESM)
    warnings = check(train, val)
    # One of 203, see OVERLAP_USUAL: its recombined image shows another part of the breast.
    assert [warning.split(":")[0] for warning in warnings] == ["P26_L_DM_CC.jpg"]
