"""`Synthesizer`: what a bundle holds, whatever it synthesizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import nn

from mammosynth.parameters import Parameters
from mammosynth.task import Output, Remark, Rendering

Progress = Callable[[float, str], None]


@runtime_checkable
class Synthesizer(Protocol):
    """A network, the preprocessing it was trained with, and the way back to an image.

    Attributes:
        task: Name of the task.
        parameters: Class of its parameters.
        preprocessing: Inputs to network input; its kind belongs to the network.
        network: In evaluation mode, on the device where it is to run.
    """

    task: str
    parameters: type[Parameters]
    preprocessing: Any
    network: nn.Module

    def outputs(self, parameters: Any) -> tuple[str, ...]:
        """Roles of what a call with these parameters gives, the image first; known before anything is computed.

        Raises:
            InvalidParameterError: If this network cannot do what the parameters ask for.
        """

    def __call__(
        self,
        inputs: Mapping[str, Any],
        parameters: Any,
        *,
        rendering: Rendering,
        seed: int,
        progress: Progress | None = None,
    ) -> tuple[Output, ...]:
        """What is made of the inputs, in the order of `outputs`.

        Args:
            inputs: By role, as the task's slots say; they were checked.
            parameters: An instance of the class `parameters`.
            rendering: One that the bundle says it can.
            seed: Of everything random.
            progress: Told a fraction in [0, 1] and what happens.

        Raises:
            InvalidParameterError: If this network cannot do what the parameters ask for.
            MissingAttributeError: If an input lacks an attribute that the model needs.
            UnsupportedImageError: If an input cannot be used, for example because no breast is found.
        """


@runtime_checkable
class Teller(Protocol):
    """A synthesizer that also tells something of inputs which leave the image as it is.

    Attributes:
        tells_of: Their roles.
    """

    @property
    def tells_of(self) -> tuple[str, ...]:
        """See the class."""

    def make_and_tell(
        self,
        inputs: Mapping[str, Any],
        parameters: Any,
        *,
        rendering: Rendering,
        seed: int,
        progress: Progress | None = None,
        only_tell: bool = False,
    ) -> tuple[tuple[Output, ...], tuple[Remark, ...]]:
        """What a call gives without these inputs, and what there is to say of them; the network runs once for both.

        Args:
            inputs: By role, at least one of `tells_of` among them; they were checked.
            parameters: As for a call, and likewise what follows.
            rendering: See there.
            seed: See there.
            progress: See there.
            only_tell: Make no outputs: somebody has them.

        Raises:
            MammoSynthError: As a call.
        """
