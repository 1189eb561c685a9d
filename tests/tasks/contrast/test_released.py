"""What the released models make of a phantom stays what it was: a move of code that changed a pixel would show here.

The numbers are means of an 8 x 6 grid of blocks, so that another processor's rounding does not matter. They change on
purpose only: write down why, and print new ones with `python -m tests.tasks.contrast.test_released`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mammosynth.bundle import default_model_zoo, load_bundle
from mammosynth.mammogram import Mammogram
from mammosynth.networks.efficientnet_lite import PACKAGE
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse
from tests.support.phantom_views import left_cc

GOLDEN = Path(__file__).with_name("released.json")
HEADS = "breast_cem_residual_heads"
BUNDLES = ("breast_cem_residual", HEADS, "breast_cem_cyclegan", "breast_cem_cyclegan_narrow")
TOLERANCE = 2e-4  # in grey values from 0 to 1; half a level of 8 bits is ten times as much


def block_means(name: str) -> list[list[float]]:
    source = Mammogram(left_cc(25, pixel_mm=1.2).low_energy, "phantom", view_position=ViewPosition.CC)
    pixels = load_bundle(default_model_zoo() / name).synthesize({"source": source}).image.pixels
    rows = np.array_split(pixels, 8, axis=0)
    return [[round(float(block.mean()), 5) for block in np.array_split(row, 6, axis=1)] for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLES)
def test_released_models_make_what_they_made(name: str) -> None:
    np.testing.assert_allclose(block_means(name), json.loads(GOLDEN.read_text())[name], atol=TOLERANCE)


@pytest.mark.slow
def test_heads_are_served_without_the_package_that_their_trunk_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)  # an import of it fails
    source = Mammogram(half_ellipse(64, 48) * np.float32(0.5), "flat", view_position=ViewPosition.CC)
    bundle = load_bundle(default_model_zoo() / HEADS)
    made = bundle.synthesize({"source": source}, parameters={"uncertainty": True})
    assert made.image.pixels.max() > 0
    assert made["uncertainty"].pixels.max() > 0


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: block_means(name) for name in BUNDLES}) + "\n")
