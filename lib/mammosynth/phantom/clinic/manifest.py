"""`manifest.json`: what a cohort of phantoms was made with and what came of it, enough to make it again.

A folder of phantoms holds one folder per case and the manifest. A case is finished when its `case.json` is there, which
is written last; the manifest repeats all of them beside the settings, the software and the rule of the splits.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mammosynth import __version__
from mammosynth.atomic import write_json
from mammosynth.errors import DataError
from mammosynth.phantom.clinic.export import GENERATOR_VERSION
from mammosynth.phantom.parameters import CaseParameters, Density, LesionKind, ParenchymalEnhancement, Vendor
from mammosynth.terms import ImageLaterality, ViewPosition

MANIFEST, CASE = "manifest.json", "case.json"
FORMAT = "MammoSynth phantoms 1"
SPLITS = {"train": (0, 1, 2, 3, 4, 5, 6, 7), "val": (8,), "test": (9,)}
"""Last decimal digit of the seed. A seed is a patient, with both breasts and all of their twins."""
_LIBRARIES = ("numpy", "scipy", "torch", "pydicom", "highdicom")


@dataclass(frozen=True)
class CohortSettings:
    """What all cases of a folder have in common.

    Attributes:
        parameters: Of every case but for the seed, which is 0 here.
        maps: Whether path lengths and true iodine are written, too.
        device: Where the images were computed; on "cpu" the same settings give the same bits.
    """

    parameters: CaseParameters
    maps: bool = False
    device: str = "cpu"

    def case(self, seed: int) -> CaseParameters:
        """The parameters of one case."""
        return replace(self.parameters, seed=seed)

    def as_json(self) -> dict[str, Any]:
        """As the manifest has it."""
        parameters = asdict(self.parameters)
        del parameters["seed"]
        return {**parameters, "maps": self.maps, "device": self.device}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CohortSettings:
        """The way back from `as_json`.

        Raises:
            KeyError, ValueError, TypeError: If it is none.
        """
        own = dict(values)
        maps, device = own.pop("maps"), own.pop("device")
        return cls(case_parameters({**own, "seed": 0}), maps, device)


def case_parameters(values: Mapping[str, Any]) -> CaseParameters:
    """Parameters of a case from what JSON makes of them; see `CohortSettings.from_json`."""
    lesions = values["lesions"]
    return CaseParameters(
        **{
            **values,
            "density": values["density"] and Density(values["density"]),
            "lesions": None if lesions is None else tuple(LesionKind(kind) for kind in lesions),
            "parenchymal_enhancement": values["parenchymal_enhancement"]
            and ParenchymalEnhancement(values["parenchymal_enhancement"]),
            "vendor": values["vendor"] and Vendor(values["vendor"]),
            "views": tuple(ViewPosition(view) for view in values["views"]),
            "sides": tuple(ImageLaterality(side) for side in values["sides"]),
        }
    )


def split_of(seed: int) -> str:
    """The split of a phantom patient, the same in every cohort."""
    return next(name for name, digits in SPLITS.items() if seed % 10 in digits)


def software() -> dict[str, str]:
    """Versions of everything that decides about bits."""
    libraries = {name: version(name).split("+")[0] for name in _LIBRARIES}
    return {"generator": GENERATOR_VERSION, "mammosynth": __version__, **libraries}


def case_folder(folder: Path, seed: int) -> Path:
    """Where a case lies."""
    return folder / f"case-{seed:06d}"


def finished_case(folder: Path, seed: int) -> dict[str, Any] | None:
    """The record of a case; None if it is not there, or a file of it is missing or has another size."""
    own = case_folder(folder, seed)
    try:
        record = json.loads((own / CASE).read_text(encoding="utf-8"))
        sizes = {file["name"]: file["bytes"] for file in record["files"]}
        whole = all((own / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return record if whole else None


def write_manifest(folder: Path, settings: CohortSettings) -> dict[str, Any]:
    """Gather every finished case of a folder into its manifest.

    Returns:
        The manifest.
    """
    seeds = sorted(int(own.name.removeprefix("case-")) for own in folder.glob("case-*") if (own / CASE).is_file())
    manifest = {
        "format": FORMAT,
        "software": software(),
        "machine": f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores",
        "settings": settings.as_json(),
        "splits": {"last digit of the seed": SPLITS},
        "cases": [record for seed in seeds if (record := finished_case(folder, seed)) is not None],
    }
    write_json(folder / MANIFEST, manifest, indent=1)
    return manifest


def read_manifest(path: Path) -> tuple[CohortSettings, dict[str, Any]]:
    """A manifest and its settings.

    Args:
        path: The file, or the folder that holds it.

    Raises:
        DataError: If there is none, or it is none of ours.
    """
    path = path / MANIFEST if path.is_dir() else path
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path.name}: cannot be read ({error.strerror}); give a folder that `mammosynth phantom` wrote, or the "
            f"{MANIFEST} in it"
        ) from error
    except ValueError as error:
        raise DataError(f"{path.name}: no JSON ({error}); it is damaged, generate the folder again") from error
    try:
        if manifest["format"] != FORMAT:
            raise ValueError(f"format is {manifest['format']!r}, expected {FORMAT!r}")
        return CohortSettings.from_json(manifest["settings"]), manifest
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{path.name}: not a manifest of phantoms ({error}); give the {MANIFEST} of a folder that "
            "`mammosynth phantom` wrote"
        ) from error


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Sequence[str]:
    """What two settings or lists of software do not agree on: "pixel_mm is 0.4 there and 1.0 here"."""
    names = sorted({*first, *second})
    return [
        f"{n} is {_in_words(first.get(n))} there and {_in_words(second.get(n))} here"
        for n in names
        if first.get(n) != second.get(n)
    ]


def _in_words(value: Any) -> str:
    if value is None:
        return "not given"
    return (", ".join(map(str, value)) or "none") if isinstance(value, tuple | list) else str(value)
