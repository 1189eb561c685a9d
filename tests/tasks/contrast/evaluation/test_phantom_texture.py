"""Cross-check 16: spectral slope of phantoms in every density; real CC views: 3.17 +- .23 (Chen et al. 2012)."""

import numpy as np
import pytest

from mammosynth.evaluation.realism import STATISTICS, summary_statistics
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.terms import ImageLaterality, ViewPosition


def slope(seed: int, density: Density) -> float:
    case = CaseParameters(seed, density, (), views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=0.4)
    (view,) = generate_case(case)
    return float(summary_statistics(view.low_energy, 0.4).values[STATISTICS.index("beta")])


@pytest.mark.slow
@pytest.mark.parametrize("density", list(Density))
def test_texture_has_the_spectral_slope_of_mammograms(density):
    assert 2.8 < np.mean([slope(seed, density) for seed in range(300, 304)]) < 3.3
