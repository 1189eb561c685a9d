"""The objective "expected": everything a view model knows, fitted to training breasts in closed form.

There is nothing to step: a run is over after one step that changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field
from torch import nn

from mammosynth.errors import DataError
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.tasks.view.cases import ViewCase
from mammosynth.tasks.view.expected import expect_view
from mammosynth.tasks.view.film import exposed
from mammosynth.tasks.view.frame import ViewFrame, resized, without_neighbours
from mammosynth.tasks.view.lesions import Box, lesion_contrast
from mammosynth.tasks.view.look import measure
from mammosynth.tasks.view.network import ViewNetwork
from mammosynth.tasks.view.objectives.losses import ssim
from mammosynth.tasks.view.regression import given_of, made_of
from mammosynth.tasks.view.style import measure_style
from mammosynth.training.objective import GENERATOR
from mammosynth.training.recipe import TrainingRecipe

JUDGED = 256
"""Side in pixels at which scores are taken."""
SHOWN = 6
STYLES = 100
"""Breasts of each look, about, whose style is measured: eight numbers need no more."""


class ExpectedRecipe(TrainingRecipe):
    """A run of the objective "expected"."""

    steps: int = Field(1, ge=1, le=1)
    """One, for all is fitted at once."""


@dataclass(frozen=True, eq=False)
class Laid:
    """A breast in the frame.

    Attributes:
        look: Of the images.
        given: (9273,) float32, see `regression.given_of`.
        made: (36864,) float32, see `regression.made_of`.
        cc: (256, 256) float32.
        mlo: (256, 256) float32.
        styles: (2, 8) of both views, see `style.measure_style`; None where it was not measured.
        lesion: (8,), see `LesionModel.fit`; None without a lesion on both views.
        measured: (9,) of the craniocaudal image, see `look.measure`; None likewise.
    """

    look: Look
    given: np.ndarray
    made: np.ndarray
    cc: np.ndarray
    mlo: np.ndarray
    styles: np.ndarray | None
    lesion: np.ndarray | None
    measured: np.ndarray | None


class ExpectedObjective:
    """See `Objective`.

    Args:
        train: At least one case; those whose aspect is a guess are left out.
        val: Of other patients; may be empty.
        network: What is fitted.
        recipe: Only its seed and device count.
    """

    def __init__(
        self, train: Sequence[ViewCase], val: Sequence[ViewCase], network: ViewNetwork, recipe: ExpectedRecipe
    ) -> None:
        self._val = [lay_out(case, style=False) for case in val if case.has_true_aspect]
        _fit(network, [lay_out(case, style=measured) for case, measured in _chosen(train)])
        self.networks = nn.ModuleDict({GENERATOR: network})

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """None."""
        return {}

    def draw(self, step: int, rank: int, world_size: int) -> None:
        """Nothing."""

    def losses(self, batch: None) -> Iterator[tuple[str, torch.Tensor, dict[str, float]]]:
        """None."""
        yield from ()

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """SSIM and PSNR in the padded frame, the looks apart; `val_score` sums both, 20 dB as much as 1 of SSIM."""
        found: dict[str, list[tuple[float, float]]] = {}
        for each in self._val:
            made, real = (torch.tensor(view)[None, None] for view in (_made(generator, each), each.mlo))
            psnr = -10 * float(torch.log10((made - real).square().mean().clamp(min=1e-10)))
            found.setdefault(each.look.value, []).append((float(ssim(made, real)), psnr))
        scores = {}
        for look, values in found.items():
            scores[f"val_{look}_ssim"], scores[f"val_{look}_psnr"] = (float(each) for each in np.mean(values, axis=0))
        if not scores:
            return {}
        parts = [value / (20 if name.endswith("psnr") else 1) for name, value in scores.items()]
        return {"val_score": float(np.mean(parts)), **scores}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of craniocaudal view, made and real view."""
        step = max(1, len(self._val) // SHOWN)
        rows = [
            np.concatenate([each.cc, _made(generator, each), each.mlo], axis=1) for each in self._val[::step][:SHOWN]
        ]
        return np.clip(np.concatenate(rows or [np.zeros((1, 1))]), 0, 1).astype(np.float32)


def _made(generator: nn.Module, laid: Laid) -> np.ndarray:
    assert isinstance(generator, ViewNetwork)
    predicted = generator.regression(laid.look).predict(laid.given)
    return resized(expect_view(predicted, laid.look)[0], JUDGED)


def _chosen(train: Sequence[ViewCase]) -> Iterator[tuple[ViewCase, bool]]:
    """The cases that are learned from; and of each look so many as are enough for a style."""
    for look in Look:
        own = [case for case in train if case.look is look and case.has_true_aspect]
        step = max(1, len(own) // STYLES)
        yield from ((case, place % step == 0) for place, case in enumerate(own))


def lay_out(case: ViewCase, *, style: bool) -> Laid:
    """A case in the frame.

    Args:
        case: With a breast on both views.
        style: Whether style and look are measured, which takes as long as all the rest.

    Raises:
        DataError: If a view shows no breast.
    """
    views = (case.views.cc, case.views.mlo)
    frames = [ViewFrame.of(view.pixels, case.look) for view in views]
    cc, mlo = (frame.apply(view.pixels) for frame, view in zip(frames, views, strict=True))
    breasts = [segment_breast(view, background=0.0) for view in (cc, mlo)]
    if not all(breast.any() for breast in breasts):
        raise DataError(f"{case.name}: a view shows no breast; remove it from the table")
    breasts[0] = without_neighbours(breasts[0])
    drawn = (case.views.cc_lesion, case.views.mlo_lesion)
    lesions = [
        frame.apply(lesion.astype(np.float32)) > 0.5
        for frame, lesion in zip(frames, drawn, strict=True)
        if lesion is not None
    ]
    return Laid(
        look=case.look,
        given=given_of(cc, breasts[0]),
        made=made_of(mlo, breasts[1]),
        cc=resized(cc, JUDGED),
        mlo=resized(mlo, JUDGED),
        styles=_styles((cc, mlo), breasts, case.look) if style else None,
        lesion=_lesion_pair((cc, mlo), breasts, lesions),
        measured=measure(cc) if style else None,
    )


def _styles(views: Sequence[np.ndarray], breasts: Sequence[np.ndarray], look: Look) -> np.ndarray:
    """(2, 8); the border of a film is no part of a breast's style."""
    if look is Look.FILM:
        breasts = [exposed(*each) for each in zip(views, breasts, strict=True)]
    return np.stack([measure_style(*each) for each in zip(views, breasts, strict=True)])


def _lesion_pair(
    views: Sequence[np.ndarray], breasts: Sequence[np.ndarray], lesions: Sequence[np.ndarray]
) -> np.ndarray | None:
    if len(lesions) < 2 or not all(lesion.any() for lesion in lesions):
        return None
    numbers = [
        (*Box.of(breast).place(lesion), lesion_contrast(view, lesion, breast), lesion.sum() ** 0.5)
        for view, breast, lesion in zip(views, breasts, lesions, strict=True)
    ]
    found = np.concatenate(numbers)
    return found if np.isfinite(found).all() else None


def _fit(network: ViewNetwork, laid: Sequence[Laid]) -> None:
    measured = [(each.measured, each.look is Look.FILM) for each in laid if each.measured is not None]
    network.looks.fit(np.stack([each for each, _ in measured]), np.array([is_film for _, is_film in measured]))
    for look in Look:
        own = [each for each in laid if each.look is look]
        if not own:
            continue
        network.regression(look).fit(np.stack([each.given for each in own]), np.stack([each.made for each in own]))
        both = np.stack([each.styles for each in own if each.styles is not None])
        network.style(look).fit(both[:, 0], both[:, 1])
        network.lesion(look).fit(np.array([each.lesion for each in own if each.lesion is not None]))
