"""Previews: the label map that JSON values stand for, or that an image shows, as a synthesis would have it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from mammosynth.errors import InvalidParameterError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.parameters import check_json_bounds
from mammosynth.task import Preview, Slot
from monailabel_app.errors import NotFoundError
from monailabel_app.inputs import ImageReference, the_image
from monailabel_app.studies import DicomWebStudies, ViewRequest


class PreviewRequest(BaseModel):
    """Body of POST /preview/{model}/{role}: values to draw; with a suggestion, or measured in an image, others.

    For a slot of label maps `measure` alone: what the image shows.
    """

    model_config = ConfigDict(extra="forbid")
    values: dict[str, Any] = {}
    suggestion: Annotated[str, Field(max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    measure: ImageReference | None = None


def create_previews(slots: Callable[[str], Sequence[Slot]], archive: Callable[[], DicomWebStudies]) -> APIRouter:
    """The route /preview/{model}/{role}.

    Args:
        slots: Of a model; raises NotFoundError if there is no such model.
        archive: The archive; raises ConflictError if there is none.
    """
    router = APIRouter()

    @router.post("/preview/{model}/{role}")
    def preview(model: str, role: str, body: PreviewRequest) -> JSONResponse:
        """The values that were drawn, and their label map; nothing is stored."""
        check_json_bounds(body.values, "values")
        known = {slot.role: slot for slot in slots(model) if slot.preview or slot.from_image}
        if role not in known:
            raise NotFoundError(f"no preview of {role[:64]!r}, expected one of: {', '.join(known) or 'none'}")
        slot, values = known[role], body.values
        if slot.from_image is not None:
            labels = slot.from_image(_only_image(role, body, archive))
        else:
            values = _values(slot.preview, role, body, archive)
            labels = slot.preview.draw(values)
        content = {"values": values, **_as_json(labels)}
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    return router


def _only_image(role: str, body: PreviewRequest, archive: Callable[[], DicomWebStudies]) -> Mammogram:
    if body.measure is None or body.values or body.suggestion is not None:
        raise InvalidParameterError(f"{role} has no values of its own; give measure, an image, and nothing else")
    return _image(body.measure, archive)


def _image(reference: ImageReference, archive: Callable[[], DicomWebStudies]) -> Mammogram:
    store = archive()
    address = the_image(store, "measure", reference)
    return store.view(address, ViewRequest(address.sop_instance_uid))


def _values(
    preview: Preview, role: str, body: PreviewRequest, archive: Callable[[], DicomWebStudies]
) -> dict[str, Any]:
    if body.measure is not None:
        if preview.measure is None or body.suggestion is not None:
            raise InvalidParameterError(
                f"measure is given, but {role} cannot be measured in an image, or a suggestion is asked for as well; "
                "leave measure out"
            )
        return preview.measure(_image(body.measure, archive))
    if body.suggestion is None:
        return body.values
    if body.suggestion not in preview.suggestions:
        raise InvalidParameterError(
            f"suggestion is {body.suggestion!r}, expected one of {', '.join(preview.suggestions)}; or leave it out"
        )
    return preview.suggestions[body.suggestion](body.values, body.seed)


def _as_json(drawn: LabelMap) -> dict[str, Any]:
    """Its numbers as an 8-bit grey PNG in base64, and what they mean."""
    picture = io.BytesIO()
    Image.fromarray(drawn.labels).save(picture, "PNG", compress_level=1)
    rows, columns = drawn.labels.shape
    return {
        "rows": rows,
        "columns": columns,
        "classes": {str(number): name for number, name in drawn.classes.items()},
        "png": base64.b64encode(picture.getvalue()).decode(),
    }
