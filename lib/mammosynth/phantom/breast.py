"""`Breast`: what one phantom breast is made of, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mass:
    """One mass, placed in three dimensions so that both views agree on its depth behind the nipple.

    Attributes:
        depth_mm: Behind the nipple, towards the chest wall; the same in every view.
        lateral_mm: From the nipple towards the armpit's side.
        cranial_mm: From the nipple upwards.
        radius_mm: Mean radius.
        elongation: Ratio of its axes.
        lobulation: Per harmonic (2, 3, 5), how far the outline swings, relative to the radius.
        uptake: Contrast enhancement in the recombined image, in display units.
    """

    depth_mm: float
    lateral_mm: float
    cranial_mm: float
    radius_mm: float
    elongation: float
    lobulation: tuple[float, float, float]
    uptake: float


@dataclass(frozen=True)
class Calcification:
    """A speck of calcium; position as for `Mass`."""

    depth_mm: float
    lateral_mm: float
    cranial_mm: float
    radius_mm: float


@dataclass(frozen=True)
class Breast:
    """A breast without side: `project` mirrors it. Ranges are plausible choices, not measurements of a population.

    Attributes:
        seed: Where everything came from, and what the texture is drawn from.
        depth_mm: Chest wall to nipple in the CC view.
        lateral_mm: Nipple level to the lateral end of the outline.
        medial_mm: Nipple level to the medial end.
        fullness: Exponent of the outline; 2 is an ellipse.
        thickness_mm: Compressed thickness.
        density: Fraction of the fibroglandular region that is dense, 0 to 1.
        parenchymal_enhancement: Of fibroglandular tissue in the recombined image, in display units.
        muscle_width_mm: Pectoral muscle at the upper edge of the MLO view.
        muscle_height_mm: How far down it reaches.
        mass: The lesion.
        calcifications: A few, in one group.
    """

    seed: int
    depth_mm: float
    lateral_mm: float
    medial_mm: float
    fullness: float
    thickness_mm: float
    density: float
    parenchymal_enhancement: float
    muscle_width_mm: float
    muscle_height_mm: float
    mass: Mass
    calcifications: tuple[Calcification, ...]


def generate_breast(seed: int) -> Breast:
    """Draw a breast; the same seed gives the same breast.

    Raises:
        ValueError: If the seed is negative.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}, expected 0 or more")
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.95, 1.2)
    depth = 92.0 * size * rng.uniform(0.9, 1.1)
    mass = Mass(
        depth_mm=depth * rng.uniform(0.3, 0.62),
        lateral_mm=rng.uniform(-12, 22),
        cranial_mm=rng.uniform(-12, 22),
        radius_mm=rng.uniform(5, 9),
        elongation=rng.uniform(1.0, 1.35),
        lobulation=(rng.normal(0, 0.06), rng.normal(0, 0.05), rng.normal(0, 0.02)),
        uptake=rng.uniform(0.3, 0.45),
    )
    centre = rng.normal((depth * 0.4, 0, 0), 8)
    calcifications = []
    for _ in range(rng.integers(4, 9)):
        depth_mm, lateral_mm, cranial_mm = centre + rng.normal(0, 3.5, 3)
        calcifications.append(Calcification(depth_mm, lateral_mm, cranial_mm, radius_mm=rng.uniform(0.12, 0.32)))
    return Breast(
        seed=seed,
        depth_mm=depth,
        lateral_mm=82.0 * size * rng.uniform(0.9, 1.1),
        medial_mm=74.0 * size * rng.uniform(0.85, 1.05),
        fullness=rng.uniform(2.0, 2.5),
        thickness_mm=float(np.clip(rng.normal(56, 9), 35, 80)),
        density=rng.uniform(0.2, 0.6),
        parenchymal_enhancement=rng.uniform(0.03, 0.09),
        muscle_width_mm=rng.uniform(34, 50),
        muscle_height_mm=rng.uniform(85, 125),
        mass=mass,
        calcifications=tuple(calcifications),
    )
