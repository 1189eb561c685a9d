"""Where the recombined image lies on the low-energy image: one scale, one shift, found by their gradients.

The two images of a view come from one exposure pair, but their publisher cropped each by hand, so they differ in size
and place and not in shape. Brightness differs everywhere; edges (skin, vessels, fibroglandular strands) are common.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from math import ceil

import numpy as np
from scipy import fft, ndimage, optimize

GRADIENT_SIGMA_PX = 1.0  # chosen among 1.0 and 1.5 on every eighth pair of CDD-CESM: see docs/how-to/cdd-cesm.md
MARGIN_PX = 3  # within three sigma of a crop's edge the gradient sees the edge; cut there, it is no anatomy
SCALES = np.round(np.arange(0.88, 1.121, 0.01), 2)  # chosen wider than hand-made crops of one view differ
COARSE = 4  # the search over all scales and shifts is done on pixels this many times larger
MINIMUM_OVERLAP = 0.7  # of the smaller image; chosen: a crop loses less, and a small overlap correlates by chance
SHORTEST_SIDE_PX = 32  # below, the coarse search has nothing to look at
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Registration:
    """A map onto a fixed image: out(y, x) = image((y - dy) / scale, (x - dx) / scale).

    Attributes:
        scale: Enlargement of the moving image.
        dy: Shift down, in pixels of the fixed image.
        dx: Shift right, likewise.
    """

    scale: float
    dy: float
    dx: float

    def apply(self, image: np.ndarray, *, order: int) -> np.ndarray:
        """The moving image on the fixed image's grid, which has the same shape; 0 where nothing is known.

        Args:
            image: (H, W), any type.
            order: Of the interpolation: 0 nearest, 1 linear.

        Returns:
            (H, W) float32.
        """
        return self._sample(image.astype(np.float32), _whole(image), order)

    def _sample(self, image: np.ndarray, window: Box, order: int) -> np.ndarray:
        """The window (top, left, bottom, right) of the registered image."""
        top, left, bottom, right = window
        return ndimage.affine_transform(
            image,
            [1 / self.scale, 1 / self.scale],
            offset=[(top - self.dy) / self.scale, (left - self.dx) / self.scale],
            output_shape=(bottom - top, right - left),
            order=order,
        )

    def _overlap(self, fixed: Box, moving: Box) -> Box:
        """Where the fixed box meets the registered moving box; empty if bottom <= top or right <= left."""
        shift = (self.dy, self.dx)
        starts = [max(fixed[i], ceil(moving[i] * self.scale + shift[i])) for i in (0, 1)]
        ends = [min(fixed[i + 2], int((moving[i + 2] - 1) * self.scale + shift[i]) + 1) for i in (0, 1)]
        return starts[0], starts[1], ends[0], ends[1]


def estimate_registration(
    fixed: np.ndarray, moving: np.ndarray, *, fixed_box: Box | None = None, moving_box: Box | None = None
) -> tuple[Registration, float]:
    """Scale and shift under which the edges of two images agree best, to a fraction of a pixel.

    The correlation of gradient magnitudes is found for every shift at each of `SCALES` (masked normalised
    cross-correlation: only what both images show counts); the best, and no shift at all, are improved by Nelder-Mead.
    Rotation is not searched.

    Args:
        fixed: (H, W) float32 in [0, 1].
        moving: (H, W) float32 in [0, 1]; 0.88 to 1.12 times smaller than the fixed image.
        fixed_box: (top, left, bottom, right) of what was exposed, ends exclusive; beyond is padding. None: everything.
        moving_box: Likewise.

    Returns:
        The registration and the correlation of gradient magnitudes, -1 to 1, where both images show something.

    Raises:
        ValueError: If a box is less than 32 pixels wide or high, or an image shows no edge at all.

    Source: Padfield (2012), eq. 20 to 28, doi:10.1109/TIP.2011.2181402; gradient magnitude and its root are chosen.
    """
    boxes = [_inner(box or _whole(image)) for image, box in ((fixed, fixed_box), (moving, moving_box))]
    edges = [_edges(image) for image in (fixed, moving)]
    found = _search(edges[0], edges[1], boxes[0], boxes[1])
    # Most crops differ by little: where coarse edges mislead, the images as they are may be the better start.
    starts = {found, Registration(1.0, 0.0, 0.0)}
    improved = [_improve(start, edges[0], edges[1], boxes[0], boxes[1]) for start in sorted(starts, key=astuple)]
    return max(improved, key=lambda result: result[1])


def gradient_correlation(
    fixed: np.ndarray,
    moving: np.ndarray,
    registration: Registration,
    *,
    fixed_box: Box | None = None,
    moving_box: Box | None = None,
) -> float:
    """What `estimate_registration` maximises, for a given registration; same arguments; -1 without an overlap."""
    boxes = [_inner(box or _whole(image)) for image, box in ((fixed, fixed_box), (moving, moving_box))]
    return _correlation(registration, _edges(fixed), _edges(moving), boxes[0], boxes[1])


def _whole(image: np.ndarray) -> Box:
    return 0, 0, image.shape[0], image.shape[1]


def _inner(box: Box) -> Box:
    top, left, bottom, right = box
    if min(bottom - top, right - left) < SHORTEST_SIDE_PX:
        raise ValueError(
            f"shows {bottom - top} x {right - left} pixels, expected at least {SHORTEST_SIDE_PX} each way to register"
        )
    return top + MARGIN_PX, left + MARGIN_PX, bottom - MARGIN_PX, right - MARGIN_PX


def _edges(image: np.ndarray) -> np.ndarray:
    """The root of the gradient's magnitude: so that faint strands count beside the skin line and markers."""
    magnitude = ndimage.gaussian_gradient_magnitude(image.astype(np.float32), GRADIENT_SIGMA_PX, mode="nearest")
    return np.sqrt(magnitude)


def _search(fixed: np.ndarray, moving: np.ndarray, fixed_box: Box, moving_box: Box) -> Registration:
    """The best of all scales and shifts, on coarse pixels."""
    still, still_mask = _coarse(fixed), _coarse(_box_mask(fixed.shape, fixed_box)) > 0.5
    small, small_mask = _coarse(moving), _coarse(_box_mask(moving.shape, moving_box))
    best, found = -1.0, None
    for scale in SCALES:
        grow = Registration(float(scale), 0.0, 0.0)
        window = (0, 0, ceil(small.shape[0] * scale), ceil(small.shape[1] * scale))
        image, mask = (grow._sample(array, window, 1) for array in (small, small_mask))
        correlation = _masked_correlation(still, still_mask, image, mask > 0.5)
        peak = np.unravel_index(np.argmax(correlation), correlation.shape)
        if correlation[peak] > best:
            best = float(correlation[peak])
            dy, dx = (
                int(at) - (length if at >= kept else 0)
                for at, length, kept in zip(peak, correlation.shape, still.shape, strict=True)
            )
            found = Registration(float(scale), float(COARSE * dy), float(COARSE * dx))
    if found is None:
        raise ValueError("no edges to register by, expected two images of one breast")
    return found


def _box_mask(shape: tuple[int, ...], box: Box) -> np.ndarray:
    mask = np.zeros(shape, np.float32)
    mask[box[0] : box[2], box[1] : box[3]] = 1
    return mask


def _coarse(image: np.ndarray) -> np.ndarray:
    height, width = (side // COARSE * COARSE for side in image.shape)
    blocks = image[:height, :width].reshape(height // COARSE, COARSE, width // COARSE, COARSE)
    return blocks.mean(axis=(1, 3))


def _masked_correlation(
    fixed: np.ndarray, fixed_mask: np.ndarray, moving: np.ndarray, moving_mask: np.ndarray
) -> np.ndarray:
    """Normalised cross-correlation at each circular shift, of what both masks hold; -1 where that is too little."""
    shape = tuple(fft.next_fast_len(a + b - 1, real=True) for a, b in zip(fixed.shape, moving.shape, strict=True))

    def forward(array: np.ndarray) -> np.ndarray:
        return fft.rfft2(array.astype(np.float64), shape)

    def correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return fft.irfft2(a * b, shape)

    fixed, moving = fixed * fixed_mask, moving * moving_mask
    f, f2, fm = (forward(array) for array in (fixed, fixed**2, fixed_mask))
    m, m2, mm = (np.conj(forward(array)) for array in (moving, moving**2, moving_mask))
    count = np.maximum(correlate(fm, mm), 1.0)
    sum_f, sum_m = correlate(f, mm), correlate(fm, m)
    covariance = correlate(f, m) - sum_f * sum_m / count
    variance_f = np.maximum(correlate(f2, mm) - sum_f**2 / count, 0)
    variance_m = np.maximum(correlate(fm, m2) - sum_m**2 / count, 0)
    spread = np.sqrt(variance_f * variance_m)
    enough = count >= MINIMUM_OVERLAP * min(fixed_mask.sum(), moving_mask.sum())
    usable = enough & (spread > 1e-6 * spread.max())  # below, rounding of the transforms is all there is
    return np.where(usable, covariance / np.where(usable, spread, 1), -1.0)


def _improve(
    start: Registration, fixed: np.ndarray, moving: np.ndarray, fixed_box: Box, moving_box: Box
) -> tuple[Registration, float]:
    """Scale about the fixed box's centre and shift, by the simplex: steps of 1 % and of half a coarse pixel first."""
    centre = ((fixed_box[0] + fixed_box[2]) / 2, (fixed_box[1] + fixed_box[3]) / 2)

    def at(steps: np.ndarray) -> Registration:
        scale = start.scale + 0.01 * float(steps[0])
        dy, dx = (
            c - scale / start.scale * (c - s) + COARSE / 2 * float(step)
            for c, s, step in zip(centre, (start.dy, start.dx), steps[1:], strict=True)
        )
        return Registration(scale, dy, dx)

    simplex = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    result = optimize.minimize(
        lambda steps: -_correlation(at(steps), fixed, moving, fixed_box, moving_box),
        simplex[0],
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 0.02, "fatol": 1e-5, "maxfev": 120},
    )
    return at(result.x), -float(result.fun)


def _correlation(
    registration: Registration, fixed: np.ndarray, moving: np.ndarray, fixed_box: Box, moving_box: Box
) -> float:
    window = registration._overlap(fixed_box, moving_box)
    top, left, bottom, right = window
    least = MINIMUM_OVERLAP * min(
        (box[2] - box[0]) * (box[3] - box[1]) * factor
        for box, factor in ((fixed_box, 1.0), (moving_box, registration.scale**2))
    )
    if bottom <= top or right <= left or (bottom - top) * (right - left) < least:
        return -1.0
    a = fixed[top:bottom, left:right] - fixed[top:bottom, left:right].mean()
    b = registration._sample(moving, window, 1)
    b = b - b.mean()
    spread = float(np.sqrt((a * a).sum(dtype=np.float64) * (b * b).sum(dtype=np.float64)))
    return float((a * b).sum(dtype=np.float64)) / spread if spread > 0 else -1.0
