"""`LesionJudge`: are generated masses found where they are drawn, by a network that learned from real ones?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from mammosynth.counts import count_of
from mammosynth.evaluation.statistics import interval, weighted_mean, weighted_ratio
from mammosynth.tasks.mask.evaluation.lesion_patches import cut_patches
from mammosynth.tasks.mask.evaluation.patch_networks import lesion_dice, new_segmenter, train_segmenter
from mammosynth.tasks.mask.evaluation.protocol import Shown

LEAST_MASSES = 20
"""From fewer nothing is learned."""


class LesionJudge:
    """A small U-Net. It learns when it is made, from the data set that is judged: kept weights could be of another set.

    Args:
        train: Real images of the training split.
        steps: Of the training; 0 does without it.
        seed: Of the training.
        is_known: Whether it would judge the images it learned from, and so must not.
    """

    def __init__(self, train: Sequence[Shown], *, steps: int, seed: int = 0, is_known: bool = False) -> None:
        patches = cut_patches(train)
        self.masses, self.steps = int(patches.has_lesion.sum()), steps
        self.missing = self._why_missing(is_known)
        """Why there is no judge; "" if there is one."""
        self._segmenter: nn.Module | None = None
        if not self.missing:
            self._segmenter = train_segmenter(new_segmenter(seed), [patches], steps=steps, seed=seed)

    def measures(self, shown: Sequence[Shown], real: Sequence[Shown], weights: np.ndarray) -> dict[str, Any]:
        """Mean Dice of what is found with what is drawn, and how much of the real images' that is.

        Args:
            shown: Images of any kind.
            real: The real images of the same label maps, in the same order.
            weights: (1 + draws, images); see `resample_patients`.

        Returns:
            `lesion_dice` and `lesion_dice_ratio`, with intervals; None where there is no judge, or no mass.
        """
        names = ("lesion_dice", "lesion_dice_ratio")
        if self._segmenter is None:
            return {name: {"value": None} for name in names}
        patches = cut_patches(real).with_lesion()
        if not len(patches):
            return {name: {"value": None} for name in names}
        own, theirs = (
            lesion_dice(self._segmenter, each).numpy() for each in (cut_patches(shown).with_lesion(), patches)
        )
        of_masses = weights[:, patches.case.numpy()]
        found = weighted_mean(own, of_masses), weighted_ratio(own, theirs, of_masses)
        return {name: interval(values) for name, values in zip(names, found, strict=True)}

    def about(self) -> dict[str, Any]:
        """For the report: what it learned from, or why it is missing."""
        return {"masses": self.masses, "steps": self.steps, "missing": self.missing}

    def _why_missing(self, is_known: bool) -> str:
        if not self.steps:
            return "it was switched off; leave segmenter_steps at its default"
        if is_known:
            return "it learns from the split 'train'; judge another"
        if self.masses < LEAST_MASSES:
            return (
                f"the split 'train' shows {count_of(self.masses, 'mass', 'masses')}, expected {LEAST_MASSES} and more"
            )
        return ""
