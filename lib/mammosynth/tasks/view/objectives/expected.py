"""The objective "expected": everything a view model knows, fitted to training breasts in closed form.

There is nothing to step: a run is over after one step that changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from mammosynth.tasks.view.frame import ViewFrame, one_breast, resized
from mammosynth.tasks.view.lesions import Box, lesion_contrast
from mammosynth.tasks.view.look import measure
from mammosynth.tasks.view.muscle import source_muscle
from mammosynth.tasks.view.network import OneWay, ViewNetwork
from mammosynth.tasks.view.objectives.losses import ssim
from mammosynth.tasks.view.regression import given_of, made_of
from mammosynth.tasks.view.style import measure_style
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import GENERATOR, ClosedForm
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
        to: The view that is made.
        given: (9273,) float32, see `regression.given_of`.
        made: (36864,) float32, see `regression.made_of`.
        source: (256, 256) float32.
        target: (256, 256) float32.
        styles: (2, 8) of both views, see `style.measure_style`; None where it was not measured.
        lesion: (8,), see `LesionModel.fit`; None without a lesion on both views.
        measured: (9,) of the source, see `look.measure`; None likewise.
    """

    look: Look
    to: ViewPosition
    given: np.ndarray
    made: np.ndarray
    source: np.ndarray
    target: np.ndarray
    styles: np.ndarray | None
    lesion: np.ndarray | None
    measured: np.ndarray | None


class ExpectedObjective(ClosedForm):
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
        self._val = [lay_out(each, style=False) for case in val if case.has_true_aspect for each in _both_ways(case)]
        for to in ViewPosition:
            laid = [
                lay_out(each, style=measured)
                for case, measured in _chosen(train)
                for each in _both_ways(case)
                if each.to is to
            ]
            _fit(network.way_to(to), laid)
        self.networks = nn.ModuleDict({GENERATOR: network})

    def validate(self, generator: nn.Module) -> dict[str, float]:
        """SSIM and PSNR in the padded frame, looks and ways apart; `val_score` is their mean, 20 dB as much as 1."""
        found: dict[str, list[tuple[float, float]]] = {}
        for each in self._val:
            made, real = (torch.tensor(view)[None, None] for view in (_made(generator, each), each.target))
            psnr = -10 * float(torch.log10((made - real).square().mean().clamp(min=1e-10)))
            found.setdefault(f"{each.look.value}_{each.to.value.lower()}", []).append((float(ssim(made, real)), psnr))
        scores = {}
        for name, values in found.items():
            scores[f"val_{name}_ssim"], scores[f"val_{name}_psnr"] = (float(each) for each in np.mean(values, axis=0))
        if not scores:
            return {}
        parts = [value / (20 if name.endswith("psnr") else 1) for name, value in scores.items()]
        return {"val_score": float(np.mean(parts)), **scores}

    def sample_grid(self, generator: nn.Module) -> np.ndarray:
        """Rows of source, made and real view."""
        step = max(1, len(self._val) // SHOWN)
        rows = [
            np.concatenate([each.source, _made(generator, each), each.target], axis=1)
            for each in self._val[::step][:SHOWN]
        ]
        return np.clip(np.concatenate(rows or [np.zeros((1, 1))]), 0, 1).astype(np.float32)


def _made(generator: nn.Module, laid: Laid) -> np.ndarray:
    assert isinstance(generator, ViewNetwork)
    predicted = generator.way_to(laid.to).regression(laid.look).predict(laid.given)
    return resized(expect_view(predicted, laid.look)[0], JUDGED)


def _both_ways(case: ViewCase) -> tuple[ViewCase, ViewCase]:
    return case, case.reversed()


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
    views = (case.source, case.target)
    frames = [ViewFrame.of(view.pixels, case.look) for view in views]
    source, target = (frame.apply(view.pixels) for frame, view in zip(frames, views, strict=True))
    breasts = [segment_breast(view, background=0.0) for view in (source, target)]
    if not all(breast.any() for breast in breasts):
        raise DataError(f"{case.name}: a view shows no breast; remove it from the table")
    breasts[0] = one_breast(breasts[0], case.source.view_position)
    drawn = (case.source_lesion, case.target_lesion)
    lesions = [
        frame.apply(lesion.astype(np.float32)) > 0.5
        for frame, lesion in zip(frames, drawn, strict=True)
        if lesion is not None
    ]
    return Laid(
        look=case.look,
        to=case.to,
        given=given_of(source, breasts[0]),
        made=made_of(target, breasts[1]),
        source=resized(source, JUDGED),
        target=resized(target, JUDGED),
        styles=_styles((source, target), breasts, case) if style else None,
        lesion=_lesion_pair((source, target), breasts, lesions),
        measured=measure(source) if style else None,
    )


def _styles(views: Sequence[np.ndarray], breasts: Sequence[np.ndarray], case: ViewCase) -> np.ndarray:
    """(2, 8); the border of a film is no part of a breast's style, nor is the muscle of a source."""
    breasts = [breasts[0] & ~source_muscle(views[0], breasts[0], case.source.view_position), breasts[1]]
    if case.look is Look.FILM:
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


def _fit(network: OneWay, laid: Sequence[Laid]) -> None:
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
