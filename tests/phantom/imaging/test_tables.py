"""Baked spectra and attenuation against published values."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from mammosynth.phantom.imaging.beams import SETTINGS, Energy, imaging_system
from mammosynth.phantom.imaging.paths import MATERIALS
from mammosynth.phantom.imaging.tables import attenuation, half_value_layer_mm, spectra
from mammosynth.phantom.parameters import Vendor
from tools import bake_phantom_tables as baking

# Per cm at 20 and 35 keV: the PENELOPE tables that come with MC-GPU (github.com/DIDSR/VICTRE_MCGPU), total attenuation.
MC_GPU = {"adipose": (0.513, 0.244), "gland": (0.786, 0.313), "skin": (0.841, 0.328), "muscle": (0.865, 0.326)}


def test_tables_share_one_grid_of_whole_kiloelectronvolts():
    assert np.array_equal(attenuation()["energy_kev"], np.arange(8.5, 50))
    assert np.array_equal(spectra()["energy_kev"], np.arange(8.5, 50))
    assert set(MATERIALS) <= set(attenuation())


def test_tables_cannot_be_changed_by_mistake():
    with pytest.raises(ValueError, match="read-only"):
        attenuation()["gland"][0] = 0


@pytest.mark.parametrize("tissue", MC_GPU)
def test_attenuation_of_tissue_is_within_two_percent_of_mc_gpu(tissue):
    energies, values = attenuation()["energy_kev"], attenuation()[tissue]
    per_cm = 10 * np.exp(np.interp(np.log([20, 35]), np.log(energies), np.log(values)))
    assert per_cm == pytest.approx(MC_GPU[tissue], rel=0.02)


def test_iodine_jumps_fivefold_at_its_k_edge():
    energies, iodine = attenuation()["energy_kev"], attenuation()["iodine"]
    jump = iodine[1:] / iodine[:-1]
    assert energies[jump.argmax()] == 32.5  # the edge is at 33.17 keV, between the centres 32.5 and 33.5
    assert jump.max() == pytest.approx(5.05, rel=0.005)


@pytest.mark.parametrize("vendor", Vendor)
def test_half_value_layer_of_the_low_energy_beam_is_the_published_one(vendor):
    """Behind the paddle, 1 keV bins, coefficients at their centres; inherent filtration was fitted to this."""
    beam = imaging_system(vendor).beams[Energy.LOW]
    assert half_value_layer_mm(beam.photons) == pytest.approx(baking.published_hvl_mm(beam.settings), rel=0.005)


@pytest.mark.parametrize("vendor", Vendor)
def test_high_energy_beam_lies_mostly_above_the_k_edge_of_iodine(vendor):
    photons = imaging_system(vendor).beams[Energy.HIGH].photons
    above = photons[attenuation()["energy_kev"] > 33.17].sum() / photons.sum()
    assert 0.75 < above < 0.85
    assert half_value_layer_mm(photons) == pytest.approx(3.36, abs=0.15)  # no published value was found: as computed


def test_half_value_layer_of_one_energy_is_ln2_over_mu():
    photons = np.zeros(42)
    photons[12] = 7.0
    assert half_value_layer_mm(photons) == pytest.approx(np.log(2) / attenuation()["aluminium"][12], rel=1e-9)


@pytest.mark.parametrize("name", baking.MATERIALS)
def test_mass_fractions_sum_to_one(name):
    assert sum(baking.MATERIALS[name].fractions.values()) == pytest.approx(1, abs=2e-5)


def test_materials_are_baked_in_the_order_of_path_lengths():
    assert tuple(baking.MATERIALS)[: len(MATERIALS)] == MATERIALS


def _need_baking_libraries() -> None:
    for library in ("spekpy", "xraydb"):
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed: the baked tables were not compared with a new baking")


def test_baking_again_gives_the_same_attenuation():
    _need_baking_libraries()
    for name, values in baking.bake_attenuation().items():
        assert values == pytest.approx(attenuation()[name], rel=1e-3), name


@pytest.mark.slow
def test_baking_again_gives_the_same_spectra():
    _need_baking_libraries()
    for name, photons in baking.bake_spectra().items():
        assert photons == pytest.approx(spectra()[name], rel=2e-3, abs=1e-6 * photons.max()), name


@pytest.mark.slow
@pytest.mark.parametrize("vendor", Vendor)
def test_filtration_fitted_at_one_voltage_meets_the_published_layers_at_others(vendor):
    _need_baking_libraries()
    for kvp in (25, 28, 31):
        settings = replace(SETTINGS[vendor, Energy.LOW], kvp=kvp)
        measured = half_value_layer_mm(baking.bake_spectrum(settings))
        assert measured == pytest.approx(baking.published_hvl_mm(settings), rel=0.05)
