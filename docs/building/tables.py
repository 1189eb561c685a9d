"""What a page asks for by `<!-- table: NAME -->`: commands, routes, models, parameters, attributes of DICOM."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from docs.building import command_line, models, rest
from mammosynth.bundle import WEIGHTS, default_bundle, find_bundles, load_bundle
from mammosynth.dicom import placement
from mammosynth.dicom.attributes import SYNTHETIC_DATA, label_of
from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.generated import synthesized_uid
from mammosynth.dicom.read import read_mammogram
from mammosynth.journey import Order
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.clinic.export import ImageKind, PhantomExam, build_images
from mammosynth.phantom.parameters import CaseParameters
from mammosynth.task import Placement
from mammosynth.terms import ImageLaterality, ViewPosition

_ASKED_FOR = re.compile(r"<!-- table: (\w+) -->")
_DICOM = Path(placement.__file__).parent
_READERS = {
    "read.py": "what it is",
    "view.py": "view and side",
    "stored.py": "how pixels are stored",
    "codestream.py": "how pixels are stored",
    "bounded.py": "how pixels are stored",
    "display.py": "grey values",
    "contrast_enhanced.py": "low energy, high energy or recombined",
    "generated.py": "marks of generated images",
    "drawn.py": "drawings",
    "segmentation.py": "drawings",
}
_SHOWN = 48  # characters of a value


def filled(markdown: str) -> str:
    """The text of a page with its tables."""
    return _ASKED_FOR.sub(lambda match: _TABLES[match[1]](), markdown)


def example() -> tuple[Dataset, Dataset]:
    """A phantom's header and that of a result on it."""
    case = CaseParameters(25, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=4.0)
    (header,) = build_images(next(generate_case(case)), PhantomExam(case), (ImageKind.LOW_ENERGY,))
    source = read_mammogram(header)
    made = load_bundle(default_bundle("contrast")).synthesize({"source": source})
    (result,) = derive_instances(
        made.outputs,
        replace(made.provenance, created=datetime(2026, 1, 1, tzinfo=UTC)),
        Placement.ON_SOURCE,
        source,
        identify=lambda kind, role: synthesized_uid("example", kind, role),
    )
    return header, result


def _read() -> str:
    """Every keyword of the standard's dictionary that the modules that read name."""
    known: dict[str, list[str]] = {}
    for name, purpose in _READERS.items():
        written_there = {keyword for keywords in placement._KEPT.values() for keyword in keywords}
        for node in ast.walk(ast.parse((_DICOM / name).read_text(encoding="utf-8"))):
            keyword = node.value if isinstance(node, ast.Constant) else getattr(node, "attr", None)
            is_keyword = isinstance(keyword, str) and keyword.isalnum() and tag_for_keyword(keyword) is not None
            if is_keyword and not (name == "segmentation.py" and keyword in written_there):
                known.setdefault(str(keyword), []).append(purpose)
    rows = [f"| {label_of(keyword)} | {', '.join(dict.fromkeys(why))} |" for keyword, why in _sorted(known)]
    return "\n".join(["| attribute | for |", "|---|---|", *rows])


def _kept() -> str:
    kept: dict[str, list[str]] = {}
    names = {
        Placement.ON_SOURCE: "on its source",
        Placement.SAME_STUDY: "another view",
        Placement.NEW_STUDY: "its own study",
    }
    for where, name in names.items():
        for keyword in placement._KEPT[where]:
            kept.setdefault(keyword, []).append(name)
    rows = [f"| {label_of(keyword)} | {', '.join(where)} |" for keyword, where in _sorted(kept)]
    return "\n".join(["| attribute | kept where the result is |", "|---|---|", *rows])


def _written() -> str:
    header, result = example()
    kept = set(placement._KEPT[Placement.ON_SOURCE])
    rows = []
    for element in result:
        tag = f"({element.tag.group:04X},{element.tag.element:04X})"
        is_kept = element.keyword in kept and header.get(element.keyword) == element.value
        value = "*kept*" if is_kept else _shown(element)
        name = "Synthetic Data" if element.tag == SYNTHETIC_DATA else element.name.strip("[]")
        rows.append(f"| {tag} {name} | {element.VR} | {value} |")
    return "\n".join(["| attribute | VR | value |", "|---|---|---|", *rows])


def _shown(element: Any) -> str:
    if element.keyword == "PixelData":
        return "the image"
    if element.value is None:
        return "empty"
    if element.VR == "SQ":
        return f"{len(element.value)} item" + "s" * (len(element.value) != 1)
    text = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"`{text}`".replace("|", "\\|") if text else "empty"


def _sorted(known: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """By tag; attributes alone, no keyword of a command or of a class."""
    return sorted(((k, v) for k, v in known.items() if dictionary_VR(k)), key=lambda entry: tag_for_keyword(entry[0]))


def _parameters() -> str:
    lines: list[str] = []
    for name, folder in find_bundles().items():
        if (folder / WEIGHTS).is_file():
            properties = Order.schema(load_bundle(folder))["properties"]
            lines += ["", f"### {name}", "", "| parameter | what | default |", "|---|---|---|"]
            lines += [_parameter(parameter, entry) for parameter, entry in properties.items()]
    return "\n".join(lines)


def _parameter(name: str, entry: dict[str, Any]) -> str:
    told = [" ".join(entry.get("description", "").split()).rstrip(".")]
    if "enum" in entry:
        told.append(", ".join(f"`{value}`" for value in entry["enum"]))
    if "minimum" in entry or "maximum" in entry:
        told.append(f"{entry.get('minimum', '')} to {entry.get('maximum', '')}")
    default = entry.get("default")
    what = "; ".join(filter(None, told)).replace("|", "\\|")
    return f"| `{name}` | {what} | {entry.get('empty', '') if default is None else f'`{default}`'} |"


_TABLES = {
    "commands": command_line.sections,
    "kept": _kept,
    **models.tables(),
    "parameters": _parameters,
    "read": _read,
    "routes": rest.sections,
    "written": _written,
}
