"""The check of the data before the first step: every bad pair is told at once, odd ones are warned of.

What the check has found out about a pair is handed on: the pair in the frame of the network.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mammosynth.counts import count_of
from mammosynth.errors import DataError, MammoSynthError
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.problems import Problems
from mammosynth.tasks.contrast.framed import FramedPair, Preprocessing, frame_pair
from mammosynth.training.dataset import Prepared

FLAT = 2 / 255
"""Range of grey values up to which an image shows nothing; 8-bit images have steps of 1/255."""
OVERLAP_ACCEPTED, OVERLAP_USUAL = 0.75, 0.955
"""Dice of the two breasts: below the first a pair is refused (chosen), below the second it is warned of. Of the 203
training and validation pairs of CDD-CESM the lowest is 0.874, and the first percentile 0.958."""
SWAPPED_SHARE, SWAPPED_COUNT = 0.75, 4
"""Recombination takes the breast's own contrast away: the grey values of the low-energy image have the larger standard
deviation in 89 % of the same 203 pairs. One pair does not tell, but so many of at least so many pairs do (chosen)."""


def check_pairs(
    train_pairs: Sequence[ContrastPair], val_pairs: Sequence[ContrastPair], preprocessing: Preprocessing
) -> Prepared:
    """All pairs in the frame, if nothing is wrong with any.

    Args:
        train_pairs: To train on.
        val_pairs: To validate on; may be empty.
        preprocessing: Of the model that is trained.

    Raises:
        DataError: With everything that is wrong, one line each.
    """
    if not train_pairs:
        raise DataError("there are no training pairs; give at least one low-energy image with its recombined image")
    problems = Problems()
    warnings: list[str] = []
    framed: list[FramedPair] = []
    every = [*train_pairs, *val_pairs]
    for pair in every:
        with problems.catching(MammoSynthError):
            ready, odd = _check_pair(pair, preprocessing)
            framed.append(ready)
            warnings += odd
    bad = len(problems)
    problems.add(*_shared_patients(train_pairs, val_pairs), *_swapped(every))
    shared, repeated = _same_pixels(train_pairs, val_pairs)
    problems.add(*shared)
    warnings += repeated
    if empty := sum(pair.lesion is not None and not pair.lesion.any() for pair in every):
        warnings.append(
            f"the lesion mask of {empty} of {count_of(len(every), 'pair')} is empty: no lesion, or one not drawn"
        )
    problems.raise_if_any(
        f"{count_of(len(problems), 'problem')}, {bad} of them of single ones of {count_of(len(every), 'pair')}; "
        "repair or leave out:"
    )
    return Prepared(framed[: len(train_pairs)], framed[len(train_pairs) :], tuple(warnings))


def _check_pair(pair: ContrastPair, preprocessing: Preprocessing) -> tuple[FramedPair, list[str]]:
    """The pair in the frame, and what is odd."""
    name, low_energy, recombined = pair.low_energy.source_name, pair.low_energy.pixels, pair.recombined
    for what, image in (("low-energy", low_energy), ("recombined", recombined)):
        if not np.isfinite(image).all() or image.min() < 0 or image.max() > 1:
            raise DataError(
                f"{name}: the {what} image holds values from {image.min()} to {image.max()}, expected 0 to 1"
            )
        if np.ptp(image) <= FLAT:
            raise DataError(
                f"{name}: the {what} image shows no breast, it has one grey value {float(image.mean()):.3f}"
            )
    if np.abs(low_energy - recombined).max() <= FLAT:
        raise DataError(f"{name}: low-energy and recombined image are the same, expected two images of one view")
    prepared = preprocessing.prepare(pair.low_energy)
    breast = prepared.source_breast_mask
    other = segment_breast(recombined) if pair.recombined_breast is None else pair.recombined_breast
    overlap = 2 * (breast & other).sum() / max(breast.sum() + other.sum(), 1)
    if overlap < OVERLAP_ACCEPTED:
        raise DataError(
            f"{name}: the breasts of low-energy and recombined image overlap by a Dice of {overlap:.2f}, accepted is "
            f"{OVERLAP_ACCEPTED} or more; are they of one view, and registered?"
        )
    odd = f"{name}: the two breasts overlap by a Dice of {overlap:.3f} only, usual is {OVERLAP_USUAL} or more"
    return frame_pair(pair, prepared, other, preprocessing), [odd] if overlap < OVERLAP_USUAL else []


def _shared_patients(train_pairs: Sequence[ContrastPair], val_pairs: Sequence[ContrastPair]) -> list[str]:
    known = {pair.patient_id for pair in train_pairs}
    return [
        f"{pair.low_energy.source_name}: in validation, but its patient has images in training; split by patient"
        for pair in val_pairs
        if pair.patient_id in known
    ]


def _swapped(pairs: Sequence[ContrastPair]) -> list[str]:
    swapped = sum(bool(pair.recombined.std() > pair.low_energy.pixels.std()) for pair in pairs)
    if len(pairs) < SWAPPED_COUNT or swapped <= SWAPPED_SHARE * len(pairs):
        return []
    return [
        f"in {swapped} of {len(pairs)} pairs the recombined image has more contrast than the low-energy image, usual "
        "is the opposite; were the two swapped?"
    ]


def _same_pixels(train_pairs: Sequence[ContrastPair], val_pairs: Sequence[ContrastPair]) -> tuple[list[str], list[str]]:
    """Low-energy images that are there twice: across the splits, and within one."""
    names: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for split, pairs in enumerate((train_pairs, val_pairs)):
        for pair in pairs:
            pixels = np.ascontiguousarray(pair.low_energy.pixels)
            digest = hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).hexdigest()
            names[digest].append((split, pair.low_energy.source_name))
    across, within = [], []
    for same in names.values():
        if len(same) > 1:
            listed = ", ".join(name for _, name in same)
            if len({split for split, _ in same}) > 1:
                across.append(f"{listed}: the same low-energy image in training and in validation; keep it in one")
            else:
                within.append(f"{listed}: the same low-energy image more than once")
    return across, within
