"""`PathLengths`: how far each ray went through each material, the one value between geometry and physics.

Images are not kept, path lengths are: spectra, detector, dose, scatter, halo, iodine and display are applied to them
in a fraction of a second, so that one projected breast gives all of its twins.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mammosynth.phantom.parameters import LesionKind
from mammosynth.terms import ViewPosition

MATERIALS = ("adipose", "gland", "skin", "muscle", "calcium", "iodine")  # axis 0 of `material_lengths`


@dataclass(frozen=True, eq=False)
class LesionPaths:
    """One lesion in one view.

    Attributes:
        kind: Its family.
        centre_mm: In the uncompressed breast: (lateral, cranial, towards the nipple), origin on the chest wall.
        position_px: (row, column) of its centre in this view.
        uptake_mg_ml: Iodine concentration; `iodine_cm` times it is mass per area.
        replaces_tissue: False for what only enhances or calcifies in tissue that stays.
        length_mm: (H, W) float32 through the lesion (mass and spicules), as much glandular tissue as attenuates alike.
        displaced_gland_mm: (H, W) float32, glandular tissue that is there without the lesion.
        calcium_mm: (H, W) float32 through its calcifications.
        iodine_cm: (H, W) float32, length weighted by the distribution of the uptake; a concentration of 1 mg/ml over
            1 cm is 1 mg/cm2.
    """

    kind: LesionKind
    centre_mm: tuple[float, float, float]
    position_px: tuple[float, float]
    uptake_mg_ml: float
    replaces_tissue: bool
    length_mm: np.ndarray
    displaced_gland_mm: np.ndarray
    calcium_mm: np.ndarray
    iodine_cm: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """(H, W) bool: where at least half a millimetre of it, or any calcium, lies on the ray."""
        return (self.length_mm > 0.5) | (self.calcium_mm > 0)


@dataclass(frozen=True, eq=False)
class PathLengths:
    """One view of one breast without its lesions, and what each lesion changes.

    All maps are (H, W) float32 with the chest wall at column 0 and, in row 0, lateral (CC) or cranial (MLO) tissue.

    Attributes:
        view_position: CC or MLO.
        pixel_mm: Spacing at the detector.
        compressed_thickness_mm: Between the paddles, at the plateau.
        nipple_px: (row, column) of the nipple.
        adipose_mm: Fat.
        gland_mm: Fibroglandular tissue with ligaments, ducts and vessels.
        skin_mm: Skin and nipple.
        muscle_mm: Pectoral muscle, zero in CC.
        calcium_mm: Benign calcifications outside lesions.
        parenchyma_cm: Path through gland weighted by how avidly it enhances; times mg/ml it is mg/cm2.
        vessel_cm: Path through vessels.
        lesions: In the order in which they were asked for.
    """

    view_position: ViewPosition
    pixel_mm: float
    compressed_thickness_mm: float
    nipple_px: tuple[float, float]
    adipose_mm: np.ndarray
    gland_mm: np.ndarray
    skin_mm: np.ndarray
    muscle_mm: np.ndarray
    calcium_mm: np.ndarray
    parenchyma_cm: np.ndarray
    vessel_cm: np.ndarray
    lesions: tuple[LesionPaths, ...] = ()

    @property
    def thickness_mm(self) -> np.ndarray:
        """(H, W) float32, tissue of any kind; lesions displace and do not add."""
        return self.adipose_mm + self.gland_mm + self.skin_mm + self.muscle_mm

    @property
    def breast_mask(self) -> np.ndarray:
        """(H, W) bool: at least a millimetre of tissue on the ray."""
        return self.thickness_mm >= 1

    def material_lengths(self, *, with_lesions: bool, iodine_mg_cm2: np.ndarray | None = None) -> np.ndarray:
        """All materials in one array.

        Args:
            with_lesions: Whether lesion tissue (of glandular composition) replaces what was there.
            iodine_mg_cm2: (H, W) mass per area on the ray; None: no iodine.

        Returns:
            (6, H, W) float32 in the order of `MATERIALS`; millimetres, iodine in mg/cm2.
        """
        adipose, gland, calcium = self.adipose_mm, self.gland_mm, self.calcium_mm
        for lesion in self.lesions if with_lesions else ():
            added = np.minimum(lesion.length_mm - lesion.displaced_gland_mm, adipose)
            gland, adipose = gland + added, adipose - added
            calcium = calcium + lesion.calcium_mm
        iodine = np.zeros_like(adipose) if iodine_mg_cm2 is None else iodine_mg_cm2.astype(np.float32)
        return np.stack((adipose, gland, self.skin_mm, self.muscle_mm, calcium, iodine))

    def mirrored(self) -> PathLengths:
        """The same view with the chest wall at the last column."""
        last = self.adipose_mm.shape[1] - 1

        def mirror(value: Any) -> Any:
            return np.ascontiguousarray(value[:, ::-1]) if isinstance(value, np.ndarray) else value

        def mirror_point(point: tuple[float, float]) -> tuple[float, float]:
            return (point[0], last - point[1])

        lesions = tuple(
            LesionPaths(
                **{f.name: mirror(getattr(lesion, f.name)) for f in fields(lesion)}
                | {"position_px": mirror_point(lesion.position_px)}
            )
            for lesion in self.lesions
        )
        values = {f.name: mirror(getattr(self, f.name)) for f in fields(self)}
        return PathLengths(**(values | {"nipple_px": mirror_point(self.nipple_px), "lesions": lesions}))
