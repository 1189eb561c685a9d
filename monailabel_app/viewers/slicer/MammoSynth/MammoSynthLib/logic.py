"""Generating, from a choice to nodes in the scene; no Qt.

The work is cut in three, because only the main thread may touch the scene: `prepare` takes from the scene what is
needed, `generate` talks to the server in a thread of its own, and `show` puts the result into the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from MammoSynthLib.background import Progress, Stopped
from MammoSynthLib.client import Client, Image, ServerError
from MammoSynthLib.masks import Mask, mask_of
from MammoSynthLib.parameters import Parameters
from MammoSynthLib.volumes import Source, load_result, source_of, write_nrrd

# Of the provenance, what the header of a result says.
_IN_HEADERS = (
    "task",
    "bundle",
    "bundle_version",
    "weights_sha256",
    "software_version",
    "seed",
    "parameters",
    "created",
    "source_series_instance_uid",
)


@dataclass(frozen=True)
class Order:
    """Everything that a synthesis needs, taken from the scene.

    Attributes:
        parameters: The choices of the panel.
        source: The image.
        upload: A file of the image, to send where the archive does not have it.
        mask: Lesions, if the model takes them.
        mask_parameter: Name of the parameter that takes them.
    """

    parameters: Parameters
    source: Source
    upload: Path | None
    mask: Mask | None = None
    mask_parameter: str = ""


@dataclass(frozen=True)
class Made:
    """A synthesized image that the server sent.

    Attributes:
        file: NRRD or DICOM.
        label: What it is, as beginning of a node's name.
        provenance: How it was made.
    """

    file: Path
    label: str
    provenance: Mapping[str, Any]


def prepare(
    parameters: Parameters,
    volume: Any,
    folder: Path,
    *,
    database: Any = None,
    segmentation: Any = None,
    mask_parameter: str | None = None,
) -> Order:
    """What a synthesis needs of the scene.

    Args:
        parameters: The choices of the panel.
        volume: The source's volume node.
        folder: For a file to send, if the source has none.
        database: Slicer's DICOM database.
        segmentation: Node of the lesions.
        mask_parameter: The model's parameter for them; None if it has none.

    Raises:
        VolumeError: If the volume cannot be a source, or the segmentation is empty.
    """
    source = source_of(volume, database)
    upload = source.file
    if not source.sop_instance_uid:
        upload = folder / "source.nrrd"
        write_nrrd(volume, upload)
    mask = mask_of(segmentation, volume) if mask_parameter and segmentation is not None else None
    return Order(parameters, source, upload, mask, mask_parameter or "")


def generate(order: Order, folder: Path, progress: Progress, should_stop: Callable[[], bool]) -> list[Made]:
    """Have the server make the image, and its uncertainty if that was asked for.

    An image that the archive holds is named to the server, any other is sent. With `store_in_study` the result becomes
    a series of the study; otherwise nothing is stored but the mask, which the server reads from the study.

    Args:
        order: From `prepare`.
        folder: For the files that come back.
        progress: Told how far it is.
        should_stop: Asked now and then.

    Raises:
        ServerError: If it cannot be done, with the reason.
        Stopped: If it was cancelled.
    """
    parameters, source = order.parameters, order.source
    client = Client(parameters.address, parameters.token)
    progress(-1, "looking for the image in the archive")
    archived = client.holds(source.study_instance_uid, source.series_instance_uid, source.sop_instance_uid)
    if not archived and (parameters.store_in_study or order.mask is not None):
        _send(order, client, progress)
        archived = True
    values = {**parameters.values}
    if order.mask is not None:
        progress(-1, "storing the lesions in the study")
        values[order.mask_parameter] = _save_mask(order, client)["sop_instance_uid"]
    if should_stop():
        raise Stopped
    if parameters.store_in_study:
        return _stored(order, client, values, folder, progress, should_stop)
    progress(-1, "synthesizing")
    content, provenance = client.infer(
        parameters.model, values, source.sop_instance_uid if archived else _upload(order), should_stop
    )
    file = folder / "result.nrrd"
    file.write_bytes(content)
    return [Made(file, "SYNTHESIZED", provenance)]


def show(scene: Any, made: list[Made], source_volume: Any) -> list[Any]:
    """Volume nodes of what came back, the image first.

    Raises:
        VolumeError: If it does not lie on its source.
    """
    name = source_volume.GetName()
    return [load_result(scene, one.file, f"{one.label} {name}", one.provenance, source_volume) for one in made]


def fetch(client: Client, image: Image, folder: Path) -> tuple[Path, Source]:
    """An image of the archive: its file, and what it is. No scene: may run in the background."""
    path = client.fetch_source(image, folder)
    return path, Source(image.label, image.study_instance_uid, image.series_instance_uid, image.sop_instance_uid)


def fetch_masks(client: Client, source: Source) -> list[Mask]:
    """The lesions that the archive holds for an image, newest first. No scene: may run in the background."""
    study = source.study_instance_uid
    if not study:
        return []
    return [
        Mask(client.segmentation_mask(study, found), found["segments"], found["series_description"] or "Lesions")
        for found in client.segmentations(study)
        if found["source_sop_instance_uid"] == source.sop_instance_uid
    ]


def _send(order: Order, client: Client, progress: Progress) -> None:
    if order.source.file is None:
        raise ServerError(
            f"{order.source.name}: is no DICOM image of Slicer's database, so that it has no study to store in; import "
            "it as DICOM, or untick 'Store in the study' and leave the lesions out"
        )
    progress(-1, "sending the image to the archive")
    client.store(order.source.file)


def _upload(order: Order) -> Path:
    if order.upload is None:
        raise ServerError(f"{order.source.name}: the archive does not hold it any more; load it again")
    return order.upload


def _save_mask(order: Order, client: Client) -> dict[str, Any]:
    source, mask = order.source, order.mask
    assert mask is not None
    return client.save_segmentation(
        source.study_instance_uid, source.sop_instance_uid, mask.pixels, mask.segments, mask.name
    )


def _stored(
    order: Order,
    client: Client,
    values: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> list[Made]:
    source = order.source
    request = {
        "task": order.parameters.model,
        "study_instance_uid": source.study_instance_uid,
        "series_instance_uid": source.series_instance_uid,
        "sop_instance_uid": source.sop_instance_uid,
        "parameters": dict(values),
    }
    result = client.synthesize(request, progress, should_stop)
    progress(1.0, "loading the result")
    made = [_fetched(client, source, result, "SYNTHESIZED", result["provenance"], folder)]
    if result.get("uncertainty"):
        made.append(_fetched(client, source, result["uncertainty"], "UNCERTAINTY of", result["provenance"], folder))
    return made


def _fetched(
    client: Client, source: Source, series: Mapping[str, Any], label: str, provenance: list[Any], folder: Path
) -> Made:
    study, uid = source.study_instance_uid, series["series_instance_uid"]
    file = client.fetch_dicom(study, uid, series["sop_instance_uids"][0], folder)
    if provenance:
        return Made(file, label, provenance[0])
    # It was made before: the archive's headers know how.
    known = next((one for one in client.synthesized(study) if one["series_instance_uid"] == uid), {})
    found = {key: known[key] for key in _IN_HEADERS if known.get(key) is not None}
    return Made(file, label, {**found, "source_sop_instance_uid": source.sop_instance_uid})
