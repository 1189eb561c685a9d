"""`Result`: what a bundle gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.task import IMAGE, Output, Remark, TaskSpec


@dataclass(frozen=True, eq=False)
class Result:
    """A synthesized image, what belongs to it, and where it comes from.

    Attributes:
        task: Which synthesis; says where the result belongs.
        inputs: What it was made from, by role.
        outputs: The image first; none if only remarks were asked for.
        provenance: Complete enough to make it again.
        remarks: On inputs that left the image as it is.
    """

    task: TaskSpec
    inputs: Mapping[str, Any]
    outputs: tuple[Output, ...]
    provenance: Provenance
    remarks: tuple[Remark, ...] = ()

    def __getitem__(self, role: str) -> Mammogram | LabelMap:
        """The value of the output of that role."""
        return next(output.value for output in self.outputs if output.role == role)

    @property
    def image(self) -> Mammogram:
        """The image itself."""
        image = self[IMAGE]
        assert isinstance(image, Mammogram)  # noqa: S101 (what the role means)
        return image

    @property
    def source(self) -> Mammogram | None:
        """The image that the result is named after; None if it was made from none."""
        return self.inputs.get(self.task.source_role or "")
