"""Running a network on one image: in one pass, or in overlapping windows; from any thread, on any device.

Nothing is stored or changed here, so one network may be run from several threads at once.

On CUDA the network runs in float16 with channels last. Float16 rather than bfloat16, which is as fast: an output in
[0, 1] is then off by 0.0001 on average and 0.0007 at most, not by 0.0006 and 0.0038, one grey level of 256 (first
contrast model, a real image, autocast on the CPU).

On the CPU it runs in float32 as it is. Measured on one thread of a CPU with AVX2, `ResidualUNet` with 32 to 160
features, frame 512 x 384: float32 75 ms, channels last 66 ms, bfloat16 10,450 ms, dynamic int8 146 ms (it leaves
convolutions in float32), `torch.compile` 67 ms after 66 s, with a C++ compiler that users may not have. Nothing there
is worth its trouble.
"""

from __future__ import annotations

import numpy as np
import torch
from monai.inferers import sliding_window_inference
from torch import nn

from mammosynth.errors import BundleError


def run_whole(network: nn.Module, channels: np.ndarray) -> np.ndarray:
    """The network's output in one pass.

    Args:
        network: (B, C, H, W) to any shape; in evaluation mode.
        channels: (B, C, H, W) float32.

    Returns:
        float32.

    Raises:
        BundleError: If the network does not take them.
    """
    with torch.inference_mode():
        return _forward(network, _on_device_of(network, channels)).cpu().numpy()


def run_windows(
    network: nn.Module, channels: np.ndarray, window: tuple[int, int], stride: tuple[int, int], *, hann: bool = False
) -> np.ndarray:
    """The network's output, averaged where windows overlap.

    Windows start at every multiple of the stride; the last one of a row or column is moved inwards so that it ends with
    the image.

    Args:
        network: (B, C, h, w) to (B, C', h, w); in evaluation mode.
        channels: (B, C, H, W) float32, nowhere smaller than the window.
        window: (h, w).
        stride: Rows and columns from one window to the next.
        hann: Fade windows into each other over their overlap, by half a Hann window, so that no seam is left; all
            pixels of a window weigh alike otherwise.

    Returns:
        (B, C', H, W) float32.

    Raises:
        BundleError: If the network does not take them.
    """
    # MONAI's step is int(window * (1 - overlap)): half a pixel more, so that no rounding takes one off.
    overlap = [max(0.0, 1 - (step + 0.5) / side) for step, side in zip(stride, window, strict=True)]
    with torch.inference_mode():
        output = sliding_window_inference(
            _on_device_of(network, channels),
            roi_size=window,
            sw_batch_size=4,
            predictor=lambda patches: _forward(network, patches).clone(),
            overlap=overlap,
            roi_weight_map=_fading(window, stride) if hann else None,
        )
    return output.cpu().numpy()


def _on_device_of(network: nn.Module, channels: np.ndarray) -> torch.Tensor:
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    return torch.from_numpy(np.ascontiguousarray(channels)).to(device, memory_format=layout)


def _forward(network: nn.Module, channels: torch.Tensor) -> torch.Tensor:
    try:
        with torch.autocast("cuda", torch.float16, enabled=channels.is_cuda):
            return network(channels).float()
    except RuntimeError as error:
        if channels.is_cuda or "alloc" in str(error):  # memory, and much of what goes wrong on a GPU, is told so, too
            raise
        raise BundleError(
            f"the model's network does not take {tuple(channels.shape)} (B, C, H, W), which its preprocessing gives: "
            f"{error}; let both agree in its inference.json"
        ) from error


def _fading(window: tuple[int, int], stride: tuple[int, int]) -> torch.Tensor:
    """(h, w), above zero everywhere: sampled at the middle of the pixels."""
    weights = []
    for side, step in zip(window, stride, strict=True):
        from_edge = torch.arange(side).minimum(torch.arange(side).flip(0)) + 0.5
        weights.append(torch.sin(torch.pi / 2 * (from_edge / max(side - step, 1)).clamp(max=1)) ** 2)
    return weights[0][:, None] * weights[1][None, :]
