"""Recombination: iodine as it is, and a halo as wanted."""

from functools import cache

import numpy as np
import pytest

from mammosynth.phantom.imaging.beams import Energy
from mammosynth.phantom.imaging.exposure import expose, tissue_thickness_mm
from mammosynth.phantom.imaging.paths import MATERIALS
from mammosynth.phantom.imaging.recombination import recombine
from mammosynth.phantom.parameters import ImagingParameters, Vendor

INSERTS_MG_CM2 = np.array([0, 0.25, 0.5, 1, 2, 3])
SKIN_MM = 3.0


def slab(thickness_mm, glandularity, pixel_mm=0.4):
    """(6, 200, 180): a slab with skin, air beside it, and squares of iodine of 6 mm."""
    inner = np.zeros((200, 180), np.float32)
    inner[10:-10, :-20] = 1
    iodine = np.zeros_like(inner)
    for n, value in enumerate(INSERTS_MG_CM2):
        iodine[20 + 28 * n : 35 + 28 * n, 60:75] = value
    return stack(inner * (thickness_mm - SKIN_MM), glandularity, inner * SKIN_MM, iodine)


def stack(inner_mm, glandularity, skin_mm, iodine=0.0):
    parts = {"adipose": inner_mm * (1 - glandularity), "gland": inner_mm * glandularity, "skin": skin_mm}
    parts["iodine"] = np.broadcast_to(np.float32(iodine), inner_mm.shape)
    return np.stack([parts.get(name, np.zeros_like(inner_mm)) for name in MATERIALS]).astype(np.float32)


def half_disc(pixel_mm, thickness_mm, radius_mm=90.0, glandularity=0.2):
    """(6, H, W): breast-like, rounded at its rim, and the depth of each pixel below the skin line in mm."""
    rows, columns = round(200 / pixel_mm), round(110 / pixel_mm)
    y = (np.arange(rows) + 0.5) * pixel_mm - 100
    x = (np.arange(columns) + 0.5) * pixel_mm
    depth = radius_mm - np.hypot(y[:, None], x[None])
    outside = 1 - np.clip(depth / (thickness_mm / 2), 0, 1)
    total = np.where(depth > 0, thickness_mm * np.sqrt(1 - outside**2), 0).astype(np.float32)
    skin = np.minimum(total, SKIN_MM)
    return stack(total - skin, glandularity, skin), depth


def recombined(lengths, *, halo=0.0, pixel_mm=0.4, **imaging):
    parameters = ImagingParameters(halo=halo, **imaging)
    low, high = (expose(lengths, parameters, energy=energy, pixel_mm=pixel_mm) for energy in Energy)
    thickness = tissue_thickness_mm(lengths)
    return recombine(low, high, thickness, vendor=parameters.vendor, halo=halo, pixel_mm=pixel_mm)


@cache
def inserts(vendor, thickness_mm, glandularity, halo=0.0):
    """What is read in the squares of iodine, noise included."""
    image = recombined(slab(thickness_mm, glandularity), vendor=vendor, halo=halo, seed=1)
    return np.array([image[23 + 28 * n : 32 + 28 * n, 63:72].mean() for n in range(len(INSERTS_MG_CM2))])


@pytest.mark.parametrize("thickness_mm", [30, 50, 70])
@pytest.mark.parametrize("vendor", Vendor)
def test_iodine_is_read_linearly_with_noise(vendor, thickness_mm):
    read = inserts(vendor, thickness_mm, 0.2)
    slope, offset = np.polyfit(INSERTS_MG_CM2, read, 1)
    assert slope == pytest.approx(1, abs=0.02)
    assert abs(offset) < 0.1
    assert np.corrcoef(INSERTS_MG_CM2, read)[0, 1] ** 2 > 0.999


@pytest.mark.parametrize("thickness_mm", [30, 50, 70])
@pytest.mark.parametrize("vendor", Vendor)
def test_iodine_does_not_depend_on_glandularity(vendor, thickness_mm):
    """Less than 0.3 mg/cm2 of normal tissue are left, as SenoBright HD promises (SPIE 11595, 115952B)."""
    read = np.stack([inserts(vendor, thickness_mm, g) for g in (0.0, 0.2, 0.5, 1.0)])
    assert np.abs(read - INSERTS_MG_CM2).max() < 0.15


@pytest.mark.parametrize("vendor", Vendor)
def test_noise_of_a_recombined_image_is_small(vendor):
    noise = recombined(slab(50, 0.2), vendor=vendor)[60:140, 100:150].std()
    assert 0.02 < noise < 0.15


@pytest.mark.parametrize("thickness_mm", [30, 50, 70])
@pytest.mark.parametrize("vendor", Vendor)
def test_breast_without_iodine_recombines_to_nothing(vendor, thickness_mm):
    lengths, depth = half_disc(0.4, thickness_mm)
    image = recombined(lengths, vendor=vendor, noise=False)
    assert np.abs(image[depth > 12]).max() < 0.1
    assert np.abs(image).max() < 0.1  # not even at the rim
    assert np.all(image[depth <= 0] == 0)


@pytest.mark.parametrize(
    ("material", "read_as"), [("skin", 0.55), ("muscle", -0.34), ("calcium", -2.4)], ids=lambda value: str(value)
)
def test_what_a_third_material_reads_as(material, read_as):
    """20 mm of skin as at the rim, 20 mm of muscle, 1 mm of calcium: two energies cannot tell them from iodine."""
    lengths = slab(25 if material == "skin" else 60, 0.0)
    lengths[MATERIALS.index("iodine")] = 0
    before = recombined(lengths, noise=False)[100, 60]
    added = 1.0 if material == "calcium" else 20.0
    lengths[MATERIALS.index(material), 10:-10, :-20] += added
    if material != "calcium":
        lengths[MATERIALS.index("adipose"), 10:-10, :-20] -= added
    assert recombined(lengths, noise=False)[100, 60] - before == pytest.approx(read_as, abs=0.1)


@pytest.mark.parametrize("vendor", Vendor)
def test_noise_makes_no_spikes_at_the_thin_rim(vendor):
    lengths, depth = half_disc(0.4, 50)
    image = recombined(lengths, vendor=vendor, halo=0.5, seed=2)
    assert np.abs(image[(depth > 0) & (depth < 3)]).max() < 1.5


def halo_profile(vendor, halo, thickness_mm=50):
    """Median by depth below the skin line: 0 to 3 mm, then every 2 mm."""
    lengths, depth = half_disc(0.4, thickness_mm)
    image = recombined(lengths, vendor=vendor, halo=halo, noise=False)
    edges = np.concatenate(([0], np.arange(3, 80, 2)))
    return edges[1:-1], np.array(
        [np.median(image[(depth >= a) & (depth < b)]) for a, b in zip(edges[1:-1], edges[2:], strict=True)]
    )


@pytest.mark.parametrize("vendor", Vendor)
def test_halo_is_bright_at_the_edge_and_fades_inwards(vendor):
    depth_mm, profile = halo_profile(vendor, 1.0)
    assert profile[0] > 0.4
    assert profile.argmax() == 0
    assert np.all(np.diff(profile) < 0.003)  # of the steps, the last ones are within the calibration's error
    assert np.all(np.diff(profile[depth_mm < 50]) < 0)
    assert profile[-1] < 0.15 * profile[0]


def test_halo_grows_with_its_parameter():
    at_rim = [halo_profile(Vendor.A, halo)[1][0] for halo in (0, 0.25, 0.5, 1.0)]
    assert np.all(np.diff(at_rim) > 0.1)


@pytest.mark.parametrize("vendor", Vendor)
def test_halo_leaves_iodine_readable(vendor):
    """Residual scatter dilutes contrast by some percent; the halo itself is taken off."""
    with_iodine = slab(50, 0.2)
    without = with_iodine.copy()
    without[MATERIALS.index("iodine")] = 0
    gained = recombined(with_iodine, vendor=vendor, halo=1.0) - recombined(without, vendor=vendor, halo=1.0)
    read = [gained[23 + 28 * n : 32 + 28 * n, 63:72].mean() for n in range(len(INSERTS_MG_CM2))]
    assert 0.93 < np.polyfit(INSERTS_MG_CM2, read, 1)[0] < 1.0


def test_small_images_are_recombined_like_large_ones():
    lengths, depth = half_disc(3.6, 50)
    image = recombined(lengths, pixel_mm=3.6, noise=False)
    assert np.abs(image[depth > 0]).max() < 0.1


def test_recombination_is_reproducible():
    lengths, _ = half_disc(3.6, 50)
    assert np.array_equal(*(recombined(lengths, pixel_mm=3.6, halo=0.5, seed=9) for _ in range(2)))
