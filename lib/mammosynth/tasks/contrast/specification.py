"""`SPECIFICATION`: what the house knows of the task."""

from __future__ import annotations

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_in_name, exposure_of
from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.task import Placement, Slot, SlotKind, TaskSpec

CONTRAST = "contrast"
SOURCE = "source"
LESIONS = "lesions"


def accept_low_energy(source: Mammogram) -> None:
    """Let low-energy images pass, and ordinary mammograms, which say nothing of an exposure.

    Raises:
        UnsupportedImageError: If the header, or the name where there is none, says that the image is recombined or of
            high energy.
    """
    if source.header is None:
        place, exposure = "its name", exposure_in_name(source.source_name)
    else:
        place, exposure = "Image Type or Series Description", exposure_of(source.header)
    if exposure in (Exposure.RECOMBINED, Exposure.HIGH_ENERGY):
        raise UnsupportedImageError(
            f"{source.source_name}: {place} says {exposure}, expected low energy; choose the low-energy image of the "
            "same view"
        )


def accept_lesions(drawn: LabelMap) -> None:
    """Let drawings of lesions pass.

    Raises:
        UnsupportedImageError: If nothing is drawn, or a segmentation says that a part of it is no lesion.
    """
    from mammosynth.dicom.segmentation import described_segments  # training runs where highdicom is not installed

    if not drawn.labels.any():
        raise UnsupportedImageError(f"{drawn.source_name}: nothing is drawn; draw a lesion, or leave this input out")
    for number, (label, is_lesion) in described_segments(drawn.header).items() if drawn.header else ():
        if not is_lesion:
            raise UnsupportedImageError(
                f"{drawn.source_name}: segment {number}, '{label}', is no lesion, expected lesions alone; draw them by "
                "themselves, or leave this input out"
            )


_HERE = "mammosynth.tasks.contrast"
_RENAMED = {
    "mammosynth.preprocessing.contrast.ContrastPreprocessing": f"{_HERE}.preprocessing.BreastFramePreprocessing",
    "mammosynth.preprocessing.signed_frame.SignedFramePreprocessing": (
        f"{_HERE}.signed_frame.SignedFramePreprocessing"
    ),
    "mammosynth.synthesis.contrast.ContrastSynthesizer": f"{_HERE}.synthesizer.ContrastSynthesizer",
    "mammosynth.synthesis.windowed.WindowedContrastSynthesizer": f"{_HERE}.windowed.WindowedContrastSynthesizer",
}

SPECIFICATION = TaskSpec(
    name=CONTRAST,
    title="Contrast",
    description="The recombined image of contrast-enhanced mammography, from a low-energy view.",
    slots=(
        Slot(
            role=SOURCE,
            kind=SlotKind.IMAGE,
            description="A low-energy or ordinary mammogram, CC or MLO.",
            accept=accept_low_energy,
        ),
        Slot(
            role=LESIONS,
            kind=SlotKind.LABEL_MAP,
            description="Lesions drawn on it: their expected contrast is told with its 90 % interval. The image is the "
            "same without.",
            required=False,
            changes_image=False,
            accept=accept_lesions,
            on=SOURCE,
            only_lesions=True,
        ),
    ),
    placement=Placement.ON_SOURCE,
    dataset="mammosynth.tasks.contrast.data:DATASET",
    objectives="mammosynth.tasks.contrast.objectives.registry:OBJECTIVES",
    evaluation="mammosynth.tasks.contrast.evaluation:EVALUATION",
    targets=("mammosynth.tasks.contrast",),
    renamed=_RENAMED,
)
