"""Floors: what trivial predictors score. A model that does not beat them has learned nothing.

F0 the source itself; F1 one grey; F2 the mean grey of a place; F3 small perceptrons of single pixels; F4 the source
rescaled. F1 to F4 are fitted on training pairs, and the fitted numbers travel with the released bundle, so that a
folder without training rows can be evaluated against the same floors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy import ndimage
from torch import nn

from mammosynth.atomic import write_bytes
from mammosynth.errors import BundleError
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.evaluation.protocol import Case
from mammosynth.terms import ViewPosition
from mammosynth.training.dataset import hash_cases

FLOORS = Path("models", "floors.safetensors")
NAMES = {
    "F0": "low-energy image itself",
    "F1": "constant (train mean)",
    "F2a": "mean by skin distance and view",
    "F2b": "mean by place and view",
    "F3a": "perceptron of grey and skin distance",
    "F3b": "perceptron of grey at several scales, place, image statistics",
    "F4": "low-energy image rescaled (train least squares)",
}
FITTED_ON = "train_pairs_sha256"
"""Key of the file's metadata."""
BIN = 8
"""Bins of skin distance in pixels."""
BINS = (40, 16, 12)
"""Bins of skin distance, height and width."""
PRIOR = 50.0
"""Pixels' worth of the coarser mean in every bin."""
SAMPLED = 6000
"""Pixels per training image for the perceptrons."""
STEPS = 1500
BATCH = 4096
_FEW_FEATURES, _MANY_FEATURES = 2, 17
_Features = Callable[[Case], np.ndarray]


@dataclass(frozen=True, eq=False)
class Floors:
    """Fitted floors.

    Attributes:
        values: Named float32 arrays: `mean`, `line`, `by_depth`, `by_place`, and the perceptrons' weights.
        fitted_on: `hash_cases` of the training pairs; empty if not known.
    """

    values: dict[str, np.ndarray]
    fitted_on: str = ""

    def predict(self, case: Case) -> dict[str, np.ndarray]:
        """(512, 512) float32 for every floor, by short name."""
        view = _view(case)
        line = self.values["line"]
        return {
            "F0": case.low_energy,
            "F1": np.full(case.low_energy.shape, self.values["mean"][0], np.float32),
            "F2a": ndimage.map_coordinates(self.values["by_depth"][view], _place(case)[:1], order=1, mode="nearest"),
            "F2b": ndimage.map_coordinates(self.values["by_place"][view], _place(case), order=1, mode="nearest"),
            "F3a": self._perceptron("few", case, _few_features),
            "F3b": self._perceptron("many", case, _many_features),
            "F4": line[0] + line[1] * case.low_energy,
        }

    def save(self, path: Path) -> None:
        """Write to a safetensors file."""
        values = {key: np.ascontiguousarray(value, np.float32) for key, value in self.values.items()}
        write_bytes(path, save(values, {FITTED_ON: self.fitted_on}))

    @classmethod
    def load(cls, path: Path) -> Floors:
        """Read what `save` wrote.

        Raises:
            BundleError: If the file is missing or damaged.
        """
        try:
            with safe_open(path, "np") as file:
                values = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118, the file is no mapping
                return cls(values, (file.metadata() or {}).get(FITTED_ON, ""))
        except (OSError, SafetensorError) as error:
            raise BundleError(f"{path.name}: fitted floors cannot be read: {error}; fetch the bundle again") from error

    def _perceptron(self, name: str, case: Case, features: _Features) -> np.ndarray:
        hidden = features(case)[:, case.breast].T
        hidden = (hidden - self.values[f"{name}.centre"]) / self.values[f"{name}.scale"]
        layers = sorted(key for key in self.values if key.startswith(f"{name}.") and key.endswith(".weight"))
        for number, key in enumerate(layers):
            hidden = hidden @ self.values[key].T + self.values[key.replace("weight", "bias")]
            if number < len(layers) - 1:
                hidden = np.maximum(hidden, 0)
        image = np.zeros(case.low_energy.shape, np.float32)
        image[case.breast] = hidden[:, 0]
        return image


def fit_floors(train_pairs: Sequence[ContrastPair], seed: int = 0, *, steps: int = STEPS) -> Floors:
    """Fit every floor on the scored pixels of the training pairs.

    Args:
        train_pairs: 512 x 512 pairs.
        seed: Of the sampled pixels and the perceptrons.
        steps: Of each perceptron's optimizer.
    """
    fitted = fit_floors_to_cases((Case.from_pair(pair) for pair in train_pairs), seed, steps=steps)
    return Floors(fitted.values, hash_cases(train_pairs))


def fit_floors_to_cases(cases: Iterable[Case], seed: int = 0, *, steps: int = STEPS) -> Floors:
    """`fit_floors` on cases, one at a time.

    Args:
        cases: Of the training pairs.
        seed: Of the sampled pixels and the perceptrons.
        steps: Of each perceptron's optimizer.
    """
    random = np.random.default_rng(seed)
    moments = np.zeros(5)
    place_sum, place_count = np.zeros((2, *BINS)), np.zeros((2, *BINS))
    few, many, greys = [], [], []
    for case in cases:
        x, y = case.low_energy[case.scored].astype(np.float64), case.recombined[case.scored].astype(np.float64)
        moments += (x.size, x.sum(), y.sum(), (x * x).sum(), (x * y).sum())
        bins = tuple(
            np.clip(np.rint(axis[case.scored]).astype(int), 0, n - 1)
            for axis, n in zip(_place(case), BINS, strict=True)
        )
        np.add.at(place_sum[_view(case)], bins, y)
        np.add.at(place_count[_view(case)], bins, 1)
        chosen = random.choice(np.flatnonzero(case.scored), min(SAMPLED, x.size), replace=False)
        few.append(_few_features(case).reshape(_FEW_FEATURES, -1)[:, chosen].T)
        many.append(_many_features(case).reshape(_MANY_FEATURES, -1)[:, chosen].T)
        greys.append(case.recombined.ravel()[chosen])
    n, sum_x, sum_y, sum_xx, sum_xy = moments
    mean = sum_y / n
    slope = (sum_xy / n - sum_x * sum_y / n**2) / max(sum_xx / n - (sum_x / n) ** 2, 1e-9)
    by_depth = _smooth_means(place_sum.sum(axis=(2, 3)), place_count.sum(axis=(2, 3)), np.full((2, BINS[0]), mean))
    coarse = np.broadcast_to(by_depth[:, :, None, None], place_sum.shape)
    target = np.concatenate(greys)
    values = {
        "mean": np.array([mean]),
        "line": np.array([mean - slope * sum_x / n, slope]),
        "by_depth": by_depth,
        "by_place": _smooth_means(place_sum, place_count, coarse),
        **_fit_perceptron("few", np.concatenate(few), target, (32, 32), 3e-3, steps, seed),
        **_fit_perceptron("many", np.concatenate(many), target, (64, 64), 3e-4, steps, seed),
    }
    return Floors({key: np.asarray(value, np.float32) for key, value in values.items()})


def _view(case: Case) -> int:
    return int(case.view_position is ViewPosition.MLO)


def _place(case: Case) -> np.ndarray:
    """(3, 512, 512): bin coordinates of skin distance, height and width; integers are bin centres."""
    rows, columns = np.flatnonzero(case.breast.any(axis=1)), np.flatnonzero(case.breast.any(axis=0))
    y, x = np.mgrid[: case.breast.shape[0], : case.breast.shape[1]]
    height = (y - rows[0] + 0.5) / (rows[-1] - rows[0] + 1) * BINS[1]
    width = (x - columns[0] + 0.5) / (columns[-1] - columns[0] + 1) * BINS[2]
    return np.stack([case.depth / BIN, height, width]) - 0.5


def _smooth_means(total: np.ndarray, count: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    sigma = [0.0] + [0.7] * (total.ndim - 1)
    smooth_total, smooth_count = (ndimage.gaussian_filter(values, sigma, mode="nearest") for values in (total, count))
    return (smooth_total + PRIOR * coarse) / (smooth_count + PRIOR)


def _few_features(case: Case) -> np.ndarray:
    return np.stack([case.low_energy, np.minimum(case.depth / 100, 2)]).astype(np.float32)


def _many_features(case: Case) -> np.ndarray:
    """LE, its means and deviations at several scales, place, and statistics of the whole image."""
    source = case.low_energy
    means = [ndimage.gaussian_filter(source, sigma) for sigma in (2, 6, 16)]
    squares = [ndimage.gaussian_filter(source * source, sigma) for sigma in (2, 6)]
    deviations = [np.sqrt(np.maximum(square - mean**2, 0)) for square, mean in zip(squares, means, strict=False)]
    _, height, width = _place(case)
    depth = case.depth
    percentiles = np.percentile(source[case.breast], (5, 25, 50, 75, 95))
    constants = [*percentiles, case.breast.mean(), float(_view(case))]
    return np.stack(
        [
            source,
            *means,
            *deviations,
            depth / 100,
            depth / max(float(depth.max()), 1.0),
            height / BINS[1],
            width / BINS[2],
        ]
        + [np.full(source.shape, value) for value in constants]
    ).astype(np.float32)


def _fit_perceptron(
    name: str,
    features: np.ndarray,
    target: np.ndarray,
    hidden: tuple[int, ...],
    learning_rate: float,
    steps: int,
    seed: int,
) -> dict[str, np.ndarray]:
    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    x, y = torch.from_numpy((features - centre) / scale), torch.from_numpy(target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        widths = [features.shape[1], *hidden]
        layers = [layer for i, o in zip(widths, widths[1:], strict=False) for layer in (nn.Linear(i, o), nn.ReLU())]
        network = nn.Sequential(*layers, nn.Linear(widths[-1], 1))
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(x), (min(BATCH, len(x)),), generator=generator)
        loss = nn.functional.mse_loss(network(x[chosen])[:, 0], y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    weights = {f"{name}.{key}": value.detach().numpy() for key, value in network.state_dict().items()}
    return {f"{name}.centre": centre, f"{name}.scale": scale, **weights}
