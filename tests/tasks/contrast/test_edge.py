"""The synthesized image has the source's own edge, smooth grey values along it, and a network that never knew."""

import numpy as np
import pytest
import torch
from torch import nn

from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.breast import erode
from mammosynth.tasks.contrast import preprocessing as contrast_preprocessing
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.signed_frame import SignedFramePreprocessing
from mammosynth.tasks.contrast.synthesizer import ContrastParameters, ContrastSynthesizer
from mammosynth.tasks.contrast.windowed import WindowedContrastParameters, WindowedContrastSynthesizer
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image
from tests.support.skin_line import SkinLine, measure_skin

SHAPE, FRAME = (1200, 900), (256, 192)
DISTANCE = BreastFramePreprocessing.CHANNELS.index("skin_distance")
UNTAUGHT_PX = 2
"""Of the frame, under the rim of the mask: no loss is counted there."""
SUMS = [18041.743, -2492.879, 28956.82, 11310.913, 24576.0, 0.0, 31208.0, 49152.0]
"""Of each channel that a network sees of `breast_image(512, 400)`. Released weights depend on them."""


def soft_breast() -> np.ndarray:
    """A breast whose skin fades into air over three pixels."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    height, width = SHAPE
    radius = np.hypot((y - height / 2) / (0.45 * height), x / (0.7 * width))
    inside = np.clip((1 - radius) * 0.55 * height / 3, 0, 1)
    return (0.5 * inside).astype(np.float32)


def untaught(distance: torch.Tensor, value: float) -> torch.Tensor:
    """A value that changes with depth, and anything near the rim and in air."""
    noise = torch.rand(distance.shape, generator=torch.Generator().manual_seed(0))
    near = distance * 100 / 512 * FRAME[0] <= UNTAUGHT_PX
    return torch.where(near, noise, value + 0.1 * distance)


class Fields(nn.Module):
    """Offset that is anything near the rim, and a gain."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = x[:, DISTANCE : DISTANCE + 1]
        return torch.cat([untaught(distance, 0.3), torch.full_like(distance, 0.4)], dim=1)


class Image(nn.Module):
    """Grey in the breast, black in air, with a rim between them as wide as the frame's pixels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.6 * nn.functional.avg_pool2d(x, 3, stride=1, padding=1)


def line_of(image: np.ndarray, level: float) -> SkinLine:
    breast = soft_breast() > 0.25
    return measure_skin(image, breast, level=level, reach_px=30, band_px=(4, 12), smooth_px=12)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["fields", "image"])
def test_the_outline_is_that_of_the_source_and_nothing_ripples_along_it(kind: str) -> None:
    source = Mammogram(soft_breast(), "IM1.dcm", view_position=ViewPosition.CC)
    if kind == "fields":
        made = ContrastSynthesizer(BreastFramePreprocessing(FRAME), Fields().eval())
        image = made({"source": source}, ContrastParameters())[0].value.pixels
    else:
        windowed = WindowedContrastSynthesizer(SignedFramePreprocessing(FRAME), Image().eval())
        image = windowed({"source": source}, WindowedContrastParameters())[0].value.pixels
    of_source, of_image = line_of(source.pixels, 0.15), line_of(image, 0.5)
    assert np.abs(of_image.edge_px - of_source.edge_px).mean() < 0.5
    assert of_image.roughness_px < of_source.roughness_px + 0.1
    assert of_image.ripple < of_source.ripple + 0.01


def test_deep_in_the_breast_the_image_is_the_fields_on_the_source() -> None:
    pixels = soft_breast()
    source = Mammogram(pixels, "IM1.dcm", view_position=ViewPosition.CC)
    made = ContrastSynthesizer(BreastFramePreprocessing(FRAME), Fields().eval())
    prepared = made.preprocessing.prepare(source)
    offset, gain = made.generate(prepared)[0]
    image = made({"source": source}, ContrastParameters())[0].value.pixels
    expected = prepared.frame.restore(offset) + prepared.frame.restore(gain) * pixels
    deep = prepared.frame.restore(erode(prepared.breast_mask, 10).astype(np.float32)) > 0.99
    np.testing.assert_allclose(image[deep], expected[deep], atol=1e-5)
    assert deep.mean() > 0.2


def test_the_network_never_sees_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the edge is of the result, not of the network's input")

    monkeypatch.setattr(contrast_preprocessing, "find_edge", refuse)
    preprocessing = BreastFramePreprocessing(FRAME)
    prepared = preprocessing.prepare(Mammogram(breast_image(512, 400), "IM1.dcm", view_position=ViewPosition.MLO))
    channels = preprocessing.channels(prepared.low_energy, prepared.breast_mask, prepared.view_position)
    np.testing.assert_allclose(channels.sum(axis=(1, 2), dtype=float), SUMS, atol=0.01)
    with pytest.raises(AssertionError, match="of the result"):
        preprocessing.restore(prepared, prepared.low_energy)


@pytest.mark.parametrize("mirrored", [False, True])
def test_fat_at_the_chest_wall_as_dark_as_air_is_synthesized_too(mirrored: bool) -> None:
    pixels = breast_image(256, 200)
    pixels[100:130, :20] = 0
    source = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    edge = BreastFramePreprocessing(FRAME).prepare(Mammogram(source, "IM1.dcm", ViewPosition.CC)).source_edge
    assert ((edge[:, ::-1] if mirrored else edge)[100:130, :20] == 1).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_network_sees_breast_where_a_window_cut_fat_to_black_beside_padding(mirrored: bool) -> None:
    pixels = np.pad(0.2 * breast_image(256, 160), ((0, 0), (40, 0)))
    whole = pixels > 0
    pixels[60:90, 40:60] = 0
    pixels[130:150, 40:70] = 0
    shown = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
    made = ContrastSynthesizer(BreastFramePreprocessing(FRAME), Fields().eval())
    source = Mammogram(shown, "IM1.dcm", ViewPosition.CC)
    found = made.preprocessing.prepare(source).source_breast_mask
    image = made({"source": source}, ContrastParameters())[0].value.pixels
    found, image = (each[:, ::-1] if mirrored else each for each in (found, image))
    assert (found & whole).sum() > 0.99 * whole.sum()
    for bite in (np.s_[62:88, 42:58], np.s_[132:148, 42:68]):
        assert image[bite].min() > 0.25  # the offset; black before
    assert not image[:, :39].any()
