"""Bake the phantom's tables of attenuation and spectra.

    pip install -e ".[phantom-tables]"
    python tools/bake_phantom_tables.py           # writes lib/mammosynth/phantom/imaging/data/*.csv
    python tools/bake_phantom_tables.py --fit     # prints the aluminium that meets the published half-value layers

Spectra come from SpekPy (physics model "kqp") in steps of 0.1 keV, are filtered there and then summed into bins of
1 keV; attenuation is that of xraydb (Elam tables, coherent scattering included) at the centre of the bins.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mammosynth.phantom.imaging.beams import SETTINGS, BeamSettings, Energy
from mammosynth.phantom.imaging.tables import half_value_layer_mm
from mammosynth.phantom.parameters import Vendor

FOLDER = Path(__file__).parents[1] / "lib" / "mammosynth" / "phantom" / "imaging" / "data"
ENERGIES_KEV = np.arange(8.5, 50)  # centres of the bins
STEP_KEV = 0.1  # in which spectra are computed and filtered
ANODE_ANGLE_DEG = 20.0  # to the central ray; assumed
DISTANCE_CM = 65.0  # focus to where photons are counted
AIR_MM = 600.0  # of the path that is not tube, paddle or breast; assumed
PADDLE_MM = 2.5  # PMMA, assumed; published half-value layers are measured behind the paddle


@dataclass(frozen=True)
class Material:
    """Elements by mass fraction, density in g/cm3, and where they come from."""

    fractions: Mapping[str, float]
    density: float
    source: str


_HAMMERSTEIN = (
    "Hammerstein et al. (1979), Radiology 130:485, by way of public code that cites it (the paper was not at hand)"
)
MATERIALS = {  # in the order of `phantom.imaging.paths.MATERIALS`, then what the beam meets besides the breast
    "adipose": Material(
        {"H": 0.112, "C": 0.619, "N": 0.017, "O": 0.251, "P": 0.001}, 0.93, f"{_HAMMERSTEIN}; found twice, alike"
    ),
    "gland": Material(
        {"H": 0.102, "C": 0.184, "N": 0.032, "O": 0.677, "P": 0.005}, 1.04, f"{_HAMMERSTEIN}; ash as phosphorus"
    ),
    "skin": Material(
        {"H": 0.098, "C": 0.178, "N": 0.050, "O": 0.667, "P": 0.007},
        1.09,
        "as Hammerstein et al. (1979) is remembered: no text with it was found; attenuation agrees with MC-GPU's skin",
    ),
    "muscle": Material(
        {
            **{"H": 0.102, "C": 0.143, "N": 0.034, "O": 0.710, "Na": 0.001},
            **{"P": 0.002, "S": 0.003, "Cl": 0.001, "K": 0.004},
        },
        1.05,
        "Muscle, Skeletal (ICRU-44) of NIST XrayMassCoef table 2, found in three public copies of it",
    ),
    "calcium": Material(
        {"H": 0.00201, "O": 0.41406, "P": 0.18499, "Ca": 0.39894},
        2.0,
        "hydroxyapatite, Ca5(PO4)3OH; density assumed (3.16 if it were solid crystal)",
    ),
    "iodine": Material({"I": 1.0}, 0.01, "per mg/cm2: 0.01 g/cm3 over 1 mm is 1 mg/cm2"),
    "pmma": Material(
        {"H": 0.080541, "C": 0.599846, "O": 0.319613}, 1.19, "Polymethyl Methacrylate of NIST XrayMassCoef table 2"
    ),
    "aluminium": Material({"Al": 1.0}, 2.699, "density of NIST XrayMassCoef table 1"),
    "caesium_iodide": Material(
        {"Cs": 0.51155, "I": 0.48845}, 3.6, "density assumed: needles fill four fifths of 4.51 g/cm3"
    ),
    "selenium": Material({"Se": 1.0}, 4.27, "amorphous; density assumed"),
}

# European guidelines for quality assurance in breast cancer screening, 4th edition: typical half-value layers in mm Al
# with the compression plate in the beam, +-.02 (Rh/Rh) and +-.03 (W/Rh); read in the Konica Minolta CS-3 manual, form
# MP-3 (page 162), which reprints them.
PUBLISHED_HVL_MM = {("Rh", "Rh"): {25: 0.38, 28: 0.43, 31: 0.48}, ("W", "Rh"): {25: 0.52, 28: 0.54, 31: 0.56}}


def published_hvl_mm(settings: BeamSettings) -> float:
    """Between the tabulated voltages, linearly."""
    row = PUBLISHED_HVL_MM[settings.anode, settings.filter_material]
    return float(np.interp(settings.kvp, list(row), list(row.values())))


def attenuation_per_mm(material: Material, energies_kev: np.ndarray) -> np.ndarray:
    """Of a mixture, at each energy."""
    import xraydb

    per_gram = sum(f * xraydb.mu_elam(element, 1e3 * energies_kev) for element, f in material.fractions.items())
    return np.asarray(per_gram * material.density / 10)


def bake_attenuation() -> dict[str, np.ndarray]:
    """The columns of attenuation.csv."""
    import spekpy

    air = spekpy.Spek(kvp=50).muen_air_data.get_muen_over_rho_air(ENERGIES_KEV)
    columns = {name: attenuation_per_mm(material, ENERGIES_KEV) for name, material in MATERIALS.items()}
    return {"energy_kev": ENERGIES_KEV, **columns, "air_absorption": np.asarray(air)}


@cache
def _tube_spectrum(settings: BeamSettings) -> tuple[np.ndarray, np.ndarray]:
    """Energies in keV and photons per cm2, mAs and keV behind window, filter and air."""
    import spekpy

    tube = spekpy.Spek(
        kvp=settings.kvp, targ=settings.anode, th=ANODE_ANGLE_DEG, dk=STEP_KEV, physics="kqp", z=DISTANCE_CM
    )
    tube.multi_filter([("Be", settings.window_mm), (settings.filter_material, settings.filter_mm), ("Air", AIR_MM)])
    energies, photons = tube.get_spectrum()
    return energies, photons


def bake_spectrum(settings: BeamSettings) -> np.ndarray:
    """(42,) photons per mm2, mAs and keV behind filters, air and paddle."""
    energies, per_cm2_kev = _tube_spectrum(replace(settings, aluminium_mm=0.0))
    aluminium = attenuation_per_mm(MATERIALS["aluminium"], energies) * settings.aluminium_mm
    paddle = attenuation_per_mm(MATERIALS["pmma"], energies) * PADDLE_MM
    edges = np.append(ENERGIES_KEV - 0.5, ENERGIES_KEV[-1] + 0.5)
    weights = per_cm2_kev * np.exp(-aluminium - paddle) * STEP_KEV / 100
    return np.histogram(energies, edges, weights=weights)[0]


def fit_aluminium_mm(settings: BeamSettings) -> float:
    """Inherent filtration that meets the published half-value layer, to 0.001 mm; by bisection."""
    low, high = 0.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        soft = half_value_layer_mm(bake_spectrum(replace(settings, aluminium_mm=middle))) < published_hvl_mm(settings)
        low, high = (middle, high) if soft else (low, middle)
    return round(low, 3)


def bake_spectra() -> dict[str, np.ndarray]:
    """The columns of spectra.csv."""
    return {"energy_kev": ENERGIES_KEV, **{settings.name: bake_spectrum(settings) for settings in SETTINGS.values()}}


def _write(name: str, columns: Mapping[str, np.ndarray], comments: list[str]) -> None:
    versions = f"SpekPy {version('spekpy')}, xraydb {version('xraydb')}"
    header = [*comments, f"Written by tools/bake_phantom_tables.py with {versions}; do not edit."]
    rows = [",".join(columns)] + [",".join(f"{v:.6g}" for v in row) for row in zip(*columns.values(), strict=True)]
    (FOLDER / name).write_text("\n".join([f"# {line}" for line in header] + rows) + "\n", encoding="utf-8")


def write_tables() -> None:
    """Write both tables into the package."""
    FOLDER.mkdir(exist_ok=True)
    sources = [f"{name}: {m.density:g} g/cm3; {m.source}" for name, m in MATERIALS.items()]
    units = "Linear attenuation per mm (iodine: per mg/cm2), coherent scattering included, at the centre of 1 keV bins."
    air = "air_absorption: mass energy-absorption coefficient of dry air, cm2/g, from SpekPy."
    _write("attenuation.csv", bake_attenuation(), [units, *sources, air])
    unit = "Photons per mm2, mAs and keV at 65 cm, in 1 keV bins around their centres, without breast."
    path = f"Behind window, filter, fitted aluminium, {AIR_MM:g} mm of air and {PADDLE_MM:g} mm of PMMA (paddle)."
    beams = [f"{s.name}: {s}" for s in SETTINGS.values()]
    _write("spectra.csv", bake_spectra(), [unit, path, *beams])


def _report_fit() -> None:
    for vendor in Vendor:
        settings = SETTINGS[vendor, Energy.LOW]
        print(vendor, settings.name, f"published {published_hvl_mm(settings):.3f} mm Al:", fit_aluminium_mm(settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="print the fitted filtration instead of writing")
    if parser.parse_args().fit:
        _report_fit()
    else:
        write_tables()
