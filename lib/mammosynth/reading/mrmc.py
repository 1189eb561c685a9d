"""`mammosynth study mrmc`: Obuchowski-Rockette of any table of ratings, from here or from another study."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mammosynth.atomic import write_bytes, write_json
from mammosynth.counts import count_of
from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.reading.imrmc import imrmc_text
from mammosynth.reading.statistics import margins
from mammosynth.reading.statistics.covariance import METHODS, bootstrap
from mammosynth.reading.statistics.estimate import DRAWS, LEVEL, json_ready
from mammosynth.reading.statistics.figures import FIGURES, Figure
from mammosynth.reading.statistics.free_response import lesion_ratings
from mammosynth.reading.statistics.obuchowski_rockette import Analysis, Comparison, Fixed, analyse, compare
from mammosynth.reading.statistics.proportions import wilson
from mammosynth.reading.statistics.ratings import Ratings

DESCRIPTION = (
    "Obuchowski-Rockette analysis of a table of ratings: columns reader, treatment, case, truth, rating, and patient "
    "if a patient has several cases. Every reader must have rated every case once under every treatment."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command is told."""
    parser.add_argument("ratings", type=Path, metavar="RATINGS.csv")
    parser.add_argument(
        "--covariance", choices=list(METHODS), default="jackknife", help="of figures over cases (default: %(default)s)"
    )
    parser.add_argument(
        "--fixed",
        type=Fixed,
        choices=[Fixed.READERS, Fixed.CASES],
        default=Fixed.NONE,
        help="conclude on these readers or these cases only (default: on others like them, too)",
    )
    parser.add_argument("--figure", choices=list(FIGURES), default="auc", help="of merit (default: %(default)s)")
    parser.add_argument(
        "--threshold",
        type=float,
        help="the least rating that calls a case positive, for all figures but auc; with two ratings, the higher one",
    )
    parser.add_argument("--positive", metavar="LABEL", help="of truth, where it is not 1, true, yes or positive")
    parser.add_argument(
        "--lesions",
        type=Path,
        metavar="CASES.csv",
        help="free response (JAFROC): RATINGS.csv has marks (reader, treatment, case, lesion, rating), CASES.csv all "
        "lesions and normal cases (case, lesion)",
    )
    parser.add_argument("--reference", metavar="LABEL", help="the treatment that others are compared with")
    parser.add_argument("--margin", type=float, help="also test non-inferiority and equivalence within this difference")
    parser.add_argument("--null", type=float, help="also test each treatment's mean against this, as 0.5 for chance")
    parser.add_argument("--draws", type=int, default=DRAWS, help="resamples of bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of bootstrap (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON, too")
    parser.add_argument("--imrmc", type=Path, metavar="FILE", help="write the ratings for iMRMC and RJafroc, too")


def run(arguments: argparse.Namespace) -> int:
    """Analyse, print, and write what was asked for.

    Raises:
        DataError: If the table cannot be analysed; every reason is told.
        InvalidParameterError: If options do not go together.
    """
    _check(arguments)
    ratings = _read(arguments)
    report = mrmc_report(
        ratings,
        figure=arguments.figure,
        threshold=_threshold(arguments, ratings),
        covariance=arguments.covariance,
        fixed=arguments.fixed,
        reference=arguments.reference,
        margin=arguments.margin,
        null=arguments.null,
        draws=arguments.draws,
        seed=arguments.seed,
    )
    if arguments.lesions:
        report["figure"] = "jafroc"
    print(format_report(report))
    if arguments.json:
        write_json(arguments.json, json_ready({"file": arguments.ratings.name, **report}), indent=2)
    if arguments.imrmc:
        write_bytes(arguments.imrmc, imrmc_text(ratings, arguments.ratings.name).encode())
    return 0


def read_ratings(path: Path, *, positive: str | None = None) -> Ratings:
    """Ratings of a CSV file; labels stay texts, so that 01 and 1 are two.

    Args:
        path: UTF-8, separated by commas.
        positive: The label of positive truth, see `Ratings.from_table`.

    Raises:
        DataError: If the file cannot be read as such a table.
    """
    return Ratings.from_table(_read_table(path), positive=positive, source=path.name)


def mrmc_report(
    ratings: Ratings,
    *,
    figure: str = "auc",
    threshold: float | None = None,
    covariance: str = "jackknife",
    fixed: Fixed = Fixed.NONE,
    reference: str | None = None,
    margin: float | None = None,
    null: float | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """The analysis by the names of treatments and readers.

    Args:
        ratings: See `Ratings`.
        figure: One of `FIGURES`.
        threshold: See `obuchowski_rockette.analyse`.
        covariance: One of `METHODS`.
        fixed: See `obuchowski_rockette.analyse`.
        reference: The treatment that others are compared with; without it, the later label of each pair.
        margin: Of non-inferiority to the reference and of equivalence, above 0.
        null: What each treatment's mean is tested against.
        draws: Resamples of bootstrap covariances.
        seed: Of these.

    Returns:
        Numbers that may be NaN or infinite; `json_ready` makes them null.

    Raises:
        DataError: If readers or cases are too few.
        InvalidParameterError: If the reference is no treatment.
    """
    if reference is not None and reference not in ratings.treatments:
        raise InvalidParameterError(f"reference {reference}: expected one of {', '.join(ratings.treatments)}")
    method = partial(bootstrap, draws=draws, seed=seed) if covariance == "bootstrap" else METHODS[covariance]
    analysis = analyse(
        ratings,
        figure=FIGURES[figure],
        threshold=threshold,
        covariance=method,
        fixed=fixed,
        null=0.0 if null is None else null,
    )
    differences = [
        {**names, **asdict(found), **_margins(found, margin)}
        for names, found in _oriented(ratings, analysis.differences, reference)
    ]
    tested = ("t", "p", "null") if null is None else ()
    means = [
        {
            "treatment": name,
            **{key: value for key, value in asdict(mean).items() if key not in tested},
            "log_odds_interval": mean.log_odds(),
        }
        for name, mean in zip(ratings.treatments, analysis.means, strict=True)
    ]
    test, sizes = analysis.test, _sizes(ratings)
    return {
        "figure": figure,
        "threshold": threshold,
        "covariance": covariance,
        **({"draws": draws, "seed": seed} if covariance == "bootstrap" else {}),
        "fixed": fixed.value,
        "level": LEVEL,
        **sizes,
        "test": {"f": test.f, "df1": test.df1, "df2": test.df2, "p": test.p} if test else None,
        "differences": differences,
        "means": means,
        "readers": _readers(ratings, analysis, FIGURES[figure]),
        "reader_differences": _reader_differences(ratings, analysis, reference),
        "components": asdict(analysis.components),
    }


def format_report(report: dict[str, Any]) -> str:
    """The report as a table for a terminal."""
    sizes = f"{count_of(report['reader_count'], 'reader')}, {count_of(report['treatment_count'], 'treatment')}"
    patients = count_of(report["patients"], "patient")
    cases = f"{report['positive']} positive and {report['negative']} negative cases of {patients}"
    fixed = {"none": "readers and cases random"}.get(report["fixed"], f"{report['fixed']} fixed")
    lines = [f"{report['figure']}, {sizes}, {cases}; {fixed}, {report['covariance']} covariances", ""]
    test = report["test"]
    if test:
        lines += [
            f"equal treatments: F({test['df1']}, {test['df2']:.4g}) = {_number(test['f'])}, p = {_number(test['p'])}"
        ]
        if not np.isfinite(test["p"]):
            lines += ["nothing varies between readers, treatments or cases: no test is possible"]
    lines += ["", f"{'':34}    value       SE          95 % interval   p"]
    for row in report["differences"]:
        lines.append(_line(f"{row['first']} less {row['second']}", row, row["p"]))
        lines += [
            f"    {name.replace('_', '-')} within {row[name]['margin']:g}: p = {_number(row[name]['p'])}, "
            f"interval {row[name]['low']:.4f} to {row[name]['high']:.4f}"
            for name in ("non_inferiority", "equivalence")
            if row.get(name)
        ]
    for row in report["means"]:
        lines.append(_line(f"{row['treatment']}, mean", row, row.get("p", np.nan)))
        low, high = row["log_odds_interval"]
        lines += [f"    on log-odds {low:.4f} to {high:.4f}"] if np.isfinite(low) else []
    lines += [_line(f"{row['treatment']}, reader {row['reader']}", row, np.nan) for row in report["readers"]]
    lines += ["", "components: " + ", ".join(f"{name} {value:.4g}" for name, value in report["components"].items())]
    return "\n".join(lines)


def _check(arguments: argparse.Namespace) -> None:
    if not FIGURES[arguments.figure].binary and arguments.threshold is not None:
        raise InvalidParameterError(
            f"--threshold has no meaning for --figure {arguments.figure}; leave one of them out"
        )
    if arguments.lesions and (arguments.figure != "auc" or arguments.imrmc or arguments.positive):
        raise InvalidParameterError("--lesions goes without --figure, --threshold, --positive and --imrmc")
    if arguments.margin is not None and not arguments.margin > 0:
        raise InvalidParameterError(f"--margin {arguments.margin}: expected above 0")
    if arguments.draws < 2:
        raise InvalidParameterError(f"--draws {arguments.draws}: expected two or more")
    if arguments.seed < 0:
        raise InvalidParameterError(f"--seed {arguments.seed}: expected 0 or more")


def _threshold(arguments: argparse.Namespace, ratings: Ratings) -> float | None:
    if arguments.threshold is not None or not FIGURES[arguments.figure].binary:
        return arguments.threshold
    given = np.unique(ratings.scores)
    if len(given) > 2:
        raise InvalidParameterError(
            f"{len(given)} different ratings and no --threshold, the least one that calls a case positive; "
            f"--figure {arguments.figure} needs it"
        )
    return float(given[-1])


def _read(arguments: argparse.Namespace) -> Ratings:
    if arguments.lesions:
        return lesion_ratings(_read_table(arguments.ratings), _read_table(arguments.lesions))
    return read_ratings(arguments.ratings, positive=arguments.positive)


def _read_table(path: Path) -> pd.DataFrame:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except FileNotFoundError as error:
        raise DataError(f"{path.name}: no such file; check the name") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name}: cannot be read as UTF-8 text ({error}); export it as CSV with UTF-8") from error
    if not rows:
        raise DataError(f"{path.name}: is empty, expected a line of column names and one line a rating")
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path.name}: line {number} has {count_of(len(row), 'value')}, expected {len(rows[0])} as in the "
                "first line; texts with commas need quotes"
            )
    return pd.DataFrame(rows[1:], columns=rows[0])


def _sizes(ratings: Ratings) -> dict[str, int]:
    return {
        "reader_count": len(ratings.readers),
        "treatment_count": len(ratings.treatments),
        "positive": int(ratings.truth.sum()),
        "negative": int((~ratings.truth).sum()),
        "patients": int(ratings.patients.max()) + 1,
    }


def _margins(found: Comparison, margin: float | None) -> dict[str, Any]:
    if margin is None:
        return {}
    if not found.standard_error > 0:
        return {"non_inferiority": None, "equivalence": None}
    given = (found.value, found.standard_error, found.df, margin)
    return {
        "non_inferiority": asdict(margins.non_inferiority(*given)),
        "equivalence": asdict(margins.equivalence(*given)),
    }


def _readers(ratings: Ratings, analysis: Analysis, figure: Figure) -> list[dict[str, Any]]:
    rows, trials = [], min([int((ratings.truth == of).sum()) for of in figure.needs] or [ratings.truth.size])
    for i, treatment in enumerate(ratings.treatments):
        for r, reader in enumerate(ratings.readers):
            error = float(np.sqrt(max(analysis.covariance[i, r, i, r], 0)))
            found = compare(float(analysis.figures[i, r]), error, np.inf)
            low, high = found.log_odds()
            if found.value in (0, 1):  # its standard error is 0; see `roc.auc_interval`
                edge = wilson(round(found.value) * trials, trials)
                low, high = edge.low, edge.high
            values = {"value": found.value, "standard_error": error, "low": low, "high": high}
            rows.append({"treatment": treatment, "reader": reader, **values})
    return rows


def _reader_differences(ratings: Ratings, analysis: Analysis, reference: str | None) -> list[dict[str, Any]]:
    rows = []
    for r, reader in enumerate(ratings.readers):
        differences = {}
        for i, k in analysis.differences:
            of_reader = analysis.covariance[:, r, :, r]
            error = float(np.sqrt(max(of_reader[i, i] + of_reader[k, k] - 2 * of_reader[i, k], 0)))
            differences[i, k] = compare(float(analysis.figures[i, r] - analysis.figures[k, r]), error, np.inf)
        rows += [
            {"reader": reader, **names, **asdict(found)} for names, found in _oriented(ratings, differences, reference)
        ]
    return rows


def _oriented(
    ratings: Ratings, differences: dict[tuple[int, int], Comparison], reference: str | None
) -> Iterator[tuple[dict[str, str], Comparison]]:
    """Names and differences, first less second; the reference is second."""
    for (i, k), found in differences.items():
        first, second = ratings.treatments[i], ratings.treatments[k]
        if first == reference:
            first, second, found = second, first, found.turned()
        yield {"first": first, "second": second}, found


def _line(name: str, row: dict[str, Any], p: float) -> str:
    interval = f"{row['low']:8.4f} to {row['high']:8.4f}" if np.isfinite(row["low"]) else f"{'no interval':>20}"
    tail = f"   {_number(p)}" if np.isfinite(p) else ""
    return f"{name:34} {row['value']:8.4f} {row['standard_error']:8.4f}   {interval}{tail}"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "not defined"
