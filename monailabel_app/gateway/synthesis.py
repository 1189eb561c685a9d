"""From a job to derived instances in the archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import mammosynth
from mammosynth.dicom.derived_uids import derived_uid, instance_identity, series_identity, work_digest
from mammosynth.dicom.write import derive_instance
from mammosynth.errors import BundleError, InvalidParameterError, MammoSynthError
from monailabel_app.app import MammoSynthApp
from monailabel_app.errors import NotFoundError, PacsError
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.ohif import viewer_url
from monailabel_app.infers import BundleInferTask, Order
from monailabel_app.studies import DicomWebStudies, InstanceAddress, choose_instance

_OF_ALL_VIEWS = (InvalidParameterError, BundleError, PacsError)
"""Errors of the order, the model or the archive, which no other view would escape; all others are of one view."""


@dataclass(frozen=True)
class _Targets:
    """Where a view's image and, if asked for, its uncertainty are to lie."""

    image: InstanceAddress
    uncertainty: InstanceAddress | None


def run_job(
    app: MammoSynthApp, archive: DicomWebStudies, request: JobRequest, report: Callable[[float, str], None]
) -> dict[str, Any]:
    """Synthesize every requested view and store it in its study.

    Views that cannot be used, for whatever reason of their own, are named in the result, and the others are made; the
    job fails only if none could be used. What is stored stays, also if the job is cancelled.

    Returns:
        series_instance_uid, sop_instance_uids, uncertainty (series_instance_uid and sop_instance_uids of the second
        series, None if it was not asked for), viewer_url, provenance (one per image), refused (messages), message.

    Raises:
        MammoSynthError: If nothing could be synthesized.
    """
    task = app.task(request.model)
    order = task.parse(request.parameters)
    asked = request.inputs["source"]
    study_uid, series_uid_of_source = asked["study_instance_uid"], asked["series_instance_uid"]
    report(0.02, "reading the series")
    series = archive.instances(series_uid_of_source)
    sources = choose_instance(series, series_uid_of_source, asked.get("sop_instance_uid"))
    if any(source.study_instance_uid != study_uid for source in sources):
        raise NotFoundError(f"series {series_uid_of_source} is not part of study {study_uid}; check both UIDs")
    read_as = {"view_position": order.view.view_position, "image_laterality": order.view.image_laterality}
    digest_of = partial(_digest, task, order)
    of_series = digest_of(series_identity(series_uid_of_source, **read_as))
    series_uid, uncertainty_uid = (derived_uid(of_series, "series", role) for role in ("image", "uncertainty"))
    with_uncertainty = order.parameters.get("uncertainty") is True
    done: list[_Targets] = []
    provenance: list[dict[str, Any]] = []
    refused: list[MammoSynthError] = []
    for index, source in enumerate(sources):
        digest = digest_of(instance_identity(source.sop_instance_uid, **read_as))
        image, uncertainty = (derived_uid(digest, "instance", role) for role in ("image", "uncertainty"))
        targets = _Targets(
            replace(source, series_instance_uid=series_uid, sop_instance_uid=image),
            replace(source, series_instance_uid=uncertainty_uid, sop_instance_uid=uncertainty)
            if with_uncertainty
            else None,
        )

        def step(fraction: float, message: str, index: int = index, total: int = len(sources)) -> None:
            prefix = f"image {index + 1} of {total}: " if total > 1 else ""
            report(0.05 + 0.93 * (index + fraction) / total, prefix + message)

        try:
            made = _synthesize(archive, task, source, targets, order, step, several_views=len(series) > 1)
        except _OF_ALL_VIEWS:
            raise
        except MammoSynthError as error:
            refused.append(error)
            continue
        done.append(targets)
        provenance += made
    if not done:
        raise refused[0]
    made_series = [series_uid, uncertainty_uid] if with_uncertainty else [series_uid]
    return {
        "series_instance_uid": series_uid,
        "sop_instance_uids": [targets.image.sop_instance_uid for targets in done],
        "uncertainty": {
            "series_instance_uid": uncertainty_uid,
            "sop_instance_uids": [targets.uncertainty.sop_instance_uid for targets in done if targets.uncertainty],
        }
        if with_uncertainty
        else None,
        "viewer_url": viewer_url(study_uid, [series_uid_of_source, *made_series]),
        "provenance": provenance,
        "refused": [str(error) for error in refused],
        "message": f"done; {len(refused)} of {len(sources)} images could not be used" if refused else "done",
    }


def _digest(task: BundleInferTask, order: Order, source: dict[str, Any]) -> str:
    return work_digest(
        bundle=task.bundle.name,
        bundle_version=task.bundle.version,
        weights_sha256=task.bundle.weights_sha256,
        software_version=mammosynth.__version__,
        rendering="expected",
        seed=order.seed,
        burned_in_mark=order.burned_in_mark,
        parameters=order.parameters,
        inputs={"source": source},
    )


def _synthesize(
    archive: DicomWebStudies,
    task: BundleInferTask,
    source: InstanceAddress,
    targets: _Targets,
    order: Order,
    step: Callable[[float, str], None],
    *,
    several_views: bool,
) -> list[dict[str, Any]]:
    wanted = [target for target in (targets.image, targets.uncertainty) if target is not None]
    missing = [target for target in wanted if not archive.exists(target)]
    if not missing:
        step(1.0, "this image was synthesized before")
        return []
    step(0.0, "fetching the source")
    mammogram = archive.view(source, order.view)
    order = task.with_label_maps(order, mammogram, archive)
    result = task.synthesize(mammogram, order, progress=lambda f, message: step(0.2 + 0.6 * f, message))
    step(0.85, "storing the result")
    for target in missing:
        is_uncertainty = target is targets.uncertainty
        shown = result.uncertainty if is_uncertainty else result.image
        if shown is None:
            raise InvalidParameterError("parameter 'uncertainty' is true, but this model gives none; leave it out")
        archive.store(
            derive_instance(
                shown.pixels,
                result.provenance,
                mammogram,
                series_instance_uid=target.series_instance_uid,
                sop_instance_uid=target.sop_instance_uid,
                burned_in_mark=order.burned_in_mark,
                several_views=several_views,
                is_uncertainty=is_uncertainty,
            )
        )
    return [result.provenance.as_json()]
