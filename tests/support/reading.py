"""Ratings that several tests of the reader study share."""

from pathlib import Path

import numpy as np
import pandas as pd

from mammosynth.reading.statistics.ratings import Ratings

VAN_DYKE = Path(__file__).parents[1] / "reading" / "data" / "van_dyke.csv"


def van_dyke_table() -> pd.DataFrame:
    return pd.read_csv(VAN_DYKE, dtype=str, keep_default_na=False)


def van_dyke() -> Ratings:
    return Ratings.from_table(van_dyke_table())


def drawn_ratings(treatments: int = 2, readers: int = 3, cases: int = 24, *, levels: int = 5, seed: int = 0) -> Ratings:
    """Ratings on a scale, so that there are ties."""
    random = np.random.default_rng(seed)
    truth = random.permutation(np.arange(cases) % 2 == 0)
    scores = random.integers(0, levels, (treatments, readers, cases)) + truth
    return Ratings.from_arrays(scores, truth, np.arange(cases))
