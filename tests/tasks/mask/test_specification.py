"""Lesions that a person draws on a mammogram become a whole label map; other drawings stay as they are."""

import numpy as np
import pytest

from mammosynth.dicom.drawn import number_segments
from mammosynth.dicom.segmentation import LesionClass, Segment
from mammosynth.errors import UnsupportedImageError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.tasks.mask.classes import CLASSES, BreastClass
from mammosynth.tasks.mask.parametric.draw import label_map
from mammosynth.tasks.mask.parametric.population import median_breast
from mammosynth.tasks.mask.specification import accept_breast, complete_breast
from mammosynth.terms import ImageLaterality, ViewPosition

SHAPE = (256, 192)


@pytest.fixture(scope="module")
def image():
    labels = label_map(median_breast(), SHAPE).labels
    grey = np.where(labels == BreastClass.FIBROGLANDULAR, 0.7, np.where(labels > 0, 0.3, 0)).astype(np.float32)
    return Mammogram(grey, "1.2", ViewPosition.CC, ImageLaterality.LEFT, pixel_spacing_mm=(1.0, 1.0))


def drawn_at(rows, columns, kind=BreastClass.MALIGNANT_LESION):
    labels = np.zeros(SHAPE, np.uint8)
    labels[rows, columns] = kind
    return LabelMap(labels, "1.3", CLASSES)


def test_lesions_alone_get_the_breast_of_their_image_and_stay_as_drawn(image):
    drawn = drawn_at(slice(100, 120), slice(60, 75))
    whole = complete_breast(drawn, lambda: image)
    np.testing.assert_array_equal(whole.labels == BreastClass.MALIGNANT_LESION, drawn.labels > 0)
    breast = whole.labels > 0
    assert (breast & (image.pixels > 0)).sum() / (breast | (image.pixels > 0)).sum() > 0.97
    assert {BreastClass.ADIPOSE, BreastClass.FIBROGLANDULAR} <= set(np.unique(whole.labels))
    assert (whole.source_name, whole.view_position, whole.pixel_spacing_mm) == ("1.3", ViewPosition.CC, (1.0, 1.0))
    accept_breast(whole)


def test_a_whole_drawing_and_an_empty_one_never_look_at_the_image():
    def never():
        raise AssertionError("read")

    for drawn in (label_map(median_breast(), SHAPE), drawn_at(0, 0, BreastClass.BACKGROUND)):
        assert complete_breast(drawn, never) is drawn


def test_lesions_outside_the_breast_are_refused(image):
    with pytest.raises(UnsupportedImageError, match=r"1\.3: no lesion lies within the breast; draw one inside"):
        complete_breast(drawn_at(slice(0, 9), slice(180, 190)), lambda: image)


def test_a_lesion_of_a_class_is_of_the_table_whatever_its_label():
    mask = np.ones(SHAPE, bool)
    drawn = number_segments([Segment(1, "Lesion 1", mask, LesionClass.BENIGN)], SHAPE, "1.3", CLASSES, None)
    assert set(np.unique(drawn.labels)) == {BreastClass.BENIGN_LESION}
