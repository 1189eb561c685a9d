"""A bound: how well iodine can be read by a network that is told where the lesion is and sees the raw signal.

Full-image networks must find lesions, see display values, and learn everything else too. This one sees -log of the
low-energy signal around a lesion, with the lesion's outline, and is only asked for the contrast of its iodine. Uptake
in training has nothing to do with the lesion, and a new one is drawn every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from experiments.iodine_twins import HIGH, LEVELS, PATCH_MM, ZERO, TwinView, draw_uptake

LESION_READER = "lesion reader, told the outline"
_SIGNAL_UNIT = 0.2  # of -log signal
_BATCH = 32
_SPREAD = 1e-3  # weight decay


@dataclass(frozen=True, eq=False)
class Patches:
    """Pieces of views around their lesions; -log signal is linear in uptake to within its noise.

    Attributes:
        zero: (N, H, W) float32, -log signal without uptake, minus its mean over the ring.
        added: (N, H, W) float32, what an uptake of 1 mg/ml adds.
        outline: (N, H, W) float32, 1 in the lesion.
        truth: (N,) float32, contrast of true iodine in mg/cm2 at an uptake of 1 mg/ml.
    """

    zero: torch.Tensor
    added: torch.Tensor
    outline: torch.Tensor
    truth: torch.Tensor


def cut_patches(views: Sequence[TwinView]) -> Patches:
    """A square around every lesion; what lies outside the image is as the ring is on average."""
    zero, added, outline = [], [], []
    for view in views:
        signals = {twin: view.log_signal[twin] - view.log_signal[twin][view.ring].mean() for twin in (ZERO, HIGH)}
        zero.append(_cut(view, signals[ZERO]))
        added.append(_cut(view, (signals[HIGH] - signals[ZERO]) / LEVELS[HIGH]))
        outline.append(_cut(view, view.lesion.astype(np.float32)))
    truth = [view.contrast(view.iodine_cm) for view in views]
    images = [torch.from_numpy(np.stack(cut)) for cut in (zero, added, outline)]
    return Patches(images[0], images[1], images[2], torch.tensor(truth))


def train_lesion_reader(patches: Patches, *, steps: int, seed: int = 0) -> nn.Module:
    """A small convolutional network.

    Args:
        patches: Of training views.
        steps: Of 32 patches.
        seed: Of weights, order, uptake and turns.
    """
    drawn = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _build()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=_SPREAD)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    for _ in range(steps):
        chosen = drawn.integers(0, len(patches.truth), _BATCH)
        uptake = torch.tensor([draw_uptake(drawn) for _ in chosen], dtype=torch.float32)
        images = _turned(_channels(patches, torch.from_numpy(chosen), uptake), drawn)
        loss = nn.functional.smooth_l1_loss(network(images)[:, 0], patches.truth[chosen] * uptake, beta=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def read_iodine(network: nn.Module, patches: Patches) -> dict[str, np.ndarray]:
    """(N,) contrast in mg/cm2 of every twin, averaged over eight turns and mirrored turns."""
    everything = torch.arange(len(patches.truth))
    results = {}
    with torch.inference_mode():
        for twin, uptake in LEVELS.items():
            images = _channels(patches, everything, torch.full((len(everything),), uptake))
            turned = [torch.rot90(mirrored, k, (2, 3)) for k in range(4) for mirrored in (images, images.flip(3))]
            results[twin] = torch.stack([network(image)[:, 0] for image in turned]).mean(dim=0).numpy()
    return results


def _build() -> nn.Module:
    layers: list[nn.Module] = []
    for before, after in ((2, 16), (16, 32), (32, 48), (48, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 1))


def _channels(patches: Patches, chosen: torch.Tensor, uptake: torch.Tensor) -> torch.Tensor:
    signal = patches.zero[chosen] + uptake[:, None, None] * patches.added[chosen]
    return torch.stack([signal / _SIGNAL_UNIT, patches.outline[chosen]], dim=1)


def _turned(images: torch.Tensor, drawn: np.random.Generator) -> torch.Tensor:
    turned = torch.rot90(images, int(drawn.integers(4)), (2, 3))
    return turned.flip(3) if drawn.uniform() < 0.5 else turned


def _cut(view: TwinView, image: np.ndarray) -> np.ndarray:
    half = max(8, round(PATCH_MM / 2 / view.pixel_mm / 8) * 8)
    padded = np.pad(image * view.breast, half)
    row, column = np.argwhere(view.lesion).mean(axis=0).round().astype(int)
    return padded[row : row + 2 * half, column : column + 2 * half].astype(np.float32)
