"""From a job to derived instances in the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mammosynth.counts import count_of
from mammosynth.errors import MammoSynthError
from mammosynth.task import Slot, SlotKind
from monailabel_app.app import MammoSynthApp
from monailabel_app.drawings import drawn_on
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.ohif import viewer_url
from monailabel_app.inputs import archive_inputs, list_sources, parse_references
from monailabel_app.results import Report, Stored, synthesize_each
from monailabel_app.studies import DicomWebStudies, InstanceAddress


def run_job(app: MammoSynthApp, archive: DicomWebStudies, request: JobRequest, report: Report) -> dict[str, Any]:
    """Synthesize from every image that is named and store the results.

    Images that cannot be used, for whatever reason of their own, are named in the result, and the others are made; the
    job fails only if none could be used. What is stored stays, also if the job is cancelled.

    Returns:
        outputs (see `Stored.as_json`), viewer_url, provenance (one per image that was made now), remarks (on inputs
        that left images as they are: source_sop_instance_uid, role, sentence, values), refused (messages) and message.

    Raises:
        MammoSynthError: If nothing could be synthesized.
    """
    task = app.task(request.model)
    order = task.parse(request.parameters)
    references = parse_references(order.bundle.slots, request.inputs)
    report(0.02, "looking for the source")
    works = archive_inputs(archive, order, references)
    stored: list[Stored] = []
    refused: list[MammoSynthError] = []

    def step(fraction: float, message: str) -> None:
        report(0.05 + 0.93 * fraction, message)

    for outcome in synthesize_each(archive, order, works, step, synthesize=app.synthesize):
        if isinstance(outcome, MammoSynthError):
            refused.append(outcome)
        else:
            stored += outcome
    if not stored:
        raise refused[0]
    return {
        "outputs": [each.as_json() for each in stored],
        "viewer_url": _viewer_url(works[0][0], _drawn_on(archive, task.bundle.slots, references), stored),
        "provenance": _distinct([each.provenance for each in stored if each.provenance]),
        "remarks": [
            {"source_sop_instance_uid": each.source_sop_instance_uid, **remark}
            for each in stored
            for remark in each.remarks
        ],
        "refused": [str(error) for error in refused],
        "message": f"done; {len(refused)} of {count_of(len(works), 'image')} could not be used" if refused else "done",
    }


def _viewer_url(source: InstanceAddress | None, drawn: InstanceAddress | None, stored: Sequence[Stored]) -> str:
    """Of what was made: beside its source in the same study, or what it was drawn on, whichever study that lies in."""
    made = list(dict.fromkeys(each.address.series_instance_uid for each in stored if not each.is_label_map))
    study = stored[0].address.study_instance_uid
    beside = source if source is not None and source.study_instance_uid == study else drawn
    if beside is None:
        return viewer_url(study, made)
    studies = dict.fromkeys((beside.study_instance_uid, study))
    return viewer_url(",".join(studies), [beside.series_instance_uid, *made])


def _drawn_on(archive: DicomWebStudies, slots: Sequence[Slot], references: Mapping[str, Any]) -> InstanceAddress | None:
    """The acquired image that gave a drawing its breast."""
    role = next((slot.role for slot in slots if slot.complete is not None and slot.role in references), None)
    if role is None:
        return None
    return drawn_on(archive, references[role].study_instance_uid, references[role].sop_instance_uid)


def _distinct(values: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [value for index, value in enumerate(values) if value not in values[:index]]


def sources_of(app: MammoSynthApp, archive: DicomWebStudies, study: str, model: str) -> list[dict[str, Any]]:
    """Every acquired mammogram of a study, and whether a model can start from it.

    Raises:
        NotFoundError: If there is no such study or model.
    """
    slots = app.task(model).bundle.slots
    slot = next((slot for slot in slots if slot.kind is SlotKind.IMAGE), None)
    if slot is None:
        return []
    return [
        {
            "series_instance_uid": address.series_instance_uid,
            "sop_instance_uid": address.sop_instance_uid,
            "image_laterality": source.image_laterality if source else None,
            "view_position": source.view_position if source else None,
            "accepted": refusal is None,
            "reason": None if refusal is None else str(refusal),
        }
        for address, source, refusal in list_sources(archive, slot, study)
    ]
