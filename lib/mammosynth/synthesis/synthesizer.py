"""`Synthesizer`: what a bundle holds, whatever it synthesizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from torch import nn

from mammosynth.mammogram import Mammogram
from mammosynth.synthesis.result import Synthesis
from mammosynth.terms import Task

Progress = Callable[[float, str], None]


@runtime_checkable
class Synthesizer(Protocol):
    """A network, the preprocessing it was trained with, and the way back to the source.

    Attributes:
        task: What it synthesizes.
        parameters: Dataclass of its parameters.
        preprocessing: Source to network input; its kind belongs to the network.
        network: In evaluation mode, on the device where it is to run.
    """

    task: Task
    parameters: type[Any]
    preprocessing: Any
    network: nn.Module

    def __call__(self, source: Mammogram, parameters: Any, seed: int, progress: Progress | None = None) -> Synthesis:
        """The synthesized image of the source.

        Args:
            source: With a view position.
            parameters: An instance of the class `parameters`.
            seed: Of everything random.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            InvalidParameterError: If this network cannot do what the parameters ask for.
            MissingAttributeError: If the source lacks an attribute that the model needs.
            UnsupportedImageError: If no breast is found.
        """

    def transplant(self, source: Mammogram, other: Mammogram) -> Mammogram:
        """The image of another breast, laid into the source's: a control that a good score must not survive."""
