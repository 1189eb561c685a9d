"""Attenuation coefficients and x-ray spectra, baked by `tools/bake_phantom_tables.py` so that no library is needed."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np


def _read(name: str) -> dict[str, np.ndarray]:
    """Columns of a table by their heading, read-only."""
    text = files("mammosynth.phantom.imaging").joinpath("data", name).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    columns = np.array([line.split(",") for line in lines[1:]], dtype=np.float64).T
    columns.flags.writeable = False
    return dict(zip(lines[0].split(","), columns, strict=True))


@cache
def attenuation() -> dict[str, np.ndarray]:
    """Linear attenuation per millimetre, by material, at the centre of every energy bin.

    Returns:
        (42,) float64 each. "iodine" is per mg/cm2; "air_absorption" is the mass energy-absorption coefficient of air in
        cm2/g, which turns photons into air kerma; "energy_kev" are the centres, 8.5 to 49.5 keV.
    """
    return _read("attenuation.csv")


@cache
def spectra() -> dict[str, np.ndarray]:
    """Photons per mm2, mAs and keV at 65 cm from the focus, by beam, behind filters and compression paddle.

    Returns:
        (42,) float64 each, in the bins of `attenuation`; "energy_kev" are their centres.
    """
    return _read("spectra.csv")


def half_value_layer_mm(photons: np.ndarray) -> float:
    """Aluminium that halves the air kerma of a spectrum.

    Args:
        photons: (42,) in the bins of `attenuation`, any scale; every bin counts with the coefficients at its centre.

    Returns:
        Millimetres.
    """
    table = attenuation()
    kerma = photons * table["energy_kev"] * table["air_absorption"]
    low, high = 0.0, 20.0
    for _ in range(50):  # bisection, to 2e-14 mm
        middle = (low + high) / 2
        halved = kerma @ np.exp(-table["aluminium"] * middle) < kerma.sum() / 2
        low, high = (low, middle) if halved else (middle, high)
    return low
