"""`ViewSynthesizer`: one standard mammogram of a breast to the other: oblique from craniocaudal, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field
from scipy import ndimage

from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.breast import segment_breast
from mammosynth.preprocessing.look import Look
from mammosynth.synthesis.entropy import entropy_of
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, UNCERTAINTY, Output, Rendering
from mammosynth.tasks.view.expected import expect_view
from mammosynth.tasks.view.frame import SIDE, Framed, ResultMatrix, ViewFrame
from mammosynth.tasks.view.lesions import EXPECTED_SHARES, Placed, parts_of, place_lesion, show_lesion
from mammosynth.tasks.view.muscle import source_muscle
from mammosynth.tasks.view.network import ViewNetwork
from mammosynth.tasks.view.regression import given_of
from mammosynth.tasks.view.roles import BAND, LESIONS, MASK, OTHER, SOURCE, VIEW
from mammosynth.tasks.view.sampled import Source, draw_outline, draw_view
from mammosynth.tasks.view.warp import Laid

SAMPLES = 8
"""That an uncertainty map is made of."""
BAND_CLASS = "where the lesion must lie"


class ViewParameters(Parameters):
    """What the source does not say."""

    look: Look | None = Field(default=None, strict=False)
    """A digital mammogram or one on film; none is told by header or pixels."""
    uncertainty: bool = Field(default=False)
    """Also give the standard deviation over eight samples, in grey values."""


class FramePreprocessing:
    """From a mammogram to what the models see.

    Attributes:
        CHANNELS: Their names, in order.
        frame_shape: Rows and columns of them.
    """

    CHANNELS = ("source_view",)
    frame_shape = (SIDE, SIDE)


@dataclass(frozen=True, eq=False)
class _Given:
    """The source in the frame.

    Attributes:
        frame: How it was laid there.
        source: In it.
        expected: (512, 512) float32 in [0, 1]: the view that is expected, without lesions.
        chance: (512, 512) float32: of breast, in it.
    """

    frame: ViewFrame
    source: Source
    expected: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True, eq=False)
class _Made:
    """A view in the frame: its pixels, its breast, and where its tissue is in the source if it was drawn."""

    pixels: np.ndarray
    breast: np.ndarray
    laid: Laid | None


class ViewSynthesizer:
    """See `mammosynth.synthesis.synthesizer.Synthesizer`.

    Args:
        network: All that was learned.
    """

    task = VIEW
    parameters = ViewParameters
    preprocessing = FramePreprocessing()

    def __init__(self, network: ViewNetwork) -> None:
        self.network = network

    def outputs(self, parameters: ViewParameters) -> tuple[str, ...]:
        """The image, its uncertainty if that is asked for, and where lesions and the band around them are."""
        return (IMAGE, *((UNCERTAINTY,) if parameters.uncertainty else ()), MASK, BAND)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: ViewParameters,
        *,
        rendering: Rendering,
        seed: int,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The view.

        Args:
            inputs: `source`, and `lesions` drawn on it.
            parameters: What the source does not say.
            rendering: Expected: the image of least error, smooth. Sampled: one plausible image.
            seed: Of a sampled image. Of several sources each is drawn by itself; a mirrored one gets the mirror image.
            progress: Told a fraction in [0, 1] and what happens.

        Returns:
            As many rows as the source has, of its spacing, chest wall on its side; 0 in air.

        Raises:
            UnsupportedImageError: If no breast is found, or no lesion lies in it.
        """
        report = progress or (lambda fraction, message: None)
        source, drawn = inputs[SOURCE], inputs.get(LESIONS)
        report(0.0, "finding the breast")
        given = self._given(source, parameters.look)
        report(0.2, "predicting the view")
        parts = self._parts(given, drawn)
        turned = _turned(source.pixels, given.frame)
        entropy = entropy_of(seed, turned)
        made, placed = self._make(given, parts, rendering, np.random.default_rng(entropy))
        # An expected view fades where its chest wall is not sure; it is laid by where breast is likely.
        likely = draw_outline(given.chance, None)
        laid = likely if likely.any() else made.breast
        matrix = ResultMatrix.of(given.frame, given.source.breast, laid, OTHER[given.source.view])
        report(0.6, "returning to the source's matrix")
        pixels = np.clip(matrix.restore(made.pixels, order=1 if made.laid is None else 3), 0, 1)
        if made.laid is not None and matrix.scale > 1:
            pixels = _with_finer(pixels, turned, given, made, matrix)
        result = Mammogram(
            pixels.astype(np.float32),
            source.source_name,
            OTHER[given.source.view],
            source.image_laterality,
            source.pixel_spacing_mm,
        )
        outputs = [Output(IMAGE, result)]
        if parameters.uncertainty:
            report(0.8, "drawing samples")
            spread = self._spread(given, parts, entropy)
            outputs.append(Output(UNCERTAINTY, result.with_pixels(np.clip(matrix.restore(spread), 0, 1))))
        if drawn is not None:
            outputs += self._drawn(drawn, parts, placed, made, matrix, result)
        report(1.0, "done")
        return tuple(outputs)

    def _given(self, source: Mammogram, look: Look | None) -> _Given:
        view = source.view_position
        assert view is not None  # the slot accepts no other
        way = self.network.way_to(OTHER[view])
        framed = Framed.of(source, look or Look.FILM)
        chosen = look or way.looks.look_of(source, framed.pixels)
        if look is None and chosen is not Look.FILM:
            framed = Framed.of(source, chosen)
        predicted = way.regression(chosen).predict(given_of(framed.pixels, framed.breast))
        expected, chance = expect_view(predicted, chosen)
        muscle = source_muscle(framed.pixels, framed.breast, view)
        return _Given(framed.frame, Source(framed.pixels, framed.breast, muscle, view, chosen), expected, chance)

    def _parts(self, given: _Given, drawn: LabelMap | None) -> list[tuple[int, np.ndarray]]:
        """Connected lesions in the frame, each with its class."""
        if drawn is None:
            return []
        found = []
        for number in sorted(set(np.unique(drawn.labels).tolist()) - {0}):
            mask = given.frame.apply((drawn.labels == number).astype(np.float32)) > 0.5
            found += [(number, part) for part in parts_of(mask & given.source.breast)]
        if not found:
            raise UnsupportedImageError(f"{drawn.source_name}: no lesion lies within the breast; draw one inside")
        return found

    def _make(
        self,
        given: _Given,
        parts: list[tuple[int, np.ndarray]],
        rendering: Rendering,
        random: np.random.Generator,
    ) -> tuple[_Made, list[Placed]]:
        sampled = rendering is Rendering.SAMPLED
        (places,) = random.spawn(1)  # lesions have numbers of their own, so that the breast is the same without them
        breast = draw_outline(given.chance, random) if sampled else segment_breast(given.expected, background=0.0)
        breast = breast if breast.any() else draw_outline(given.chance, None)
        way = self.network.way_to(OTHER[given.source.view])
        model = way.lesion(given.source.look)
        placed = [
            place_lesion(given.source.pixels, given.source.breast, part, breast, model, places if sampled else None)
            for _, part in parts
        ]
        pixels, laid = given.expected, None
        if sampled:
            drawn = draw_view(
                given.source,
                given.expected,
                given.chance,
                breast,
                way.style(given.source.look),
                random,
                lesions=np.logical_or.reduce([np.zeros_like(breast), *(part for _, part in parts)]),
                kept_free=np.logical_or.reduce([np.zeros_like(breast), *(one.mask for one in placed)]),
            )
            pixels, laid = drawn.pixels, drawn.laid
        share = 1.0 if sampled else EXPECTED_SHARES[given.source.look]
        for one in placed:
            pixels = show_lesion(pixels, breast, one, share=share, smooth=not sampled)
        return _Made(pixels, breast, laid), placed

    def _spread(self, given: _Given, parts: list[tuple[int, np.ndarray]], entropy: tuple[int, int]) -> np.ndarray:
        """(512, 512) float32: standard deviation over samples."""
        samples = [
            self._make(given, parts, Rendering.SAMPLED, np.random.default_rng([*entropy, number]))[0].pixels
            for number in range(SAMPLES)
        ]
        return np.std(samples, axis=0, dtype=np.float32)

    def _drawn(
        self,
        drawn: LabelMap,
        parts: list[tuple[int, np.ndarray]],
        placed: list[Placed],
        made: _Made,
        matrix: ResultMatrix,
        result: Mammogram,
    ) -> list[Output]:
        labels, band = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), bool)
        for (number, _), one in zip(parts, placed, strict=True):
            labels[one.mask] = number
            band |= one.band
        both = (
            (MASK, labels, drawn.classes),
            (BAND, (band & made.breast).astype(np.uint8), {1: BAND_CLASS}),
        )
        about = (result.pixel_spacing_mm, result.view_position, result.image_laterality)
        return [
            Output(role, LabelMap(matrix.restore(values, order=0).astype(np.uint8), result.source_name, names, *about))
            for role, values, names in both
        ]


def _turned(pixels: np.ndarray, frame: ViewFrame) -> np.ndarray:
    """An image of the source's matrix with the chest wall on the left."""
    return pixels[:, ::-1] if frame.mirrored else pixels


def _with_finer(pixels: np.ndarray, turned: np.ndarray, given: _Given, made: _Made, matrix: ResultMatrix) -> np.ndarray:
    """The sample with what the source has beyond the frame's detail, at the places that its tissue came from."""
    assert made.laid is not None
    finer = turned - ndimage.gaussian_filter(turned, 0.5 * matrix.scale)
    rows, columns = given.frame.place_in_image(*(matrix.restore(each) for each in made.laid.where))
    detail = ndimage.map_coordinates(finer, [rows, columns], order=1, mode="nearest")
    return np.clip(pixels + detail * matrix.restore(made.breast.astype(np.float32)), 0, 1) * (pixels > 0)
