"""`recombine`: iodine from a low-energy and a high-energy exposure, with as much of a halo as wanted.

Vendors calibrate recombination on slabs of known thickness, composition and iodine. So does this one: iodine is a
polynomial in both logarithmic signals and thickness, fitted to the same physics without noise and scatter. A constant
weight between the logarithms would not do; its error is some .7 mg/cm2 for each millimetre of thickness at the rim.

The halo ("breast in breast") of real images is mostly what an imperfect scatter correction leaves. Here a share of the
scatter is left in, and calibrated away as if the breast were a slab as thick as the paddles are apart and without end.
In its middle the two cancel. Towards its rim there is less scatter than in such a slab, which reads as iodine.

Two energies and a thickness separate fat, gland and iodine, not more. Skin beyond that of a slab, as seen edge-on at
the rim, reads as .03 mg/cm2 of iodine per millimetre, muscle as -.02 and calcium as -2.4.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

from mammosynth.phantom.imaging.beams import Energy, imaging_system
from mammosynth.phantom.imaging.coarse import coarsen, refine
from mammosynth.phantom.imaging.exposure import Exposure
from mammosynth.phantom.imaging.paths import MATERIALS
from mammosynth.phantom.imaging.scatter import slab_scatter_ratio
from mammosynth.phantom.imaging.transmission import transmit
from mammosynth.phantom.parameters import Vendor

RESIDUAL_SCATTER = 0.30  # share left in at halo 1; assumed
THICKNESS_BLEND = 0.035  # of smoothed in estimated thickness at halo 1; assumed
_THICKNESS_BLUR_MM = 5.0  # assumed
_CELL_MM = 1.0  # of the grid on which thickness is smoothed
_DENOISE_MM = 0.35  # standard deviation of the smoothing that recombined images get; assumed
_THIN_MM = 2.0  # iodine fades out below it: a fold of skin is no breast
_DEGREE = 4  # the cubic is off by up to .16 mg/cm2, this one by .06
_FAINTEST = 1e-5  # signal, relative to air; below it noise has eaten it
_PIXELS_AT_ONCE = 1 << 14

_CALIBRATION_THICKNESS_MM = np.linspace(2, 90, 34)
_CALIBRATION_GLANDULARITY = np.linspace(0, 1, 9)
_CALIBRATION_IODINE = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # mg/cm2
_CALIBRATION_SKIN_MM = (1.5, 3.0, 4.5)  # both sides together


def recombine(
    low: Exposure, high: Exposure, thickness_mm: np.ndarray, *, vendor: Vendor, halo: float, pixel_mm: float
) -> np.ndarray:
    """Estimate iodine.

    Args:
        low: Low-energy exposure.
        high: High-energy exposure of the same breast.
        thickness_mm: (H, W) of tissue, as it is.
        vendor: Of the exposures.
        halo: 0: scatter and thickness are known exactly; 1: `RESIDUAL_SCATTER` of the scatter stays in, and thickness
            is estimated.
        pixel_mm: Spacing.

    Returns:
        (H, W) float32 mg/cm2, noise and small errors of either sign included; 0 in air.
    """
    estimated = _estimated_thickness(thickness_mm, halo, pixel_mm)
    logs = [_log_signal(exposure, thickness_mm, RESIDUAL_SCATTER * halo) for exposure in (low, high)]
    inside = np.flatnonzero(thickness_mm > 0)
    iodine = np.zeros(thickness_mm.shape, dtype=np.float32)
    columns = [image.reshape(-1)[inside] for image in (*logs, estimated)]
    iodine.reshape(-1)[inside] = _evaluate(calibration(vendor), *columns)
    iodine *= np.clip(thickness_mm / _THIN_MM, 0, 1)
    return _denoise(iodine, pixel_mm) * (thickness_mm > 0)


@cache
def calibration(vendor: Vendor) -> np.ndarray:
    """Coefficients [a, b, c] of low ** a * high ** b * thickness ** c, zero where a + b + c exceeds the degree."""
    slabs, thickness_mm = _slabs()
    system = imaging_system(vendor)
    low, high = (
        -np.log(transmit(slabs[:, :, None], system.beams[energy], system.detector).signal[:, 0]) for energy in Energy
    )
    scaled = _scale(low, high, thickness_mm)
    powers = [(a, b, c) for a in range(_DEGREE + 1) for b in range(_DEGREE + 1 - a) for c in range(_DEGREE + 1 - a - b)]
    terms = np.stack([scaled[0] ** a * scaled[1] ** b * scaled[2] ** c for a, b, c in powers], axis=1)
    coefficients = np.zeros((_DEGREE + 1,) * 3)
    coefficients[tuple(np.transpose(powers))] = _least_squares(terms, slabs[MATERIALS.index("iodine")])
    coefficients.flags.writeable = False
    return coefficients


def _slabs() -> tuple[np.ndarray, np.ndarray]:
    """Material lengths (6, N) float32 of calibration slabs, and their thickness (N,)."""
    axes = _CALIBRATION_THICKNESS_MM, _CALIBRATION_GLANDULARITY, _CALIBRATION_IODINE, _CALIBRATION_SKIN_MM
    thickness, glandularity, iodine, skin = (axis.ravel() for axis in np.meshgrid(*axes))
    skin = np.minimum(skin, thickness)
    inner = thickness - skin
    lengths = dict.fromkeys(MATERIALS, np.zeros_like(inner))
    lengths |= {"adipose": inner * (1 - glandularity), "gland": inner * glandularity, "skin": skin, "iodine": iodine}
    return np.stack([lengths[name] for name in MATERIALS]).astype(np.float32), thickness


def _least_squares(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solution (K,) of terms (N, K) for values (N,), by Gram and Schmidt: LAPACK's bits depend on its threads."""
    columns = np.column_stack((terms, values)).T.copy()
    count = terms.shape[1]
    triangle = np.zeros((count, count + 1))
    for k in range(count):
        triangle[k, k] = np.sqrt((columns[k] ** 2).sum())
        unit = columns[k] / triangle[k, k]
        triangle[k, k + 1 :] = (columns[k + 1 :] * unit).sum(axis=1)
        columns[k + 1 :] -= triangle[k, k + 1 :, None] * unit
    solution = np.zeros(count)
    for k in reversed(range(count)):
        solution[k] = (triangle[k, -1] - (triangle[k, k:-1] * solution[k:]).sum()) / triangle[k, k]
    return solution


def _scale(low: np.ndarray, high: np.ndarray, thickness_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variables of the polynomial, brought to about 1 so that powers stay tame."""
    return low / 2.5, np.asarray(high, dtype=np.float64), thickness_mm / 50.0


def _evaluate(coefficients: np.ndarray, low: np.ndarray, high: np.ndarray, thickness_mm: np.ndarray) -> np.ndarray:
    """The polynomial at (N,) points, Horner's scheme in all three variables."""
    result = np.empty(len(low), dtype=np.float32)
    for start in range(0, len(low), _PIXELS_AT_ONCE):
        part = slice(start, start + _PIXELS_AT_ONCE)
        x, y, z = _scale(low[part], high[part], thickness_mm[part])
        value = np.zeros(len(x))
        for a in range(_DEGREE, -1, -1):
            inner = np.zeros(len(x))
            for b in range(_DEGREE - a, -1, -1):
                inner = inner * y + np.polynomial.polynomial.polyval(z, coefficients[a, b, : _DEGREE + 1 - a - b])
            value = value * x + inner
        result[part] = value
    return result


def _log_signal(exposure: Exposure, thickness_mm: np.ndarray, residual: float) -> np.ndarray:
    """-log of the signal after scatter correction: without all but a share, for which a slab has been calibrated."""
    signal = exposure.signal - np.float32(1 - residual) * exposure.scatter
    slab = 1 + residual * slab_scatter_ratio(float(thickness_mm.max(initial=0)), energy=exposure.energy)
    return -np.log(np.maximum(signal / np.float32(slab), _FAINTEST))


def _estimated_thickness(thickness_mm: np.ndarray, halo: float, pixel_mm: float) -> np.ndarray:
    """Thickness with a share that is smoothed within the breast, and so is too thick at the rim."""
    if not halo:
        return thickness_mm
    cell = max(1, round(_CELL_MM / pixel_mm))
    sigma = _THICKNESS_BLUR_MM / (cell * pixel_mm)
    inside, total = (gaussian_filter(coarsen(image, cell), sigma) for image in (thickness_mm > 0, thickness_mm))
    smooth = refine(total / np.maximum(inside, 0.05), cell, thickness_mm.shape)
    share = np.float32(THICKNESS_BLEND * halo)
    return (1 - share) * thickness_mm + share * smooth


def _denoise(iodine: np.ndarray, pixel_mm: float) -> np.ndarray:
    sigma = _DENOISE_MM / pixel_mm
    return gaussian_filter(iodine, sigma, truncate=3.0) if sigma > 0.2 else iodine  # narrower than that changes nothing
