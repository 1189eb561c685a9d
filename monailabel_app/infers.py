"""One generic adapter from MONAI Label's inference interface to any bundle: request in, file and parameters out."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mammosynth.synthesis.parameters import SEGMENTATION
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from mammosynth.bundle import Bundle
from mammosynth.dicom.contrast_enhanced import refuse_wrong_exposure
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.errors import InvalidParameterError
from mammosynth.files import to_nrrd_bytes
from mammosynth.mammogram import Mammogram
from mammosynth.synthesis.result import SynthesisResult
from mammosynth.terms import ImageLaterality, ViewPosition
from monailabel_app.segmentations import label_map_for
from monailabel_app.studies import DicomWebStudies, Studies, ViewRequest, check_uid

# One network runs at a time in this process, whoever asks: /infer or the job queue.
_ONE_AT_A_TIME = threading.Lock()

# What every task accepts beside the bundle's own parameters.
COMMON_PARAMETERS: tuple[dict[str, Any], ...] = (
    {
        "name": "seed",
        "type": "integer",
        "default": 0,
        "minimum": 0,
        "maximum": 2**31 - 1,
        "unit": "",
        "description": "Seed of the synthesis; the same seed gives the same image.",
    },
    {
        "name": "burned_in_mark",
        "type": "boolean",
        "default": True,
        "unit": "",
        "description": "Write SYNTHETIC - NOT FOR DIAGNOSIS into the pixels of a free corner.",
    },
    {
        "name": "view_position",
        "type": "string",
        "default": None,
        "options": [str(v) for v in ViewPosition],
        "unit": "",
        "description": "View of the source where its header does not say it.",
    },
    {
        "name": "image_laterality",
        "type": "string",
        "default": None,
        "options": [str(v) for v in ImageLaterality],
        "unit": "",
        "description": "Side of the source where its header does not say it.",
    },
    {
        "name": "sop_instance_uid",
        "type": "string",
        "default": None,
        "unit": "",
        "description": "Which image of the series; needed only where a series holds several.",
    },
)
# Sent by MONAI Label's own clients with every request; accepted with these values, without effect.
_CLIENT_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "result_extension": (".nrrd",),
    "result_dtype": ("uint16",),
    "result_compress": (False,),
}
_UNCERTAINTY = (
    "This answer holds the image. POST /synthesis with the same parameters stores the uncertainty beside it, as a "
    "second series; mammosynth synthesize writes it as a file of its own."
)


@dataclass(frozen=True)
class Order:
    """What a client asked for, checked.

    Attributes:
        view: Which image of the series, and what to assume where its header is silent.
        seed: Seed of the synthesis.
        burned_in_mark: Whether the mark is written into the pixels.
        parameters: The bundle's own parameters; a segmentation is the UID of its SOP instance.
    """

    view: ViewRequest
    seed: int
    burned_in_mark: bool
    parameters: dict[str, Any]


class BundleInferTask(InferTask):
    """A bundle as a MONAI Label model.

    Its type is `others`: stock clients would show an image result as a label map, which is meaningless speckle.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(type=InferType.OTHERS, labels=[], dimension=2, description=bundle.description, config={})
        self.bundle = bundle

    def info(self) -> dict[str, Any]:
        """What clients need to offer this model: task, version, and a description of every parameter."""
        return {
            **super().info(),
            "task": str(self.bundle.task),
            "bundle": self.bundle.name,
            "version": self.bundle.version,
            "weights_sha256": self.bundle.weights_sha256,
            "scores": self.bundle.metadata["mammosynth"].get("scores", {}),
            "parameters": [*COMMON_PARAMETERS, *self.bundle.describe_parameters()],
        }

    def is_valid(self) -> bool:
        """Always: a bundle that cannot be loaded never becomes a task."""
        return True

    def parse(self, parameters: Mapping[str, Any]) -> Order:
        """Sort a client's parameters.

        Raises:
            InvalidParameterError: If a name is not listed in `info` or a value is out of range.
        """
        own = {description["name"]: description["type"] for description in self.bundle.describe_parameters()}
        common = {description["name"] for description in COMMON_PARAMETERS}
        chosen = {name: value for name, value in parameters.items() if value is not None and name != "client_id"}
        for name, value in list(chosen.items()):
            if name in _CLIENT_FIELDS:
                if value not in _CLIENT_FIELDS[name]:
                    accepted = _CLIENT_FIELDS[name][0]
                    raise InvalidParameterError(f"{name} is {value!r}, expected {accepted!r}; or leave it out")
                del chosen[name]
            elif name not in own.keys() | common:
                accepted = ", ".join(sorted(own.keys() | common))
                raise InvalidParameterError(f"{name[:64]!r} is no parameter of {self.bundle.task}, expected {accepted}")
            elif own.get(name) == SEGMENTATION:
                check_uid(value, name)
        seed = chosen.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
            raise InvalidParameterError(f"seed is {seed!r}, expected a whole number from 0 to 2147483647")
        mark = chosen.get("burned_in_mark", True)
        if not isinstance(mark, bool):
            raise InvalidParameterError(f"burned_in_mark is {str(mark)[:64]!r}, expected true or false")
        view = ViewRequest(
            sop_instance_uid=_parsed(chosen, "sop_instance_uid", lambda text: check_uid(text, "sop_instance_uid")),
            view_position=_parsed(chosen, "view_position", ViewPosition),
            image_laterality=_parsed(chosen, "image_laterality", ImageLaterality),
        )
        return Order(view, seed, mark, {name: value for name, value in chosen.items() if name in own})

    def with_label_maps(self, order: Order, source: Mammogram, studies: Studies) -> Order:
        """The order with its segmentations fetched, as label maps in the source's matrix.

        Raises:
            NotFoundError: If the source's study holds no such segmentation.
            InvalidParameterError: If there is no archive, or the source is no DICOM image.
            UnsupportedImageError: If a segmentation is no drawing on the source's view.
        """
        drawn = [each["name"] for each in self.bundle.describe_parameters() if each["type"] == SEGMENTATION]
        asked = [name for name in drawn if name in order.parameters]
        if asked and not isinstance(studies, DicomWebStudies):
            raise InvalidParameterError(
                f"{asked[0]} is a segmentation of an archive, and the studies are a folder of image files; serve DICOM "
                "studies"
            )
        fetched = {name: label_map_for(studies, source, order.parameters[name]) for name in asked}
        return replace(order, parameters={**order.parameters, **fetched})

    def synthesize(
        self, source: Mammogram, order: Order, progress: Callable[[float, str], None] | None = None
    ) -> SynthesisResult:
        """Run the bundle on one view, alone on the device.

        Raises:
            UnsupportedImageError: If the view is no source for this task.
        """
        refuse_wrong_exposure(source, self.bundle.task)
        with _ONE_AT_A_TIME:
            return self.bundle.synthesize(source, parameters=order.parameters, seed=order.seed, progress=progress)

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Synthesize one image.

        Args:
            request: `source`, a Mammogram; `source_path`, its file where there is one; `order`, an Order.

        Returns:
            A 16-bit NRRD with the source's geometry, and its provenance as JSON values.
        """
        source, order = request["source"], request["order"]
        result = self.synthesize(source, order)
        pixels = burn_in_mark(result.image.pixels, source) if order.burned_in_mark else result.image.pixels
        with tempfile.NamedTemporaryFile(suffix=".nrrd", prefix=f"{self.bundle.task}-", delete=False) as file:
            file.write(to_nrrd_bytes(pixels, source, request["source_path"]))
        params: dict[str, Any] = {"kind": "image", "provenance": result.provenance.as_json()}
        if result.uncertainty is not None:
            params["uncertainty"] = _UNCERTAINTY
        return file.name, params


def _parsed(chosen: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Any:
    value = chosen.get(name)
    if value is None:
        return None
    try:
        return parse(value)
    except ValueError:
        options = next((d.get("options") for d in COMMON_PARAMETERS if d["name"] == name), None)
        raise InvalidParameterError(f"{name} is {str(value)[:64]!r}, expected one of {options}") from None
