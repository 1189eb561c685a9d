"""`write_table`: the tables that data sets come with."""

import csv
from collections.abc import Sequence
from pathlib import Path


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """A CSV file with the columns of the first row; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
