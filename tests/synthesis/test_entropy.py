"""What random numbers start from: seed and pixels, however these lie in memory."""

import numpy as np

from mammosynth.synthesis.entropy import entropy_of


def test_it_follows_from_seed_and_pixels_alone() -> None:
    pixels = np.random.default_rng(0).random((9, 7), np.float32)
    turned = np.ascontiguousarray(pixels[:, ::-1])[:, ::-1]
    assert not turned.flags.c_contiguous
    assert entropy_of(3, turned) == entropy_of(3, pixels)
    others = entropy_of(4, pixels), entropy_of(3, pixels[:, ::-1]), entropy_of(3, pixels + np.float32(1 / 255))
    assert len({entropy_of(3, pixels), *others}) == 4
