"""The radiologists' table of findings, one row per image: CSV, or the workbook as the archive distributes it."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from mammosynth.errors import DataError
from mammosynth.preprocessing.cdd_cesm.names import ImageName, parse_name

COLUMNS = (
    "Image_name",
    "Age",
    "Breast density (ACR)",
    "BIRADS",
    "Tags",
    "Machine",
    "Pathology Classification/ Follow up",
)
SHEET = "all"
_NS = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TOO_LARGE = 100_000_000  # bytes of one part of the workbook; the archive's has 0.24 MB packed, chosen far above


def read_annotations(table: Path) -> dict[ImageName, dict[str, str]]:
    """The row of each image; of rows for the same image the first.

    Args:
        table: `Radiology-manual-annotations`, `.xlsx` (its sheet `all`) or `.csv`.

    Raises:
        DataError: If it cannot be read or a column is missing.
    """
    rows = _read_workbook(table) if table.suffix.lower() == ".xlsx" else _read_csv(table)
    header = [cell.strip() for cell in rows[0]] if rows else []
    if missing := [column for column in COLUMNS if column not in header]:
        raise DataError(f"{table.name}: columns {', '.join(missing)} are missing; expected {', '.join(COLUMNS)}")
    found: dict[ImageName, dict[str, str]] = {}
    for row in rows[1:]:
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        if name := parse_name(cells.get("Image_name", "")):
            found.setdefault(name, cells)
    return found


def _read_csv(table: Path) -> list[list[str]]:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.reader(stream))


def _read_workbook(table: Path) -> list[list[str]]:
    """The cells of one sheet as text (ECMA-376 part 1, 18.3 and 18.4); a whole library would be needed for more."""
    try:
        with ZipFile(table) as workbook:
            sheet = _part(workbook, _sheet_path(workbook))
            strings = []
            if "xl/sharedStrings.xml" in workbook.namelist():
                strings = [_text(item) for item in _part(workbook, "xl/sharedStrings.xml").iterfind("m:si", _NS)]
        return [_read_row(row, strings) for row in sheet.iterfind("m:sheetData/m:row", _NS)]
    except (BadZipFile, KeyError, IndexError, ValueError, ElementTree.ParseError) as error:
        raise DataError(
            f"{table.name}: not a readable workbook with a sheet '{SHEET}' ({error}); save that sheet as CSV instead"
        ) from error


def _part(workbook: ZipFile, path: str) -> ElementTree.Element:
    if workbook.getinfo(path).file_size > _TOO_LARGE:
        raise ValueError(f"{path} is larger than {_TOO_LARGE} bytes")
    return ElementTree.fromstring(workbook.read(path))


def _sheet_path(workbook: ZipFile) -> str:
    sheets = {
        sheet.get("name"): sheet for sheet in _part(workbook, "xl/workbook.xml").iterfind("m:sheets/m:sheet", _NS)
    }
    wanted = sheets[SHEET].get(_RELATION)
    targets = {item.get("Id"): item.get("Target") for item in _part(workbook, "xl/_rels/workbook.xml.rels")}
    target = str(targets[wanted])
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _read_row(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iterfind("m:c", _NS):
        if place := cell.get("r"):  # empty cells are left out of the file
            cells += [""] * (_column(place) - len(cells))
        cells.append(_read_cell(cell, strings))
    return cells


def _column(place: str) -> int:
    """0 for A1, 26 for AA7."""
    number = 0
    for letter in re.sub(r"\d", "", place):
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _read_cell(cell: ElementTree.Element, strings: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return _text(cell)
    value = cell.findtext("m:v", "", _NS)
    if cell.get("t") == "s":
        return strings[int(value)]
    return value.removesuffix(".0")


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter(f"{{{_NS['m']}}}t"))
