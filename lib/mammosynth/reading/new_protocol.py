"""`new_protocol`: a protocol to begin with, from a template and, if there is one, a table of cases."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from mammosynth.errors import ProtocolError
from mammosynth.reading.protocol import parse_protocol

TEMPLATES = ("cem-s3", "realism", "bpe-agreement", "lesion-marks")
_COLUMNS = ("case", "patient", "breasts", "view_position", "training", "feedback")
_TRUE = ("yes", "true", "1")
_CASES = re.compile(r"^(# Placeholders.*\n)?cases:\n", re.MULTILINE)


def new_protocol(
    template: str,
    *,
    name: str | None = None,
    readers: Sequence[str] = (),
    seed: int | None = None,
    cases: Path | None = None,
) -> str:
    """A protocol as YAML text.

    Args:
        template: One of `TEMPLATES`.
        name: Of the study; without it, the template's.
        readers: Who reads; without them, the template's placeholders.
        seed: Of the design; without it, the template's.
        cases: A CSV table, see docs/how-to/reader-study.md; without it, the template's placeholders.

    Returns:
        Text that `parse_protocol` takes.

    Raises:
        ProtocolError: If the table cannot be used, or what comes out is no protocol.
    """
    text = files("mammosynth.reading.templates").joinpath(f"{template}.yaml").read_text(encoding="utf-8")
    for key, value in (("name", name), ("readers", list(readers) or None), ("  seed", seed)):
        if value is not None:
            line = f"{key}: {json.dumps(value, ensure_ascii=False)}"
            text = re.sub(rf"^{key}: .*$", line.replace("\\", r"\\"), text, count=1, flags=re.MULTILINE)
    if cases is not None:
        lines = [f"  {json.dumps(key)}: {json.dumps(case, ensure_ascii=False)}\n" for key, case in _read(cases).items()]
        text = text[: _CASES.search(text).start()] + "cases:\n" + "".join(lines)  # type: ignore[union-attr]
    parse_protocol(text, cases.name if cases else template)
    return text


def _read(table: Path) -> dict[str, dict[str, Any]]:
    """Cases by name, as a protocol has them.

    Columns: case, patient, breasts (R, L or R+L), view_position, training, feedback, images:ARM (joined by '|'),
    truth:QUESTION or truth:QUESTION:TARGET (R, L, 1, 2, ...); lists of marks as JSON.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ProtocolError(f"{table.name}: cannot be read ({error}); give a CSV table in UTF-8") from None
    reader = csv.DictReader(io.StringIO(text))
    names = reader.fieldnames or []
    known = [name for name in names if name in _COLUMNS or name.startswith(("images:", "truth:"))]
    if len(known) < len(names) or not {"case", "patient"} <= set(names) or len(set(names)) < len(names):
        raise ProtocolError(
            f"{table.name}: the columns are {', '.join(map(str, names)) or 'missing'}, expected case, patient, "
            "images:ARM for each arm, and any of breasts, view_position, training, feedback, truth:QUESTION, "
            "truth:QUESTION:TARGET, each once"
        )
    found: dict[str, dict[str, Any]] = {}
    for row in reader:
        where = f"{table.name}, line {reader.line_num}"
        if None in row or None in row.values():
            raise ProtocolError(f"{where}: has another number of cells than the first line; correct it")
        if row["case"] in found:
            raise ProtocolError(f"{where}: the case {row['case'][:64]!r} is there already; name each case once")
        found[row["case"]] = _case({name: cell.strip() for name, cell in row.items() if cell.strip()}, where)
    return found


def _case(row: Mapping[str, str], where: str) -> dict[str, Any]:
    case: dict[str, Any] = {"patient": row.get("patient", ""), "images": {}}
    for name, cell in row.items():
        kind, _, rest = name.partition(":")
        if kind == "images":
            case["images"][rest] = [each.strip() for each in cell.split("|")]
        elif kind == "truth":
            question, _, target = rest.partition(":")
            truth = case.setdefault("truth", {})
            if target:
                truth.setdefault(question, {})[target] = _value(cell, where)
            else:
                truth[question] = _value(cell, where)
    if "breasts" in row:
        case["breasts"] = [each.strip().upper() for each in row["breasts"].split("+")]
    if row.get("training", "").lower() in _TRUE:
        case["training"] = True
    return case | {name: row[name] for name in ("view_position", "feedback") if name in row}


def _value(cell: str, where: str) -> Any:
    if not cell.startswith("["):
        return cell
    try:
        return json.loads(cell)
    except ValueError as error:
        raise ProtocolError(f"{where}: {cell[:64]!r} is no JSON list ({error}); correct it") from None
