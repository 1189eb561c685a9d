"""`SignedFramePreprocessing`: what the published cycle-GAN sees: one breast, grey values in [-1, 1].

Zormpas-Petridis et al. (Eur Radiol Exp 2026) find the breast by Otsu's threshold, crop to its box, resample to 1 mm
pixels, clip raw values to one fixed window per kind of image and scale that window to [-1, 1]. Here:

- The breast is found by `segment_breast`, because Otsu's threshold cuts dark fat and skin.
- The breast's box is scaled to fit the frame, whatever the spacing: published 8-bit images do not tell it.
- Display values in [0, 1] are scaled to [-1, 1] by one fixed line. The raw windows cannot be applied, since display
  values are already clipped to a window. Percentiles of each image would even windows out, but those of a real
  recombined image are not known when one is synthesized, and they would take away how strongly a breast enhances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mammosynth.mammogram import Mammogram
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing, PreparedMammogram
from mammosynth.terms import ViewPosition


class SignedFramePreprocessing:
    """Low-energy mammogram to network input in [-1, 1], and network output in [-1, 1] back to the source's matrix.

    Args:
        frame_shape: (H, W) of the network's frame, multiples of 4.
    """

    CHANNELS = ("low_energy",)

    def __init__(self, frame_shape: Sequence[int]) -> None:
        self._breast = BreastFramePreprocessing(frame_shape)
        self.frame_shape = self._breast.frame_shape

    def prepare(self, source: Mammogram) -> PreparedMammogram:
        """The source in the frame, in display values.

        Raises:
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        return self._breast.prepare(source)

    def channels(self, low_energy: np.ndarray, breast_mask: np.ndarray, view_position: ViewPosition) -> np.ndarray:
        """The network's input.

        Args:
            low_energy: (H, W) float32 in [0, 1], in the frame.
            breast_mask: (H, W) bool, in the frame.
            view_position: Has no effect: the published network does not know it.

        Returns:
            (1, H, W) float32 in [-1, 1], -1 outside the breast.
        """
        return to_signed(low_energy * breast_mask)[None].astype(np.float32)

    def restore(self, prepared: PreparedMammogram, generated: np.ndarray) -> np.ndarray:
        """A generated image in the source's matrix and orientation.

        Args:
            prepared: What `prepare` gave.
            generated: (H, W) in [-1, 1], in the frame.

        Returns:
            float32 in [0, 1] of the source's shape, 0 in air, fading at the source's own edge.
        """
        restored = self._breast.restore(prepared, from_signed(generated))
        return (np.clip(restored, 0, 1) * prepared.source_edge).astype(np.float32)


def to_signed(display: np.ndarray) -> np.ndarray:
    """Display values in [0, 1] as [-1, 1]."""
    return 2 * display - 1


def from_signed(signed: np.ndarray) -> np.ndarray:
    """The inverse of `to_signed`."""
    return (signed + 1) / 2
