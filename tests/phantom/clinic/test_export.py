"""A phantom's views as DICOM images and segmentations."""

import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.dicom.generated import is_phantom_uid
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.write import write_instance
from mammosynth.errors import UnsupportedImageError
from mammosynth.phantom.clinic.export import ImageKind, PhantomExam, build_images, image_name
from mammosynth.phantom.clinic.truth import Tissue, lesion_segmentation, tissue_map, tissue_segmentation
from mammosynth.phantom.parameters import CaseParameters, ImagingParameters, LesionKind, Vendor
from mammosynth.tasks.contrast.specification import accept_low_energy
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.phantom_views import build_view

LEFT, RIGHT = ImageLaterality.LEFT, ImageLaterality.RIGHT
CC, MLO = ViewPosition.CC, ViewPosition.MLO
EXAM = PhantomExam(CaseParameters(3, pixel_mm=3.6))
VIEW = build_view()


def images(view=VIEW, exam=EXAM) -> dict[ImageKind, Dataset]:
    return dict(zip(ImageKind, build_images(view, exam, list(ImageKind)), strict=True))


def segmentations(view=VIEW, exam=EXAM) -> list[Dataset]:
    source = images(view, exam)[ImageKind.LOW_ENERGY]
    made = [lesion_segmentation(view, exam, source), tissue_segmentation(view, exam, source)]
    return [dataset for dataset in made if dataset is not None]


def as_bytes(dataset: Dataset) -> bytes:
    content = io.BytesIO()
    dcmwrite(content, dataset, write_like_original=False)
    return content.getvalue()


@pytest.mark.parametrize("side", list(ImageLaterality))
@pytest.mark.parametrize("position", list(ViewPosition))
def test_our_reader_sees_the_low_energy_image_as_it_was_generated(side, position) -> None:
    view = build_view(side, position)
    mammogram = read_mammogram(images(view)[ImageKind.LOW_ENERGY])
    assert np.abs(mammogram.pixels - view.low_energy).max() < 1 / 4095
    assert (mammogram.image_laterality, mammogram.view_position) == (side, position)
    assert mammogram.pixel_spacing_mm == (3.6, 3.6)
    assert mammogram.warnings == ()


def test_processing_images_keep_every_value_of_the_detector() -> None:
    made = images()
    np.testing.assert_array_equal(made[ImageKind.LOW_ENERGY_PROCESSING].pixel_array, VIEW.low_energy_processing)
    np.testing.assert_array_equal(made[ImageKind.HIGH_ENERGY_PROCESSING].pixel_array, VIEW.high_energy_processing)
    shown = read_mammogram(made[ImageKind.LOW_ENERGY_PROCESSING])
    assert shown.pixels[VIEW.paths.breast_mask].mean() > shown.pixels[~VIEW.paths.breast_mask].mean() + 0.2


def test_a_calibrated_image_gives_back_iodine_and_knows_air() -> None:
    dataset = images()[ImageKind.RECOMBINED_PROCESSING]
    mapping = dataset.RealWorldValueMappingSequence[0]
    iodine = dataset.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    inside = VIEW.paths.breast_mask
    assert np.abs(iodine - VIEW.recombined_mg_cm2)[inside].max() <= 0.5 / 37 + 1e-6
    assert (dataset.pixel_array[~inside] == dataset.PixelPaddingValue).all()
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "mg/cm2"
    np.testing.assert_array_equal(read_mammogram(dataset).valid, inside)


def test_every_image_says_which_exposure_it_is_and_only_low_energy_is_a_source_of_contrast() -> None:
    found = {kind: exposure_of(dataset) for kind, dataset in images().items()}
    assert [kind for kind, exposure in found.items() if exposure is Exposure.LOW_ENERGY] == [
        ImageKind.LOW_ENERGY,
        ImageKind.LOW_ENERGY_PROCESSING,
    ]
    for kind, dataset in images().items():
        if found[kind] is Exposure.LOW_ENERGY:
            accept_low_energy(read_mammogram(dataset))
        else:
            with pytest.raises(UnsupportedImageError, match="expected low energy"):
                accept_low_energy(read_mammogram(dataset))


def test_everything_says_that_it_is_generated() -> None:
    for dataset in (*images().values(), *segmentations()):
        assert dataset[0x0008, 0x001C].value == "YES"
        assert dataset.ContentQualification == "RESEARCH"
        assert dataset.SeriesDescription.startswith("SYNTHETIC PHANTOM L CC")
        assert "SYNTHETIC PHANTOM" in dataset.StudyDescription
        assert dataset.PatientName == "PHANTOM^3"
    assert all("NOT FOR DIAGNOSIS" in dataset.ImageComments for dataset in images().values())


def test_every_uid_lies_under_the_root_of_phantoms() -> None:
    def uids(dataset: Dataset) -> set[str]:
        return {str(e.value) for e in dataset.iterall() if e.VR == "UI" and e.keyword != "ReferencedSOPClassUID"}

    for dataset in (*images().values(), *segmentations()):
        assert all(is_phantom_uid(uid) for uid in uids(dataset) - {dataset.SOPClassUID})


def test_technique_is_that_of_the_exposure() -> None:
    made = images()
    low, high = made[ImageKind.LOW_ENERGY_PROCESSING], made[ImageKind.HIGH_ENERGY_PROCESSING]
    assert (low.KVP, low.Exposure, low.ExposureInuAs) == (28, 71, 71240)
    assert (high.KVP, high.AnodeTargetMaterial, high.FilterMaterial) == (49, "RHODIUM", "COPPER")
    assert (low.FilterThicknessMinimum, low.DetectorType) == (0.025, "SCINTILLATOR")
    other = images(replace(VIEW, imaging=ImagingParameters(vendor=Vendor.B)))[ImageKind.LOW_ENERGY]
    assert (other.AnodeTargetMaterial, other.DetectorType) == ("TUNGSTEN", "DIRECT")
    assert low.BodyPartThickness == 41.3
    assert "KVP" not in made[ImageKind.RECOMBINED]
    assert [item.ReferencedSOPInstanceUID for item in made[ImageKind.RECOMBINED].SourceImageSequence] == [
        low.SOPInstanceUID,
        high.SOPInstanceUID,
    ]


@pytest.mark.parametrize("iodine", [True, False])
def test_contrast_agent_is_named_where_it_is_in_the_image(iodine: bool) -> None:
    made = images(replace(VIEW, imaging=ImagingParameters(iodine_in_low_energy=iodine)))
    assert ("ContrastBolusAgent" in made[ImageKind.LOW_ENERGY]) == iodine
    assert "ContrastBolusAgent" in made[ImageKind.HIGH_ENERGY_PROCESSING]
    assert len(made[ImageKind.RECOMBINED].SourceImageSequence) == 1 + iodine


@pytest.mark.parametrize(("side", "direction"), [(RIGHT, "P"), (LEFT, "A")])
def test_chest_wall_and_patient_orientation_agree(side: ImageLaterality, direction: str) -> None:
    dataset = images(build_view(side))[ImageKind.LOW_ENERGY]
    assert dataset.PatientOrientation[0] == direction
    assert (dataset.pixel_array[:, -1 if side is RIGHT else 0] > 0).mean() > 0.5


def test_the_same_parameters_give_the_same_bytes_and_anything_else_other_uids() -> None:
    assert [as_bytes(d) for d in (*images().values(), *segmentations())] == [
        as_bytes(d) for d in (*images().values(), *segmentations())
    ]
    known = {dataset.SOPInstanceUID for dataset in images().values()}
    others = [
        (VIEW, PhantomExam(CaseParameters(4, pixel_mm=3.6))),
        (VIEW, PhantomExam(CaseParameters(3, pixel_mm=3.7))),
        (VIEW, PhantomExam(EXAM.parameters, patient_id="P")),
        (VIEW, PhantomExam(EXAM.parameters, one_series=True)),
        (build_view(RIGHT), EXAM),
        (build_view(LEFT, MLO), EXAM),
        (replace(VIEW, imaging=replace(VIEW.imaging, dose=2)), EXAM),
    ]
    for view, exam in others:
        assert known.isdisjoint(dataset.SOPInstanceUID for dataset in images(view, exam).values())


def test_views_have_series_of_their_own_or_share_one() -> None:
    views = [build_view(side, position) for side in ImageLaterality for position in ViewPosition]
    apart = [images(view)[ImageKind.LOW_ENERGY] for view in views]
    assert len({dataset.SeriesInstanceUID for dataset in apart}) == 4
    assert len({dataset.StudyInstanceUID for dataset in apart}) == 1
    shared = PhantomExam(EXAM.parameters, one_series=True)
    together = [images(view, shared) for view in views]
    assert len({made[ImageKind.LOW_ENERGY].SeriesInstanceUID for made in together}) == 1
    assert sorted(made[ImageKind.LOW_ENERGY].InstanceNumber for made in together) == [1, 2, 3, 4]
    assert together[0][ImageKind.LOW_ENERGY].SeriesDescription == "SYNTHETIC PHANTOM all views low energy"
    assert len({made[kind].SeriesInstanceUID for made in together for kind in ImageKind}) == 5


def test_lesions_are_segments_on_their_low_energy_image_with_one_identity_in_both_views() -> None:
    cc, mlo = (segmentations(build_view(LEFT, position))[0] for position in (CC, MLO))
    source = images()[ImageKind.LOW_ENERGY]
    np.testing.assert_array_equal(cc.pixel_array.squeeze() > 0, VIEW.lesion_masks[0])
    assert (
        cc.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    )
    assert cc.SegmentSequence[0].SegmentLabel == f"Lesion 1: {LesionKind.SPICULATED}"
    assert cc.SegmentSequence[0].TrackingUID == mlo.SegmentSequence[0].TrackingUID
    assert cc.SOPInstanceUID != mlo.SOPInstanceUID


def test_a_view_without_lesions_has_no_lesion_segmentation() -> None:
    view = build_view(lesion=False)
    assert lesion_segmentation(view, EXAM, images(view)[ImageKind.LOW_ENERGY]) is None


def test_the_longest_tissue_wins_and_any_calcification_before_it() -> None:
    labels = tissue_map(build_view(LEFT, MLO).paths)
    assert labels[0, 0] == labels[10, 15] == 0
    assert labels[5, 1] == Tissue.MUSCLE
    assert labels[18, 1] == Tissue.FAT
    assert labels[10, 11] == Tissue.SKIN
    assert labels[12, 7] == Tissue.GLAND
    assert labels[15, 6] == Tissue.CALCIFICATION


def test_tissue_segments_are_the_tissue_map() -> None:
    dataset = segmentations()[1]
    labels = tissue_map(VIEW.paths)
    assert len(dataset.SegmentSequence) == len(np.unique(labels)) - 1
    for segment, frame in zip(dataset.SegmentSequence, dataset.pixel_array, strict=True):
        np.testing.assert_array_equal(frame > 0, labels == int(segment.TrackingID.split()[-1]))


def test_names_of_files_tell_view_and_kind() -> None:
    assert image_name(LEFT, CC, ImageKind.LOW_ENERGY) == "L-CC-low-energy.dcm"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed: apt-get install dicom3tools")
@pytest.mark.parametrize("side", list(ImageLaterality))
def test_dciodvfy_finds_no_error(side: ImageLaterality, tmp_path: Path) -> None:
    view = build_view(side, MLO if side is LEFT else CC)
    for number, dataset in enumerate((*images(view).values(), *segmentations(view))):
        path = tmp_path / f"{number}.dcm"
        write_instance(dataset, path)
        assert dcmread(path).SOPInstanceUID == dataset.SOPInstanceUID
        checked = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
        lines = (checked.stdout + checked.stderr).splitlines()
        assert {"MammographyImageForPresentation", "MammographyImageForProcessing", "Segmentation"} & set(lines)
        errors = [line for line in lines if line.startswith("Error")]
        # Synthetic Data (0008,001C) is younger than the tool's dictionary; nothing else may be wrong.
        assert [e for e in errors if not re.search(r"0008,001c.*not a recognized standard attribute", e)] == []
