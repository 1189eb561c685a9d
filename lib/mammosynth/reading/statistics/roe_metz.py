"""Simulated studies with a known truth: the model of Roe and Metz, by which methods of this kind are judged.

Source: Roe & Metz (1997), doi:10.1016/S1076-6332(97)80032-3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mammosynth.reading.statistics.ratings import Ratings


@dataclass(frozen=True)
class RoeMetz:
    """Variances of latent ratings; those that concern cases and the error add up to 1.

    Attributes:
        reader: Of readers.
        treatment_reader: Of treatment by reader.
        case: Of cases.
        treatment_case: Of treatment by case.
        reader_case: Of reader by case.
        error: The rest.
    """

    reader: float
    treatment_reader: float
    case: float
    treatment_case: float
    reader_case: float
    error: float

    def __post_init__(self) -> None:
        within = self.case + self.treatment_case + self.reader_case + self.error
        if abs(within - 1) > 1e-9:
            raise ValueError(f"variances of cases and error add up to {within:g}, expected 1")

    def separation(self, auc: float) -> float:
        """Distance of the means of positive and negative cases which gives an AUC, expected over readers and cases."""
        return float(stats.norm.ppf(auc) * np.sqrt(2 * (1 + self.reader + self.treatment_reader)))

    def simulate(
        self, auc: tuple[float, ...], readers: int, positive: int, negative: int, random: np.random.Generator
    ) -> Ratings:
        """One study.

        Args:
            auc: Expected under each treatment, between 0 and 1.
            readers: R.
            positive: Cases.
            negative: Cases.
            random: Source of everything that is drawn.
        """
        treatments = len(auc)
        arms = []
        for is_positive, cases in ((False, negative), (True, positive)):

            def draw(variance: float, *shape: int) -> np.ndarray:
                return random.normal(0, np.sqrt(variance), shape)

            latent = draw(self.reader, 1, readers, 1) + draw(self.treatment_reader, treatments, readers, 1)
            latent = latent + draw(self.case, 1, 1, cases) + draw(self.treatment_case, treatments, 1, cases)
            latent = latent + draw(self.reader_case, 1, readers, cases) + draw(self.error, treatments, readers, cases)
            shift = [self.separation(value) if is_positive else 0.0 for value in auc]
            arms.append(latent + np.reshape(shift, (-1, 1, 1)))
        truth = np.repeat([False, True], (negative, positive))
        return Ratings.from_arrays(np.concatenate(arms, axis=2), truth)
