"""The objective "sampled": how real recombined images look, measured on training pairs and fitted in closed form.

It is fitted to a whole ensemble, whose members stay as they are. There is nothing to step: a run is over after one step
that changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy import ndimage
from torch import nn

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.preprocessing.breast import chest_wall_on_left, segment_breast
from mammosynth.preprocessing.frame import BreastFrame
from mammosynth.synthesis.engine import run_whole
from mammosynth.tasks.contrast.framed import Batch, FramedPair
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.sampled import draw_contrast
from mammosynth.tasks.contrast.style import BANDS, StyledEnsemble, Zones, given_of, measure_look
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR, ClosedForm
from mammosynth.training.recipe import TrainingRecipe

LEAST_PAIRS = 2
FACTORS = (1.0, 3.0)
"""Between which the factor of the members' spread must lie: errors grow with it, but by much more than members tell."""
SMOOTH_PX = 4.0
"""Smoothing of errors before they are compared with that spread, which knows no grain."""
AS_IT_IS = 1.25
"""A real image that is at most so many times larger than the frame is measured as it is: resizing smooths its grain."""
SHOWN = 4
_LOW_ENERGY, _MASK = (BreastFramePreprocessing.CHANNELS.index(name) for name in ("low_energy", "breast_mask"))


class SampledRecipe(TrainingRecipe):
    """A run of the objective "sampled"."""

    steps: int = Field(1, ge=1, le=1)
    """One, for all is fitted at once."""


@dataclass(frozen=True, eq=False)
class _Measured:
    """Of one pair.

    Attributes:
        given: (27,), see `style.given_of`.
        made: (13,), the look of the real image.
        moments: (3,) of the members' variance and the squared error: sums that tell the slope of the latter.
    """

    given: np.ndarray
    made: np.ndarray
    moments: np.ndarray


class SampledObjective(ClosedForm):
    """See `Objective`.

    Args:
        train: At least two pairs.
        val: Of other patients; may be empty.
        network: An ensemble whose members are trained.
        recipe: Only its seed counts.

    Raises:
        DataError: If there are too few pairs.
    """

    def __init__(
        self, train: Sequence[FramedPair], val: Sequence[FramedPair], network: StyledEnsemble, recipe: SampledRecipe
    ) -> None:
        if len(train) < LEAST_PAIRS:
            raise DataError(
                f"{count_of(len(train), 'training pair')}, expected {LEAST_PAIRS} and more: one has no distribution"
            )
        self._val, self._seed = list(val), recipe.seed
        self._shown = list(val or train)[:SHOWN]
        network.eval().requires_grad_(False)
        measured = [_measure(network, pair) for pair in train]
        style = network.style
        style.looks.fit(np.stack([each.given for each in measured]), np.stack([each.made for each in measured]))
        covariance, variance, _ = np.sum([each.moments for each in measured], axis=0)
        style.factor.fill_(float(np.clip(np.sqrt(max(covariance, 0) / max(variance, 1e-12)), *FACTORS)))
        self.networks = nn.ModuleDict({GENERATOR: network})

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """By how much, on average over bands, samples are stronger or weaker than real images, in natural logarithms.

        `val_score` is that number's negative.
        """
        if not self._val:
            return {}
        assert isinstance(generator, StyledEnsemble)
        shifts = []
        for number, pair in enumerate(self._val):
            breast = pair.maps[_MASK].numpy() > 0
            image = _sampled(generator, pair, [self._seed, number])
            shifts.append((measure_look(image, Zones(breast))[0] - _real_look(pair))[BANDS])
        shift = float(np.abs(np.mean(shifts, axis=0)).mean())
        return {"val_score": -shift, "val_band_shift": shift, "val_factor": float(generator.style.factor)}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of low-energy, sampled and real image."""
        assert isinstance(generator, StyledEnsemble)
        rows = []
        for number, pair in enumerate(self._shown):
            batch = Batch.of(pair.maps[None].float())
            made = _sampled(generator, pair, [self._seed, number])
            rows.append(np.concatenate([batch.channels[0, _LOW_ENERGY], made, batch.recombined[0, 0]], axis=1))
        return np.clip(np.concatenate(rows), 0, 1).astype(np.float32)


def _fields(network: StyledEnsemble, pair: FramedPair) -> np.ndarray:
    """(M, 2, H, W) float32."""
    channels = Batch.of(pair.maps[None].float()).channels
    return run_whole(network, channels.cpu().numpy())[:, 0]


def _sampled(network: StyledEnsemble, pair: FramedPair, seed: Sequence[int]) -> np.ndarray:
    low_energy, breast = (pair.maps[place].float().cpu().numpy() for place in (_LOW_ENERGY, _MASK))
    is_mlo = pair.view_position is ViewPosition.MLO
    random = np.random.default_rng(seed)
    offset, gain = draw_contrast(_fields(network, pair), low_energy, breast > 0, is_mlo, network.style, random).fields
    return np.clip(offset + gain * low_energy, 0, 1) * breast


def _measure(network: StyledEnsemble, pair: FramedPair) -> _Measured:
    batch = Batch.of(pair.maps[None].float())
    low_energy, breast = (batch.channels[0, place].cpu().numpy() for place in (_LOW_ENERGY, _MASK))
    zones = Zones(breast > 0)
    fields = _fields(network, pair)
    members = fields[:, 0] + fields[:, 1] * low_energy
    expected = np.clip(members.mean(axis=0), 0, 1) * breast
    looks = [measure_look(image, zones)[0] for image in (expected, low_energy)]
    return _Measured(
        given=given_of(looks[0], looks[1], pair.view_position is ViewPosition.MLO),
        made=_real_look(pair),
        moments=_moments(members, batch.recombined[0, 0].cpu().numpy(), batch.scored[0, 0].cpu().numpy() > 0),
    )


def _moments(members: np.ndarray, real: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """Of members' variance and squared error: covariance, variance of the former; and how many pixels there were."""
    if not scored.any():
        return np.zeros(3)
    weight = scored.astype(np.float32)
    share = ndimage.gaussian_filter(weight, SMOOTH_PX) + 1e-3
    error = ndimage.gaussian_filter((real - members.mean(axis=0)) * weight, SMOOTH_PX) / share
    error = error[scored] - np.median(error[scored])  # the window is drawn by itself
    spread = members.var(axis=0)[scored]
    centred = spread - spread.mean()
    return np.array([(error**2 * centred).sum(), (centred**2).sum(), scored.sum()])


def _real_look(pair: FramedPair) -> np.ndarray:
    """(13,) of the real image as it was published, or in the frame where that is much larger."""
    framed = pair.maps[-3].float().cpu().numpy()
    if pair.published is None:
        return measure_look(framed, Zones(pair.maps[_MASK].cpu().numpy() > 0))[0]
    pixels, breast = pair.published, segment_breast(pair.published, background=0.0)
    if max(pixels.shape) > AS_IT_IS * max(framed.shape):
        frame = BreastFrame.around(breast, (framed.shape[0], framed.shape[1]), "recombined image")
        return measure_look(frame.apply(pixels), Zones(frame.apply(breast) > 0.5))[0]
    if not chest_wall_on_left(breast):
        pixels, breast = pixels[:, ::-1], breast[:, ::-1]
    return measure_look(pixels, Zones(breast))[0]
