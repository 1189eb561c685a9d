"""`Ensemble`: several networks of one kind, whose spread tells how much they agree."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Ensemble(nn.Module):
    """Networks that see the same input.

    Args:
        members: One or more networks.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (M, B, ...): the outputs of the M members."""
        return torch.stack([member(x) for member in self.members])
