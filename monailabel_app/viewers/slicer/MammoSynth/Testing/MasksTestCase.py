import unittest

import numpy as np
import slicer
from scenes import Scene, breast

from MammoSynthLib.masks import LESION_CLASSES, Mask, class_of, load_mask, mask_of, set_class
from MammoSynthLib.volumes import VolumeError

_FIRST, _SECOND = np.s_[3:9, 4:7], np.s_[20:22, 10:28]


def _drawn(*places) -> list[np.ndarray]:
    masks = [np.zeros((40, 30), np.uint8) for _ in places]
    for mask, place in zip(masks, places):
        mask[place] = 1
    return masks


class MasksTestCase(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.volume = self.scene.volume(breast())

    def test_segments_become_numbers_at_their_pixels(self):
        mask = mask_of(self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND)), self.volume)
        expected = np.zeros((40, 30), np.uint8)
        expected[_FIRST], expected[_SECOND] = 1, 2
        self.assertEqual(mask.pixels.dtype, np.uint8)
        self.assertTrue((mask.pixels == expected).all())
        self.assertEqual([one["label"] for one in mask.segments], ["Lesion 1", "Lesion 2"])

    def test_where_segments_overlap_the_later_one_wins(self):
        mask = mask_of(self.scene.segmentation(self.volume, *_drawn(np.s_[0:10, 0:10], np.s_[5:15, 5:15])), self.volume)
        self.assertEqual([mask.pixels[2, 2], mask.pixels[7, 7], mask.pixels[12, 12]], [1, 2, 2])

    def test_a_coarser_segmentation_is_sent_at_the_resolution_of_the_image(self):
        coarse = self.scene.volume(breast(20, 15), spacing_mm=1.0)
        block = np.zeros((20, 15), np.uint8)
        block[5:10, 3:6] = 1
        mask = mask_of(self.scene.segmentation(coarse, block), self.volume)
        self.assertEqual(mask.pixels.shape, (40, 30))
        self.assertAlmostEqual(int(mask.pixels.sum()), 4 * 15, delta=2 * (10 + 6))  # within a border of one pixel

    def test_classes_of_lesions_are_kept_on_their_segments(self):
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND))
        set_class(node.GetSegmentation().GetNthSegment(0), "malignant")
        classes = [one["lesion_class"] for one in mask_of(node, self.volume).segments]
        self.assertEqual(classes, ["malignant", None])
        set_class(node.GetSegmentation().GetNthSegment(0), None)
        self.assertIsNone(class_of(node.GetSegmentation().GetNthSegment(0), LESION_CLASSES))

    def test_a_segment_of_no_class_that_the_model_knows_is_refused_in_words(self):
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND))
        set_class(node.GetSegmentation().GetNthSegment(0), "benign")
        with self.assertRaisesRegex(VolumeError, "'Lesion 2' has no class, expected malignant or benign; choose it"):
            mask_of(node, self.volume, {1: "malignant", 2: "benign"})

    def test_other_classes_than_lesions_are_sent_as_names_and_may_be_names(self):
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND))
        set_class(node.GetSegmentation().GetNthSegment(0), "pectoral muscle")
        node.GetSegmentation().GetNthSegment(1).SetName("Fat")
        mask = mask_of(node, self.volume, {3: "fat", 7: "pectoral muscle"})
        self.assertEqual(
            [(one["label"], one["lesion_class"]) for one in mask.segments], [("pectoral muscle", None), ("fat", None)]
        )
        labels = mask.numbered({3: "fat", 7: "pectoral muscle"})
        self.assertEqual([labels[4, 5], labels[20, 11], labels[0, 0]], [7, 3, 0])

    def test_parts_of_the_breast_are_no_lesions_and_a_lesion_of_the_table_keeps_its_name(self):
        classes = {1: "adipose", 7: "malignant lesion", 8: "calcification"}
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND, np.s_[30:34, 20:24]))
        for index, name in enumerate(classes.values()):
            set_class(node.GetSegmentation().GetNthSegment(index), name)
        mask = mask_of(node, self.volume, classes, ("malignant lesion", "calcification"))
        described = [(one["label"], one["lesion_class"], one["is_lesion"]) for one in mask.segments]
        self.assertEqual(
            described,
            [("adipose", None, False), ("Lesion 2", "malignant", True), ("calcification", None, True)],
        )
        self.assertEqual(set(np.unique(mask.numbered(classes))), {0, 1, 7, 8})
        again = mask_of(load_mask(self.scene.mrml, mask, self.volume), self.volume, classes, ("malignant lesion",))
        self.assertEqual([one["lesion_class"] for one in again.segments], [None, "malignant", None])

    def test_an_empty_segment_is_not_sent_and_leaves_no_gap(self):
        node = self.scene.segmentation(self.volume, *_drawn(np.s_[0:0, 0:0], _FIRST))
        mask = mask_of(node, self.volume)
        self.assertEqual([(one["number"], one["label"]) for one in mask.segments], [(1, "Lesion 2")])
        self.assertEqual(set(np.unique(mask.pixels)), {0, 1})

    def test_an_empty_segmentation_is_refused_in_words(self):
        with self.assertRaisesRegex(VolumeError, "Lesions: nothing is drawn on R CC; paint something first"):
            mask_of(self.scene.segmentation(self.volume), self.volume)

    def test_a_mask_that_comes_back_has_the_same_pixels_names_and_classes(self):
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST, _SECOND))
        set_class(node.GetSegmentation().GetNthSegment(1), "benign")
        sent = mask_of(node, self.volume)
        again = mask_of(
            load_mask(self.scene.mrml, Mask(sent.pixels, sent.segments, "Lesions"), self.volume), self.volume
        )
        self.assertTrue((again.pixels == sent.pixels).all())
        self.assertEqual(again.segments, sent.segments)

    def test_a_segment_of_which_nothing_is_seen_does_not_give_its_class_to_the_next(self):
        pixels = np.zeros((40, 30), np.uint8)
        pixels[_FIRST], pixels[_SECOND] = 2, 4  # 1 is covered by 2, and 3 is empty
        classes = ["malignant", "benign", "malignant", None]
        segments = [
            {"number": number, "label": f"Lesion {number}", "lesion_class": one}
            for number, one in enumerate(classes, start=1)
        ]
        again = mask_of(load_mask(self.scene.mrml, Mask(pixels, segments, "Lesions"), self.volume), self.volume)
        self.assertEqual(
            [(one["label"], one["lesion_class"]) for one in again.segments],
            [("Lesion 2", "benign"), ("Lesion 4", None)],
        )

    def test_nothing_is_left_in_the_scene_but_the_segmentation(self):
        node = self.scene.segmentation(self.volume, *_drawn(_FIRST))
        mask_of(node, self.volume)  # the first makes the subject hierarchy, which the application has from the start
        count = self.scene.mrml.GetNumberOfNodes()
        mask_of(node, self.volume)
        self.assertEqual(self.scene.mrml.GetNumberOfNodes(), count)
        self.assertEqual(slicer.util.arrayFromVolume(self.volume)[0].tolist(), breast().tolist())


if __name__ == "__main__":
    unittest.main()
