"""The exam of a phantom patient as an archive holds it: the views that a reader sees, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mammosynth.dicom.write import write_instance
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.phantom.clinic.case import describe_case, generate_case
from mammosynth.phantom.clinic.export import ImageKind, PhantomExam, build_images, image_name
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.terms import ImageLaterality, ViewPosition

_VIEWS = tuple((side, view) for view in ViewPosition for side in (ImageLaterality.RIGHT, ImageLaterality.LEFT))


def write_exam(
    folder: Path,
    *,
    seed: int,
    pixel_mm: float = 0.1,
    patient_id: str | None = None,
    include_recombined: bool = False,
    one_series: bool = False,
    workers: int | None = 1,
    progress: Callable[[float, str], None] | None = None,
) -> list[Path]:
    """Write R CC, L CC, R MLO and L MLO of a phantom patient, For Presentation.

    Args:
        folder: Created if absent; files of the same name are replaced.
        seed: Of the patient.
        pixel_mm: Pixel spacing; 0.1 is that of the simulated detector, 2294 x 1914 pixels.
        patient_id: `PHANTOM-<seed>` by default.
        include_recombined: Also write the contrast image of each view.
        one_series: Put all low-energy images into one series (and all recombined ones into another).
        workers: Views made at once, each in a process of its own; None: one per core; 1: in this process.
        progress: Called after each view with the finished fraction and which view it was.

    Returns:
        The files, view by view, the recombined image after its low-energy image.

    Raises:
        OutputError: If a file cannot be written.
        ValueError: If seed or pixel size are out of range.
    """
    exam = PhantomExam(CaseParameters(seed, pixel_mm=pixel_mm), patient_id or "", one_series)
    kinds = (ImageKind.LOW_ENERGY, ImageKind.RECOMBINED) if include_recombined else (ImageKind.LOW_ENERGY,)
    views = [_only(exam.parameters, side, position) for side, position in _VIEWS]
    write = partial(_write_view, folder, exam, kinds)
    for number, (view, _) in enumerate(LocalEngine(workers).run(write, views), start=1):
        if progress is not None:
            progress(number / len(views), f"{view.sides[0]} {view.views[0]}")
    return [folder / image_name(side, position, kind) for side, position in _VIEWS for kind in kinds]


def _only(parameters: CaseParameters, side: ImageLaterality, position: ViewPosition) -> CaseParameters:
    """One view of a case: the same breast, with the lesions that it has as part of the case."""
    lesions = describe_case(parameters).breasts[side].lesions
    return replace(parameters, sides=(side,), views=(position,), lesions=lesions)


def _write_view(folder: Path, exam: PhantomExam, kinds: tuple[ImageKind, ...], parameters: CaseParameters) -> None:
    with one_thread():
        (view,) = generate_case(parameters)
    for kind, dataset in zip(kinds, build_images(view, exam, kinds), strict=True):
        write_instance(dataset, folder / image_name(view.image_laterality, view.view_position, kind))
