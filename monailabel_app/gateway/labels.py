"""Labels of MONAI Label's own clients (`save_label`): stored as DICOM SEG, like lesions drawn in our viewers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import ValidationError

from mammosynth.dicom.segmentation import LesionClass
from mammosynth.errors import InvalidParameterError
from mammosynth.files import read_labels
from monailabel_app.errors import ConflictError
from monailabel_app.gateway.audit import concerns
from monailabel_app.gateway.segmentations import (
    SegmentationDescription,
    SegmentDescription,
    author_of,
    save_segmentation,
)
from monailabel_app.gateway.uploads import uploaded_file
from monailabel_app.studies import DicomWebStudies, check_image_id

_USUAL_TAGS = ("", "final", "original")  # of MONAI Label; others are the person's own word and become the description


def create_labels(archive: Callable[[], DicomWebStudies]) -> APIRouter:
    """The route /datastore/label.

    A folder of image files takes no labels: its images have no study to which a drawing could belong.

    Args:
        archive: The archive; raises ConflictError if there is none.
    """
    router = APIRouter()

    @router.put("/datastore/label")
    def save_label(
        request: Request,
        image: str,
        label: Annotated[UploadFile, File()],
        params: Annotated[str, Form()] = "{}",
        tag: Annotated[str, Query(pattern=r"^[A-Za-z0-9_.-]{0,64}$")] = "",
    ) -> dict[str, Any]:
        """Store a label map, NRRD or NIfTI in the matrix of the image, as a segmentation of it."""
        names = _names(params)
        store = archive()
        found = store.instances(check_image_id(image))
        if len(found) != 1:
            raise ConflictError(
                f"image {image} holds {len(found)} images; use the SOP Instance UID of the one that the label is of: "
                f"{', '.join(each.sop_instance_uid for each in found)}"
            )
        concerns(request, {"study_instance_uid": found[0].study_instance_uid})
        with uploaded_file(label) as path:
            labels = read_labels(path, store.header(found[0]))
        saved = save_segmentation(
            store,
            found[0].study_instance_uid,
            SegmentationDescription(
                sop_instance_uid=found[0].sop_instance_uid,
                series_description=None if tag in _USUAL_TAGS else tag,
                segments=[_describe(int(number), names) for number in np.unique(labels) if number] or [_LESION],
            ),
            lambda _: labels,
            author=author_of(request),
        )
        return {"image": image, "label": saved["sop_instance_uid"], "segmentation": saved}

    return router


_LESION = SegmentDescription(number=1, label="Lesion 1")


def _names(params: str) -> dict[int, str]:
    """What `label_info` calls the values of the label map."""
    try:
        given = json.loads(params or "{}") or {}
        return {int(each["idx"]): str(each["name"]) for each in given.get("label_info") or ()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidParameterError(
            'params is not as expected: a JSON object whose "label_info", if it is there, is a list of '
            '{"name": "Lesion 1", "idx": 1}'
        ) from None


def _describe(number: int, names: dict[int, str]) -> SegmentDescription:
    name = names.get(number) or f"Lesion {number}"
    known = {str(each) for each in LesionClass}
    try:
        return SegmentDescription(
            number=number, label=name, lesion_class=LesionClass(name.lower()) if name.lower() in known else None
        )
    except ValidationError:
        raise InvalidParameterError(
            f"label_info names value {number} {name[:80]!r}, expected up to 64 characters without backslash"
        ) from None
