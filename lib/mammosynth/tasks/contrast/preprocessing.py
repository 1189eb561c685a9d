"""`BreastFramePreprocessing`: what the contrast network sees. Training, evaluation and serving use this one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from mammosynth.errors import MissingAttributeError
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import chest_wall_on_left, find_edge, segment_breast, skin_distance
from mammosynth.preprocessing.chest_wall import without_bites
from mammosynth.preprocessing.frame import BreastFrame, extend_smoothly
from mammosynth.terms import ViewPosition

WHOLE_SMOOTHING_PX, WHOLE = 0.8, 0.93
"""Where breast, smoothed in the frame, is more than this share, a network saw it: a pixel or so under the skin. Chosen:
with less, single pixels that fade into air are dark dots along the skin; with more, the skin itself is lost."""
SKIN_DISTANCE_UNIT = 100 / 512
"""Skin distance 1.0 in frame heights."""


@dataclass(frozen=True, eq=False)
class PreparedMammogram:
    """A low-energy view in the network's frame.

    Attributes:
        low_energy: (H, W) float32 in [0, 1], 0 outside the breast.
        breast_mask: (H, W) bool in the frame.
        source_breast_mask: bool, in the source's matrix: found on a reduced grid, its rim lies in the air.
        view_position: CC or MLO.
        frame: The way back.
        source: Where it comes from.
    """

    low_energy: np.ndarray
    breast_mask: np.ndarray
    source_breast_mask: np.ndarray
    view_position: ViewPosition
    frame: BreastFrame
    source: Mammogram

    @cached_property
    def source_edge(self) -> np.ndarray:
        """How much of each pixel of the source's matrix is breast, float32 in [0, 1], fat as dark as air included.

        The network never sees it, and training never needs it.
        """
        edge = without_bites(self._found_edge, self.source.pixels, wall_on_left=not self.frame.mirrored)
        return edge if self.source.valid is None else edge * self.source.valid

    @cached_property
    def _found_edge(self) -> np.ndarray:
        return find_edge(self.source.pixels, self.source_breast_mask, self.source.valid)

    @cached_property
    def trusted(self) -> np.ndarray:
        """(H, W) bool: pixels of the frame that hold breast alone.

        Nearer to the air no loss is counted, and a network may say anything.
        """
        framed = np.pad(self.frame.apply(self._found_edge), 3, mode="edge")
        whole = ndimage.gaussian_filter(framed, WHOLE_SMOOTHING_PX)[3:-3, 3:-3] > WHOLE
        return whole if whole.any() else self.breast_mask


class BreastFramePreprocessing:
    """Low-energy mammogram to network input, and network output back to the source's matrix.

    The breast is found, its chest wall turned to the left, its box scaled to fit the frame, whatever the matrix size
    and spacing. Values stay the display values in [0, 1] of the reader.

    Args:
        frame_shape: (H, W) of the network's frame.
    """

    CHANNELS = (
        "low_energy",
        "low_energy_normalised",
        "skin_distance",
        "relative_depth",
        "column",
        "row",
        "breast_mask",
        "is_mlo",
    )

    def __init__(self, frame_shape: Sequence[int]) -> None:
        self.frame_shape = (int(frame_shape[0]), int(frame_shape[1]))

    def prepare(self, source: Mammogram) -> PreparedMammogram:
        """The source in the frame.

        Raises:
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        if source.view_position is None:
            raise MissingAttributeError(
                f"{source.source_name}: (0018,5101) View Position is absent, expected CC or MLO; set view_position"
            )
        mask = segment_breast(source.pixels, source.valid)
        if mask.any():
            edge = mask.astype(np.float32)
            mask = without_bites(edge, source.pixels, wall_on_left=chest_wall_on_left(mask)) > 0.5
            mask = mask if source.valid is None else mask & source.valid
        frame = BreastFrame.around(mask, self.frame_shape, source.source_name)
        framed_mask = frame.apply(mask) > 0.5
        low_energy = np.clip(frame.apply(source.pixels), 0, 1) * framed_mask
        return PreparedMammogram(low_energy, framed_mask, mask, source.view_position, frame, source)

    def channels(self, low_energy: np.ndarray, breast_mask: np.ndarray, view_position: ViewPosition) -> np.ndarray:
        """The network's input.

        Args:
            low_energy: (H, W) float32 in [0, 1], in the frame.
            breast_mask: (H, W) bool, in the frame.
            view_position: CC or MLO.

        Returns:
            (C, H, W) float32 in the order of `CHANNELS`.
        """
        height, width = low_energy.shape
        distance = skin_distance(breast_mask)
        inside = low_energy[breast_mask]
        low, middle, high = np.percentile(inside, (5, 50, 95)) if inside.size else (0.0, 0.0, 1.0)
        normalised = np.clip((low_energy - middle) / max(high - low, 0.05), -3, 3) * breast_mask
        rows = np.broadcast_to(np.linspace(-1, 1, height)[:, None], (height, width))
        columns = np.broadcast_to(np.linspace(0, 1, width)[None, :], (height, width))
        return np.stack(
            [
                low_energy * breast_mask,
                normalised,
                distance / (SKIN_DISTANCE_UNIT * self.frame_shape[0]),
                distance / max(float(distance.max()), 1.0),
                columns,
                rows,
                breast_mask,
                np.full((height, width), view_position is ViewPosition.MLO),
            ]
        ).astype(np.float32)

    def restore(self, prepared: PreparedMammogram, field: np.ndarray) -> np.ndarray:
        """A smooth field in the source's matrix and orientation.

        What a network says about the rim and about air is replaced by what it says just inside, smoothly continued, so
        the rim is as bright as what lies inside.

        Args:
            prepared: What `prepare` gave.
            field: (H, W) in the frame.

        Returns:
            float32 of the source's shape, not clipped, of no meaning where `source_edge` is 0.
        """
        return prepared.frame.restore(extend_smoothly(field.astype(np.float32), prepared.trusted))
