"""Results of a study in a folder: results.json and the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mammosynth.atomic import write_json
from mammosynth.reading.analysis.analyse import analyse_study
from mammosynth.reading.export import write_tables


def write_results(content: Mapping[str, Any], folder: Path, progress: Callable[[int, int, str], None]) -> list[str]:
    """Analyse a closed study and write everything.

    Returns:
        Lines for a terminal.
    """
    results = analyse_study(content, progress)
    write_json(folder / "results.json", results, indent=2)
    write_tables(content, folder)
    return [f"{name}: p {test['p']}, adjusted {test['adjusted_p']}" for name, test in results["tests"].items()]
