"""`MaskNetwork`: what one mask model has learned: the expected image, and the styles of sampled ones."""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import BasicUNet
from torch import nn

from mammosynth.tasks.mask.expected import ExpectedPreprocessing
from mammosynth.tasks.mask.style_model import StyleModels


class MaskNetwork(nn.Module):
    """Trained and kept together.

    Args:
        features: Six numbers of channels of the U-Net (`monai.networks.nets.BasicUNet`) of the expected image.
    """

    def __init__(self, features: Sequence[int]) -> None:
        super().__init__()
        self.expected = BasicUNet(
            2,
            len(ExpectedPreprocessing.CHANNELS),
            1,
            tuple(features),
            norm=("group", {"num_groups": 4}),
            upsample="nontrainable",
        )
        self.styles = StyleModels()
