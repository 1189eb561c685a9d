"""Lesions by family: what each is made of, how much iodine it takes up, where it may lie.

A lesion is rigid: compression moves and turns it but does not squash it, so that both views show the same lesion.
All ranges are assumptions that give plausible images; no distribution of lesions was measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mammosynth.phantom.anatomy.curves import Curves
from mammosynth.phantom.anatomy.noise import NoiseTiles
from mammosynth.phantom.parameters import LesionKind


@dataclass(frozen=True)
class LesionFamily:
    """What lesions of a kind have in common; pairs are ranges to draw from.

    Attributes:
        radius_mm: Mean radius.
        lobulation: Swing of the surface relative to the radius.
        edge_mm: Width of the transition to the tissue around.
        attenuation: Share of glandular tissue in it, the rest is fat; 0 leaves the tissue as it is.
        uptake_mg_ml: Iodine concentration. Uptake of 0.3 to 3 mg/cm2 is assumed in the literature on contrast-enhanced
            mammography phantoms; a lesion of 1 to 1.5 cm then holds 0.3 to 2 mg/ml.
        no_uptake: Share of lesions that take up nothing.
        spicules: Smallest and largest number.
        specks: Smallest and largest number of calcifications.
    """

    radius_mm: tuple[float, float]
    lobulation: tuple[float, float]
    edge_mm: tuple[float, float]
    attenuation: tuple[float, float]
    uptake_mg_ml: tuple[float, float]
    no_uptake: float = 0.0
    spicules: tuple[int, int] = (0, 0)
    specks: tuple[int, int] = (0, 0)


FAMILIES = {
    LesionKind.SPICULATED: LesionFamily((3, 8), (0.15, 0.3), (0.4, 1.0), (0.75, 1.0), (0.5, 1.9), 0.03, (25, 60)),
    LesionKind.CIRCUMSCRIBED: LesionFamily((3.5, 9), (0.0, 0.08), (0.15, 0.4), (0.6, 1.0), (0.2, 1.2), 0.4),
    LesionKind.MICROLOBULATED: LesionFamily((3.5, 9), (0.2, 0.4), (0.2, 0.5), (0.7, 1.0), (0.4, 1.6), 0.05),
    LesionKind.INDISTINCT: LesionFamily((3.5, 9), (0.15, 0.35), (1.0, 2.5), (0.6, 1.0), (0.4, 1.6), 0.08),
    LesionKind.NON_MASS: LesionFamily((7, 16), (0.3, 0.5), (1.5, 3.0), (0.0, 0.0), (0.3, 1.0)),
    LesionKind.CALCIFICATIONS: LesionFamily(
        (5, 10), (0.2, 0.4), (1.5, 3.0), (0.0, 0.0), (0.2, 0.9), 0.4, specks=(8, 30)
    ),
}
_RIM_SHARE = 0.35  # of enhancing masses, assumed
_SPECK_MM = (0.11, 0.35)  # median and log deviation of the radius, assumed
_REACH = 1.9  # radii beyond which nothing of the body of a lesion lies


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion, in a frame of its own whose axes are those of the uncompressed breast.

    Attributes:
        kind: Its family.
        centre_mm: (3,) in the uncompressed breast.
        radius_mm: Mean radius.
        axes: (3,) factors on the radius.
        lobulation: See `LesionFamily`.
        edge_mm: See `LesionFamily`.
        attenuation: See `LesionFamily`.
        uptake_mg_ml: Iodine concentration.
        rim: Whether its rim takes up more than its middle.
        offset_mm: Where in the noise its surface is taken from.
        spicules: Around the centre.
        specks_mm: (N, 3) around the centre.
        speck_radius_mm: (N,).
    """

    kind: LesionKind
    centre_mm: np.ndarray
    radius_mm: float
    axes: np.ndarray
    lobulation: float
    edge_mm: float
    attenuation: float
    uptake_mg_ml: float
    rim: bool
    offset_mm: float
    spicules: Curves
    specks_mm: np.ndarray
    speck_radius_mm: np.ndarray

    @property
    def reach_mm(self) -> float:
        """Half the edge of a cube that holds its body."""
        return self.radius_mm * _REACH + 2 * self.edge_mm

    def occupancy(self, local: torch.Tensor, tiles: NoiseTiles) -> tuple[torch.Tensor, torch.Tensor]:
        """How much of each place it fills, and how avidly it enhances there.

        Args:
            local: (N, 3) float32, mm from its centre.
            tiles: Noise of the breast.

        Returns:
            (N,) in [0, 1], and (N,) factors on the uptake, about 1 on average.
        """
        scaled = local / torch.as_tensor(self.axes, dtype=torch.float32, device=local.device)
        distance = scaled.norm(dim=1) + 1e-3
        on_sphere = scaled / distance[:, None]
        swing = tiles(on_sphere * 7 + self.offset_mm, 0.8, slice(0, 1))[0]
        swing = swing + 0.5 * tiles(on_sphere * 7 + self.offset_mm + 50, 0.3, slice(1, 2))[0]
        surface = self.radius_mm * (1 + self.lobulation * swing.clamp(-1.6, 1.6))
        filled = torch.sigmoid((surface - distance) / (0.5 * self.edge_mm))
        if self.rim:
            avid = 0.45 + 0.75 * torch.sigmoid((distance - 0.55 * surface) / 1.0)
        else:
            patch = tiles(local + self.offset_mm, 0.25, slice(2, 3))[0]
            clumped = self.attenuation == 0
            avid = torch.sigmoid(3 * patch) * 1.6 if clumped else 1 + 0.2 * torch.tanh(patch)
        return filled, avid


def draw_lesion(rng: np.random.Generator, kind: LesionKind, find_place: Callable[[float], np.ndarray]) -> Lesion:
    """Draw one lesion.

    Args:
        rng: Where it comes from.
        kind: Its family.
        find_place: Given its radius in mm, a (3,) centre in the uncompressed breast.
    """
    family = FAMILIES[kind]
    radius = rng.uniform(*family.radius_mm)
    takes_up = rng.uniform() >= family.no_uptake
    specks = int(rng.integers(family.specks[0], family.specks[1] + 1))
    return Lesion(
        kind=kind,
        centre_mm=find_place(radius),
        radius_mm=radius,
        axes=rng.uniform(0.65, 1.0, 3) if family.lobulation[1] > 0.1 else rng.uniform(0.75, 1.0, 3),
        lobulation=rng.uniform(*family.lobulation),
        edge_mm=rng.uniform(*family.edge_mm),
        attenuation=rng.uniform(*family.attenuation),
        uptake_mg_ml=rng.uniform(*family.uptake_mg_ml) * takes_up,
        rim=bool(rng.uniform() < _RIM_SHARE) and family.attenuation[1] > 0,
        offset_mm=rng.uniform(0, 97),
        spicules=_draw_spicules(rng, int(rng.integers(family.spicules[0], family.spicules[1] + 1)), radius),
        specks_mm=rng.normal(0, 0.4 * radius, (specks, 3)),
        speck_radius_mm=np.clip(rng.lognormal(np.log(_SPECK_MM[0]), _SPECK_MM[1], specks), 0.06, 0.4),
    )


def _draw_spicules(rng: np.random.Generator, count: int, radius_mm: float) -> Curves:
    """Tapering, bent outwards from the middle of the lesion."""
    along = np.linspace(0.5, 1, 18)[None, :, None]
    direction = rng.normal(size=(count, 1, 3))
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    length = radius_mm * rng.uniform(1.4, 3.6, (count, 1, 1))
    bend = rng.normal(0, 0.3, (count, 1, 3))
    points = direction * along * length + bend * (along - 0.5) ** 2 * length
    taper = np.linspace(0.6, 0.1, 18)[None] * rng.uniform(0.4, 1.2, (count, 1))
    return Curves(points, taper)
