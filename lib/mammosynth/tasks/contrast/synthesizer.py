"""`ContrastSynthesizer`: a low-energy mammogram to the recombined image, at the source's own resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from pydantic import Field
from torch import nn

from mammosynth.errors import BundleError, InvalidParameterError
from mammosynth.mammogram import Mammogram
from mammosynth.networks.ensemble import Ensemble
from mammosynth.parameters import Parameters
from mammosynth.preprocessing.frame import fill_outside
from mammosynth.synthesis.engine import run_whole
from mammosynth.synthesis.entropy import entropy_of
from mammosynth.synthesis.synthesizer import Progress
from mammosynth.task import IMAGE, UNCERTAINTY, Output, Remark, Rendering
from mammosynth.tasks.contrast.calibration import BARE, Calibration
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing, PreparedMammogram
from mammosynth.tasks.contrast.sampled import LEAST_OCTAVE, draw_contrast, finer_grain
from mammosynth.tasks.contrast.specification import CONTRAST, LESIONS, SOURCE
from mammosynth.tasks.contrast.style import StyledEnsemble
from mammosynth.terms import ViewPosition


class ContrastParameters(Parameters):
    """The image itself has no setting: rendering and seed say all, and grey values are a matter of the window."""

    uncertainty: bool = Field(default=False)
    """Also give the standard deviation of every pixel, in grey values: 1.645 of it either side are the 90 % interval of
    a model that is calibrated; of another one it is how much its members disagree."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of one image: every rendering is made from it.

    Attributes:
        prepared: The image in the network's frame.
        fields: (M, 2, H, W) float32: offset and gain of every member; M is 1 for a single network.
    """

    prepared: PreparedMammogram
    fields: np.ndarray


class ContrastSynthesizer:
    """A network that predicts two smooth fields, and the preprocessing it was trained with.

    The recombined image is offset + gain * low energy. The fields are enlarged to the source's matrix and applied to
    the source's own pixels, so its detail is kept at any resolution (cf. guided filter, He et al. 2013,
    doi:10.1109/TPAMI.2012.213), and so is its edge: the image fades into air as the source does.

    Args:
        preprocessing: Source to network input and back.
        network: (B, C, H, W) to (B, 2, H, W), offset and gain; or an `Ensemble` of such networks.
        average_flips: Average a CC view with its upside-down copy; an MLO view has an up and a down.
        calibration: What the spread of an ensemble means; None: its spread is given as it is.
    """

    task = CONTRAST
    parameters = ContrastParameters

    def __init__(
        self,
        preprocessing: BreastFramePreprocessing,
        network: nn.Module,
        average_flips: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        self.preprocessing = preprocessing
        self.network = network
        self.average_flips = average_flips
        self.calibration = calibration or BARE

    @property
    def has_members(self) -> bool:
        """Whether there is a spread to be uncertain by."""
        return isinstance(self.network, Ensemble) and len(self.network.members) > 1

    @property
    def tells_of(self) -> tuple[str, ...]:
        """Drawn lesions, if the spread is calibrated: see `lesions.intervals`."""
        return (LESIONS,) if self.has_members and self.calibration != BARE else ()

    def make_and_tell(
        self,
        inputs: Mapping[str, Any],
        parameters: ContrastParameters,
        *,
        rendering: Rendering = Rendering.EXPECTED,
        seed: int = 0,
        progress: Progress | None = None,
        only_tell: bool = False,
    ) -> tuple[tuple[Output, ...], tuple[Remark, ...]]:
        """A call, and of each drawn lesion its contrast in the expected image and the 90 % interval.

        Args:
            inputs: `source`, and `lesions` drawn on it.
            parameters: As for a call, and likewise what follows.
            rendering: Of the image; what is told is the same for all.
            seed: See there.
            progress: See there.
            only_tell: Compose no image: somebody has it.

        Raises:
            MammoSynthError: As a call.
            UnsupportedImageError: If what is drawn is too small, before anything is made.
        """
        from mammosynth.tasks.contrast.lesions.told import lesions_told  # training runs where highdicom is not

        self.outputs(parameters)
        predict = cache(partial(self.predict, inputs[SOURCE], progress))
        remarks = lesions_told(self, inputs[SOURCE], inputs[LESIONS], predict)
        return () if only_tell else self._made(predict(), parameters, rendering, seed, progress), remarks

    def outputs(self, parameters: ContrastParameters) -> tuple[str, ...]:
        """The image, and its uncertainty if that is asked for.

        Raises:
            InvalidParameterError: If uncertainty is asked for and the network is no ensemble.
        """
        if not parameters.uncertainty:
            return (IMAGE,)
        if not self.has_members:
            raise InvalidParameterError(
                "parameter 'uncertainty' is true, but this model is a single network and so has no spread; leave it "
                "out, or choose a model that is an ensemble"
            )
        return (IMAGE, UNCERTAINTY)

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: ContrastParameters,
        *,
        rendering: Rendering = Rendering.EXPECTED,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """The recombined image of the source, and how uncertain an ensemble is of it.

        Args:
            inputs: `source`, a low-energy view with a view position.
            parameters: Whether uncertainty is asked for.
            rendering: Expected: the image of least error, smooth. Sampled: one plausible image.
            seed: Of a sampled image.
            progress: Told a fraction in [0, 1] and what happens.

        Returns:
            In the source's matrix: the image, zero in air, fading as the source does; and its standard deviation in
            grey values, 1.645 of which either side of the image are the 90 % interval if the model is calibrated.

        Raises:
            InvalidParameterError: If uncertainty is asked for and the network is no ensemble, or a sampled image and
                the network knows no style.
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        self.outputs(parameters)  # refuses what it cannot do before the network runs
        return self._made(self.predict(inputs[SOURCE], progress), parameters, rendering, seed, progress)

    def _made(
        self,
        prediction: Prediction,
        parameters: ContrastParameters,
        rendering: Rendering,
        seed: int,
        progress: Progress | None,
    ) -> tuple[Output, ...]:
        report = progress or (lambda fraction, message: None)
        roles, source = self.outputs(parameters), prediction.prepared.source
        report(0.8, "returning to the source's matrix")
        made = [self.sampled(prediction, seed) if rendering is Rendering.SAMPLED else self.expected(prediction)]
        if UNCERTAINTY in roles:
            made.append(self.uncertainty(prediction, made[0]))
        report(1.0, "done")
        return tuple(Output(role, source.with_pixels(pixels)) for role, pixels in zip(roles, made, strict=True))

    def predict(self, source: Mammogram, progress: Progress | None = None) -> Prediction:
        """What `expected`, `spread` and any number of `sampled` images of one source are made from.

        Args:
            source: A low-energy view with a view position.
            progress: Told a fraction of a whole synthesis, of which this is the most, and what happens.

        Raises:
            MissingAttributeError: If the source has no view position.
            UnsupportedImageError: If no breast is found.
        """
        report = progress or (lambda fraction, message: None)
        report(0.0, "finding the breast")
        prepared = self.preprocessing.prepare(source)
        report(0.3, "running the network")
        return Prediction(prepared, self.generate(prepared))

    def expected(self, prediction: Prediction) -> np.ndarray:
        """The image of least error, float32 in [0, 1], in the source's matrix."""
        return self._compose(prediction.prepared, prediction.fields.mean(axis=0))

    def spread(self, prediction: Prediction) -> np.ndarray:
        """Standard deviation of every pixel over the members, in grey values, whatever the calibration."""
        return np.stack([self._compose(prediction.prepared, member) for member in prediction.fields]).std(axis=0)

    def uncertainty(self, prediction: Prediction, image: np.ndarray) -> np.ndarray:
        """Standard deviation of every pixel of an image that was made of the prediction, zero in air; calibrated."""
        deviation = self.calibration.deviation(image, self.spread(prediction))
        return deviation * (prediction.prepared.source_edge > 0)

    def sampled(self, prediction: Prediction, seed: int) -> np.ndarray:
        """One plausible image, float32 in [0, 1], in the source's matrix.

        The samples that one seed gives of several images are independent of each other, see `entropy_of`.

        Raises:
            InvalidParameterError: If the network knows no style.
        """
        return self.drawn(prediction, np.random.default_rng(entropy_of(seed, prediction.prepared.source.pixels)))

    def drawn(self, prediction: Prediction, random: np.random.Generator) -> np.ndarray:
        """As `sampled`, from a generator; two images drawn from equal ones share all that is random.

        Raises:
            InvalidParameterError: If the network knows no style.
        """
        if not isinstance(self.network, StyledEnsemble):
            raise InvalidParameterError(
                "parameter 'rendering' is 'sampled', but this model knows no style to draw from; choose expected, or "
                "fit one with objective sampled"
            )
        prepared = prediction.prepared
        is_mlo = prepared.view_position is ViewPosition.MLO
        drawn = draw_contrast(
            prediction.fields, prepared.low_energy, prepared.breast_mask, is_mlo, self.network.style, random
        )
        image = self._compose(prepared, drawn.fields)
        top, bottom, _, _ = prepared.frame.box
        scale = (bottom - top) / prepared.frame.scaled_shape[0]
        if scale >= LEAST_OCTAVE:
            grain = self.preprocessing.restore(prepared, drawn.grain) * prepared.source_edge
            image = np.clip(image + finer_grain(grain, scale, random), 0, 1)
        return image

    def generate(self, prepared: PreparedMammogram) -> np.ndarray:
        """The fields in the frame.

        Returns:
            (M, 2, H, W) float32: offset and gain of every member; M is 1 for a single network.

        Raises:
            BundleError: If the network does not take the channels, or gives other ones.
        """
        low_energy, mask, view = prepared.low_energy, prepared.breast_mask, prepared.view_position
        versions = [self.preprocessing.channels(low_energy, mask, view)]
        if self.average_flips and view is ViewPosition.CC:
            versions.append(self.preprocessing.channels(low_energy[::-1], mask[::-1], view))
        output = run_whole(self.network, np.stack(versions))
        if output.ndim < 4 or output.shape[-3] != 2:
            raise BundleError(
                f"the model's network gives {output.shape}, expected (B, 2, H, W): offset and gain; correct its "
                "inference.json"
            )
        fields = output.reshape(-1, *output.shape[-4:])  # (M, B, 2, H, W)
        return fields[:, 0] if len(versions) == 1 else (fields[:, 0] + fields[:, 1, :, ::-1]) / 2

    def transplant(self, source: Mammogram, other: Mammogram) -> Mammogram:
        """The image of another breast, laid into the source's breast and matrix; nothing of the source shows in it.

        Raises:
            MissingAttributeError: If one of them has no view position.
            UnsupportedImageError: If no breast is found in one of them.
        """
        prepared, into = self.preprocessing.prepare(other), self.preprocessing.prepare(source)
        offset, gain = self.generate(prepared).mean(axis=0)
        image = fill_outside(offset + gain * prepared.low_energy, prepared.breast_mask)
        restored = self.preprocessing.restore(into, image)
        return source.with_pixels(np.clip(restored, 0, 1) * into.source_edge)

    def _compose(self, prepared: PreparedMammogram, fields: np.ndarray) -> np.ndarray:
        offset, image = (self.preprocessing.restore(prepared, field) for field in fields)  # the second is the gain
        image *= prepared.source.pixels
        image += offset
        np.clip(image, 0, 1, out=image)
        image *= prepared.source_edge
        return image
