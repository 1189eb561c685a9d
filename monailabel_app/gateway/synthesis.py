"""From a job to derived instances in the archive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mammosynth.dicom.write import derive_instance, new_uid
from mammosynth.errors import InvalidParameterError, MammoSynthError, UnsupportedImageError
from monailabel_app.app import MammoSynthApp
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.jobs import JobRequest
from monailabel_app.gateway.ohif import viewer_url
from monailabel_app.infers import BundleInferTask, Order
from monailabel_app.studies import DicomWebStudies, InstanceAddress, choose_instance


@dataclass(frozen=True)
class _Targets:
    """Where a view's image and, if asked for, its uncertainty are to lie."""

    image: InstanceAddress
    uncertainty: InstanceAddress | None


def run_job(
    app: MammoSynthApp, archive: DicomWebStudies, request: JobRequest, report: Callable[[float, str], None]
) -> dict[str, Any]:
    """Synthesize every requested view and store it in its study.

    Views that cannot be sources are named in the result; the job fails only if none could be used.

    Returns:
        series_instance_uid, sop_instance_uids, uncertainty (series_instance_uid and sop_instance_uids of the second
        series, None if it was not asked for), viewer_url, provenance (one per image), refused (messages), message.

    Raises:
        MammoSynthError: If nothing could be synthesized.
    """
    task = app.task(request.task)
    order = task.parse(request.parameters)
    report(0.02, "reading the series")
    series = archive.instances(request.series_instance_uid)
    sources = choose_instance(series, request.series_instance_uid, request.sop_instance_uid)
    misplaced = [s for s in sources if s.study_instance_uid != request.study_instance_uid]
    if misplaced:
        raise NotFoundError(
            f"series {request.series_instance_uid} is not part of study {request.study_instance_uid}; check both UIDs"
        )
    made_with = [task.bundle.name, task.bundle.weights_sha256, order.seed, order.burned_in_mark, order.parameters]
    recipe = json.dumps(made_with, sort_keys=True)
    series_uid = new_uid("series", request.series_instance_uid, recipe)
    uncertainty_uid = new_uid("uncertainty series", request.series_instance_uid, recipe)
    with_uncertainty = order.parameters.get("uncertainty") is True
    done: list[_Targets] = []
    provenance: list[dict[str, Any]] = []
    refused: list[MammoSynthError] = []
    for index, source in enumerate(sources):
        image = new_uid("instance", source.sop_instance_uid, recipe)
        uncertainty = new_uid("uncertainty instance", source.sop_instance_uid, recipe)
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
        except UnsupportedImageError as error:
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
        "viewer_url": viewer_url(request.study_instance_uid, [request.series_instance_uid, *made_series]),
        "provenance": provenance,
        "refused": [str(error) for error in refused],
        "message": f"done; {len(refused)} of {len(sources)} images could not be used" if refused else "done",
    }


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
