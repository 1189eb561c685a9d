"""How deep every pixel lies under the skin, from the image alone: smooth enough to even out the thickness by it."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

SKIN_ATTENUATION = 0.12  # -log of the relative signal at the outline: about 1.5 mm of skin
DEEPEST_MM = 48.0  # distances end here
OUTLINE_SIGMA_MM = 2.0
NIPPLE_MM = 14.0  # what is narrower than two of it does not belong to the outline


class Grid:
    """Blocks of whole pixels of about a given size; `pixel_mm` is the size they have."""

    def __init__(self, shape: tuple[int, ...], pixel_mm: float, target_mm: float) -> None:
        self.shape, self.block = shape, max(1, round(target_mm / pixel_mm))
        self.pixel_mm = pixel_mm * self.block

    def reduce(self, image: np.ndarray) -> np.ndarray:
        """Means of blocks; the last ones are completed by the last rows and columns."""
        padded = np.pad(image, [(0, -side % self.block) for side in image.shape], mode="edge")
        height, width = (side // self.block for side in padded.shape)
        return padded.reshape(height, self.block, width, self.block).mean(axis=(1, 3), dtype=np.float32)

    def enlarge(self, image: np.ndarray) -> np.ndarray:
        """Bilinear interpolation between the centres of blocks."""
        if self.block == 1:
            return image.astype(np.float32)
        small = torch.from_numpy(np.ascontiguousarray(image, np.float32))[None, None]
        large = torch.nn.functional.interpolate(small, scale_factor=self.block, mode="bilinear", align_corners=False)
        return large[0, 0, : self.shape[0], : self.shape[1]].numpy()


def find_breast(attenuation: np.ndarray) -> np.ndarray:
    """(H, W) bool: the largest region that attenuates, nipple included."""
    inside = attenuation > SKIN_ATTENUATION
    labels, count = ndimage.label(inside)
    if not count:
        return inside
    return ndimage.binary_fill_holes(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def depth_under_skin(attenuation: np.ndarray, breast: np.ndarray, grid: Grid) -> np.ndarray:
    """Signed distance in mm to the outline without nipple, positive inside, on a coarser grid.

    Args:
        attenuation: (H, W) on a fine grid; the outline is where it crosses `SKIN_ATTENUATION`.
        breast: (H, W) bool.
        grid: Blocks of the fine grid.
    """
    coarse = grid.reduce(breast) > 0.5
    inside = _open(coarse, NIPPLE_MM / grid.pixel_mm)
    nipple = ndimage.binary_dilation(coarse & ~inside, iterations=2)
    outline = (_crossings(attenuation, breast) + 0.5) / grid.block - 0.5
    closing = _crossings(inside.astype(np.float32), inside)
    points = np.concatenate((outline[~_is_at(outline, nipple)], closing[_is_at(closing, nipple)]))
    reach = DEEPEST_MM / grid.pixel_mm
    distance = np.full(inside.size, reach)
    if len(points):
        distance, _ = cKDTree(points).query(np.argwhere(np.ones_like(inside)), distance_upper_bound=reach)
    distance = np.minimum(distance, reach).reshape(inside.shape) * grid.pixel_mm
    signed = np.where(inside, distance, -distance).astype(np.float32)
    # Distance is almost linear: smoothing leaves it as it is and removes the steps of the outline, which the steep rim
    # of the breast would show as streaks.
    return ndimage.gaussian_filter(signed, OUTLINE_SIGMA_MM / grid.pixel_mm, mode="nearest")


def _is_at(points: np.ndarray, mask: np.ndarray) -> np.ndarray:
    row, column = np.rint(points).astype(int).T
    return mask[np.clip(row, 0, mask.shape[0] - 1), np.clip(column, 0, mask.shape[1] - 1)]


def _open(mask: np.ndarray, radius: float) -> np.ndarray:
    """Without what is narrower than two radii; the image's border, where tissue goes on, takes nothing away."""
    margin = int(radius) + 2
    padded = np.pad(mask, margin, mode="edge")
    kept = ndimage.distance_transform_edt(padded) > radius
    if not kept.any():
        return mask
    opened = padded & (ndimage.distance_transform_edt(~kept) <= radius)
    return opened[margin:-margin, margin:-margin]


def _crossings(attenuation: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(N, 2) row and column where the outline crosses the lines between neighbours."""
    points = []
    for values, mask in ((attenuation, inside), (attenuation.T, inside.T)):
        row, column = np.nonzero(mask[:-1] != mask[1:])
        first, second = values[row, column], values[row + 1, column]
        step = np.divide(SKIN_ATTENUATION - first, second - first, out=np.full(len(row), 0.5), where=second != first)
        points.append(np.stack((row + np.clip(step, 0, 1), column), axis=1))
    return np.concatenate((points[0], points[1][:, ::-1]))
