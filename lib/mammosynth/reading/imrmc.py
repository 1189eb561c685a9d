"""Ratings as an `.imrmc` file, which the programs iMRMC (FDA) and RJafroc read."""

from __future__ import annotations

from mammosynth.reading.statistics.ratings import Ratings

TRUTH_READER, TRUTH_TREATMENT = "-1", "0"


def imrmc_text(ratings: Ratings, title: str = "Reader study") -> str:
    """The whole file: a preamble, sizes, then lines "reader, case, modality, score", those of the truth first.

    RJafroc takes whole numbers as names of cases only, so that labels of a kind which are not all whole numbers from 1
    are numbered, and the preamble tells which number stands for which label.

    Args:
        ratings: Of a fully crossed study, without marks that are missing (free response).
        title: First line of the preamble.

    Raises:
        ValueError: If a score is not finite.

    Source: user manual of iMRMC, https://github.com/DIDSR/iMRMC, and its example files.
    """
    if not (abs(ratings.scores) < float("inf")).all():
        raise ValueError("scores that are not finite have no place in an .imrmc file")
    treatments, readers, cases = (_numbered(labels) for labels in (ratings.treatments, ratings.readers, ratings.cases))
    lines = [_plain(title)]
    kinds = {
        "modality": (treatments, ratings.treatments),
        "reader": (readers, ratings.readers),
        "case": (cases, ratings.cases),
    }
    for kind, (numbers, labels) in kinds.items():
        lines += [f"{kind} {n} is {_plain(label)}" for n, label in zip(numbers, labels, strict=True) if n != label]
    positive = int(ratings.truth.sum())
    sizes = {"N0": ratings.truth.size - positive, "N1": positive, "NR": len(readers), "NM": len(treatments)}
    lines += [f"{name}: {size}" for name, size in sizes.items()]
    lines.append("BEGIN DATA:")
    lines += [
        f"{TRUTH_READER},{case},{TRUTH_TREATMENT},{int(truth)}"
        for case, truth in zip(cases, ratings.truth, strict=True)
    ]
    for treatment, of_treatment in zip(treatments, ratings.scores, strict=True):
        for reader, scores in zip(readers, of_treatment.tolist(), strict=True):
            lines += [f"{reader},{case},{treatment},{score!r}" for case, score in zip(cases, scores, strict=True)]
    return "\n".join(lines) + "\n"


def _numbered(labels: tuple[str, ...]) -> list[str]:
    if all(label.isascii() and label.isdigit() and label == str(int(label)) and label != "0" for label in labels):
        return list(labels)
    return [str(number + 1) for number in range(len(labels))]


def _plain(text: str) -> str:
    """One line that no reader takes for a size or for the beginning of the data, whose marks all have a colon."""
    return " ".join(text.split()).replace(":", ";")
