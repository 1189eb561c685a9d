"""From files to files: names, masks in black and white, DICOM of the same study."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from mammosynth.batch import FileOptions, synthesize_files
from mammosynth.journey import Order
from mammosynth.tasks.view.roles import LESIONS
from mammosynth.terms import ViewPosition
from tests.support.instances import as_file, build_instance
from tests.support.view_pairs import view_case

pytestmark = pytest.mark.slow


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def test_a_png_and_its_mask_become_view_mask_and_band_and_one_without_a_mask_a_view(bundle, tmp_path):
    case = view_case(40)
    pixels = np.rint(255 * case.views.cc.pixels).astype(np.uint8)
    first, second = (save(tmp_path / "in" / f"{name}_L_CC.png", pixels) for name in "ab")
    masks = save(tmp_path / "masks" / "a_L_CC.png", np.where(case.views.cc_lesion, 255, 0).astype(np.uint8)).parent
    order = Order.parse(bundle, {"seed": 1, "rendering": "sampled"})

    report = synthesize_files([first, second], tmp_path / "out", order, others={LESIONS: masks})

    assert [path.name for path in report.written] == [
        "a_L_CC_view.png",
        "a_L_CC_view_mask.png",
        "a_L_CC_view_band.png",
        "b_L_CC_view.png",
    ]
    assert report.refused == ()
    assert ("b_L_CC.png", "no file for lesions; made without") in report.notes
    view, mask = (np.asarray(Image.open(path)) for path in report.written[:2])
    assert view.dtype == np.uint16 or view.max() > 255
    assert view.shape[0] == mask.shape[0] == pixels.shape[0]
    assert set(np.unique(mask)) == {0, 1}


@pytest.mark.parametrize(("given", "to"), [("CC", "MLO"), ("MLO", "CC")])
def test_a_dicom_source_gets_the_other_view_in_its_study_and_segmentations_of_it(bundle, tmp_path, given, to):
    case = replace(view_case(41), to=ViewPosition(to))
    source = build_instance(
        np.rint(4095 * case.source.pixels).astype(np.uint16),
        ImageLaterality="L",
        ViewPosition=given,
        ViewCodeSequence=None,
        ImagerPixelSpacing=[0.5, 0.5],
    )
    path = tmp_path / "in" / "source.dcm"
    path.parent.mkdir()
    path.write_bytes(as_file(source).getvalue())
    mask = save(tmp_path / "mask.png", case.source_lesion.astype(np.uint8))

    report = synthesize_files(
        [path], tmp_path / "out", Order.parse(bundle, {}), others={LESIONS: mask}, options=FileOptions()
    )

    assert report.refused == ()
    image, lesion, band = (pydicom.dcmread(each) for each in report.written)
    assert (image.Modality, image.ViewPosition, image.ImageLaterality) == ("MG", to, "L")
    assert image.StudyInstanceUID == source.StudyInstanceUID
    assert image.FrameOfReferenceUID != source.FrameOfReferenceUID
    assert list(image.ImagerPixelSpacing) == [0.5, 0.5]
    assert image.SeriesDescription.startswith(f"SYNTHETIC view L {to}")
    for segmentation in (lesion, band):
        assert segmentation.Modality == "SEG"
        assert (segmentation.Rows, segmentation.Columns) == (image.Rows, image.Columns)
        referenced = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
        assert referenced.ReferencedSOPInstanceUID == image.SOPInstanceUID
    assert "malignant" in lesion.SegmentSequence[0].SegmentLabel
