"""Series Description of what is synthesized: a line that tells results apart in 64 characters."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mammosynth.dicom.generated import GENERATED_DESCRIPTION
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.provenance import Provenance
from mammosynth.task import IMAGE, LABELS, UNCERTAINTY, Rendering

_LENGTH = 64  # VR LO


def series_description(provenance: Provenance, role: str, view: Mammogram | LabelMap | None) -> str:
    """Series Description (0008,103E): "SYNTHETIC contrast R MLO expected breast_cem_residual 0.2.0".

    Of a sampled image the seed is named, too, then the parameters that are not their default, as many as there is room
    for. Where there is not, the model's name loses organ and modality, with which it begins, then its version.

    Args:
        provenance: What made it.
        role: What it is of the result.
        view: Whose side and view are named; None for a series of several.
    """
    sides = () if view is None else (view.image_laterality, view.view_position)
    seed = [f"seed {provenance.seed}"] if provenance.rendering == Rendering.SAMPLED else []
    what = [GENERATED_DESCRIPTION, provenance.task, "" if role == IMAGE else role, *sides, provenance.rendering, *seed]
    settings = [
        name for name in provenance.changed if name not in (UNCERTAINTY, LABELS)
    ]  # these ask for a second series
    changed = [f"{name}={_value(provenance.parameters.get(name))}" for name in settings]
    return _fitted([str(word) for word in what if word], provenance.bundle, provenance.bundle_version, changed)


def _fitted(what: Sequence[str], name: str, version: str, changed: Sequence[str]) -> str:
    while changed and len(" ".join([*what, name, version, *changed])) > _LENGTH:
        changed = changed[:-1]
    while "_" in name and len(" ".join([*what, name, version])) > _LENGTH:
        name = name.partition("_")[2]
    words = [*what, name, version, *changed]
    if len(" ".join(words)) > _LENGTH:
        words = [*what, name]
    return " ".join(words).encode("ascii", "replace").decode("ascii").replace("\\", "/")[:_LENGTH].rstrip()


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
