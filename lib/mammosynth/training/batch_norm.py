"""Batch normalisation over the whole batch, also where it is split over processes."""

from __future__ import annotations

import torch
from torch import nn

from mammosynth.training.processes import sum_over_processes


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics in training are those of all processes' images.

    `torch.nn.SyncBatchNorm` does the same, but on GPUs only. Statistics are taken in float32.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W), of this process."""
        if not self.training:
            return super().forward(input)
        x = input.float()
        count = sum_over_processes(x.new_tensor(x.numel() / x.shape[1]))
        mean = sum_over_processes(x.sum(dim=(0, 2, 3))) / count
        centred = x - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum(dim=(0, 2, 3))) / count
        if self.track_running_stats:
            self._track(mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
        normal = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            normal = normal * self.weight[:, None, None] + self.bias[:, None, None]
        return normal.to(input.dtype)

    def _track(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.no_grad():
            self.num_batches_tracked += 1
            share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance, share)


def synchronise_batch_norm(networks: nn.Module) -> None:
    """Make every `BatchNorm2d` within a synchronised one; weights, statistics and whoever refers to it stay."""
    for module in networks.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SynchronisedBatchNorm2d  # it adds behaviour, and nothing to its state
