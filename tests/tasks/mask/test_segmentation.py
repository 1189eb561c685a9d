"""How networks learn where lesions are."""

import math

import pytest
import torch

from mammosynth.tasks.mask.segmentation import changed, dice, dice_of_each, lesion_loss


def test_change_turns_image_and_mask_alike_and_no_change_is_none():
    image, lesion = torch.full((1, 1, 16, 16), -1.0), torch.zeros(1, 1, 16, 16)
    image[..., 4:8, 9:12], lesion[..., 4:8, 9:12] = 0.0, 1.0
    same = changed(image, lesion, torch.zeros(5, 1))
    assert torch.allclose(same[0], image, atol=1e-5)
    assert torch.allclose(same[1], lesion, atol=1e-5)
    turned, mask = changed(image, lesion, torch.tensor([[1.0], [-0.5], [0.3], [1.0], [0.0]]))
    assert torch.allclose(turned, mask - 1, atol=1e-5)
    assert not torch.allclose(mask, lesion, atol=0.1)


def test_lesion_loss_of_undecided_logits():
    lesion = torch.zeros(1, 1, 2, 2)
    lesion[..., 0, 0] = 1
    # cross-entropy log 2; shares one half: (2 * 0.5 + 1) / (2 + 1 + 1)
    assert lesion_loss(torch.zeros(1, 1, 2, 2), lesion).item() == pytest.approx(math.log(2) + 1 - 0.5)


def test_dice_leaves_out_cases_where_nothing_is_and_counts_missed_lesions():
    first, second = torch.zeros(3, 1, 2, 2, dtype=torch.bool), torch.zeros(3, 1, 2, 2, dtype=torch.bool)
    first[0, 0, 0], second[0, 0, :, 0] = True, True  # 2 pixels each, 1 in common
    first[1, 0, 0, 0] = True
    assert dice(first, second) == pytest.approx((0.5 + 0) / 2)
    assert dice(second[2:], second[2:]) == 0
    assert dice_of_each(first, second).tolist() == pytest.approx([0.5, 0, math.nan], nan_ok=True)
