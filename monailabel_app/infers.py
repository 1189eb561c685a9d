"""One generic adapter from MONAI Label's inference interface to any bundle: request in, file and parameters out."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from mammosynth.bundle import Bundle
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.errors import InvalidParameterError
from mammosynth.files import to_nrrd_bytes
from mammosynth.journey import Order, Work, perform
from mammosynth.synthesis.result import Result
from mammosynth.task import IMAGE, Placement

_ONE_AT_A_TIME = threading.Lock()
# Sent by MONAI Label's own clients with every request; accepted with these values, without effect.
_CLIENT_FIELDS: Mapping[str, tuple[Any, ...]] = {
    "result_extension": (".nrrd",),
    "result_dtype": ("uint16",),
    "result_compress": (False,),
}
_MORE = (
    "This answer holds the image. POST /synthesis with the same parameters stores this beside it, as a series of its "
    "own; mammosynth synthesize writes it as a file of its own."
)


def synthesize_alone(bundle: Bundle, *args: Any, **kwargs: Any) -> Result:
    """Run a network in this process, one at a time whoever asks: /infer or the job queue."""
    with _ONE_AT_A_TIME:
        return bundle.synthesize(*args, **kwargs)


class BundleInferTask(InferTask):
    """A bundle as a MONAI Label model.

    Its type is `others`: stock clients would show an image result as a label map, which is meaningless speckle.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(type=InferType.OTHERS, labels=[], dimension=2, description=bundle.description, config={})
        self.bundle = bundle

    def info(self) -> dict[str, Any]:
        """What clients need to offer this model: task, inputs, renderings, scores, and a schema of its parameters."""
        bundle = self.bundle
        return {
            **super().info(),
            "task": bundle.task.name,
            "title": bundle.task.title,
            "placement": str(bundle.task.placement),
            "slots": [slot.as_json() for slot in bundle.slots],
            "renderings": [str(rendering) for rendering in bundle.renderings],
            "bundle": bundle.name,
            "version": bundle.version,
            "is_default": bundle.is_default,
            "weights_sha256": bundle.weights_sha256,
            "scores": bundle.metadata["mammosynth"].get("scores", {}),
            "parameters": Order.schema(bundle),
        }

    def is_valid(self) -> bool:
        """Always: a bundle that cannot be loaded never becomes a task."""
        return True

    def parse(self, parameters: Mapping[str, Any]) -> Order:
        """The order that a client's parameters stand for.

        Raises:
            InvalidParameterError: If a name is not listed in `info` or a value cannot be used.
        """
        chosen = {name: value for name, value in parameters.items() if name != "client_id"}
        for name, accepted in _CLIENT_FIELDS.items():
            value = chosen.pop(name, None)
            if value is not None and value not in accepted:
                raise InvalidParameterError(f"{name} is {value!r}, expected {accepted[0]!r}; or leave it out")
        return Order.parse(self.bundle, chosen)

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Synthesize one image.

        Args:
            request: `order`, an Order; `inputs`, what is `Given` for it; `source_path`, the source's file if it has
                one; `synthesize`, which runs the network if this process does not.

        Returns:
            A 16-bit NRRD with the image's geometry, and its provenance as JSON values.
        """
        sink = _NrrdFile(request["source_path"])
        return perform(
            request["order"], request["inputs"], sink, synthesize=request.get("synthesize", synthesize_alone)
        )


class _NrrdFile:
    """A temporary file and what is to be said of it."""

    def __init__(self, source_path: Path | None) -> None:
        self._source_path = source_path

    def find(self, work: Work) -> None:
        """Nothing is kept."""

    def store(self, work: Work, result: Result, known: tuple[str, dict[str, Any]] | None) -> tuple[str, dict[str, Any]]:
        """See `BundleInferTask.__call__`."""
        on_source = result.task.placement is Placement.ON_SOURCE and result.source is not None
        like = result.source if on_source and result.source is not None else result.image
        pixels = result.image.pixels
        if work.order.settings.burned_in_mark:
            pixels = burn_in_mark(pixels, like)
        content = to_nrrd_bytes(pixels, like, self._source_path if on_source else None)  # first: it may fail
        descriptor, name = tempfile.mkstemp(suffix=".nrrd", prefix=f"{result.task.name}-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
        except OSError:
            Path(name).unlink()
            raise
        more = {output.role: _MORE for output in result.outputs if output.role != IMAGE}
        told = {"remarks": [remark.as_json() for remark in result.remarks]} if result.remarks else {}
        return name, {"kind": "image", "provenance": result.provenance.as_json(), **told, **more}
