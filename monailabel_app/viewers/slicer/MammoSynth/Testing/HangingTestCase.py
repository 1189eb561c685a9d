import unittest

import numpy as np
import slicer
from scenes import Scene, breast

from MammoSynthLib.hanging import hang


class HangingTestCase(unittest.TestCase):
    def setUp(self):
        self.scene = Scene(views=True)
        self.source, self.result = self.scene.volume(breast()), self.scene.volume(65535 - breast(), "SYNTHESIZED R CC")
        for volume in (self.source, self.result):
            volume.GetDisplayNode().SetAutoWindowLevel(False)
            volume.GetDisplayNode().SetWindowLevelMinMax(0, 65535)
        hang(self.scene.application, self.source, self.result)

    def test_source_is_left_and_result_right_in_the_layout_of_two_views(self):
        layout = self.scene.mrml.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self.assertEqual(layout.GetViewArrangement(), slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
        shown = [logic.GetSliceCompositeNode().GetBackgroundVolumeID() for logic in self.scene.slices]
        self.assertEqual(shown, [self.source.GetID(), self.result.GetID()])

    def test_both_are_seen_as_stored_first_column_left_and_first_row_on_top(self):
        left, right = self.scene.seen(0).astype(int), self.scene.seen(1).astype(int)
        inside = left > 0
        rows, columns = np.nonzero(inside)
        middle_row, middle = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
        along_row, along_column = (
            left[middle_row, columns.min() + 1 : columns.max()],
            left[rows.min() + 1 : rows.max(), middle],
        )
        self.assertTrue((np.diff(along_row) >= 0).all())
        self.assertTrue((np.diff(along_column) >= 0).all())
        self.assertGreater(along_row[-1], along_row[0])
        self.assertLessEqual(
            np.abs(left + right - 255)[rows.min() + 1 : rows.max(), columns.min() + 1 : columns.max()].max(), 2
        )

    def test_zooming_one_view_zooms_the_other(self):
        left, right = (logic.GetSliceNode() for logic in self.scene.slices)
        flags = slicer.vtkMRMLSliceNode.FieldOfViewFlag | slicer.vtkMRMLSliceNode.XYZOriginFlag
        self.scene.slices[0].StartSliceNodeInteraction(flags)
        left.SetFieldOfView(6.0, 4.0, 1.0)
        self.scene.slices[0].EndSliceNodeInteraction()
        self.assertAlmostEqual(right.GetFieldOfView()[0], 6.0, places=6)

    def test_views_of_two_geometries_are_not_linked(self):
        hang(self.scene.application, self.source, self.result, linked=False)
        flags = [logic.GetSliceCompositeNode().GetLinkedControl() for logic in self.scene.slices]
        self.assertEqual(flags, [0, 0])


if __name__ == "__main__":
    unittest.main()
