"""`attack`: whether anything but the anatomy tells two groups of copies apart.

Everything that can be counted or measured of a copy becomes a score, and the area under the ROC curve of each score, by
which arm a copy is of, must contain 0.5 in its interval (DeLong, clustered by patient, Bonferroni over all scores). The
interval of a classifier on all that is measured, cross-validated by patient (95 %), must not lie above it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.reading.blinding.copies import BlindedCopies
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.reading.blinding.traces import KINDS, traces
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.statistics.estimate import Estimate
from mammosynth.reading.statistics.roc import auc_interval

HEADER, UIDS, SIZE, FILES, ORDER = "header", "UIDs", "size in bytes", "names and times of files", "order"
CLASSIFIER = "classifier"
ALL_KINDS = (HEADER, UIDS, SIZE, FILES, ORDER, *KINDS, CLASSIFIER)
_DRAWN = ((FILES, "names"), (ORDER, "place"))  # like UIDs random where nothing leaks: they only blur a classifier
LEAST = 20
"""Copies of each arm that are needed to tell anything."""
_LEVEL = 0.95
_FOLDS, _REPEATS = 5, 5  # of the cross-validation


@dataclass(frozen=True, eq=False)
class Exhibit:
    """A copy as an attacker may hold it, and whose it is.

    Attributes:
        patient: By whom copies belong together; not for telling them apart.
        header: Of the instance.
        pixels: (H, W) whole numbers.
        size: Of what is sent, in bytes.
        file: Name on the disk.
        modified: Time of the file, in seconds.
        order: Where it comes in what an attacker sees: on the disk, in answers.
    """

    patient: str
    header: Dataset
    pixels: np.ndarray
    size: int
    file: str
    modified: float
    order: int


@dataclass(frozen=True)
class Leak:
    """Something that tells the arms apart.

    Attributes:
        kind: One of `ALL_KINDS`.
        what: Which score.
        auc: Area under its ROC curve, from 0 to 1.
        low: End of its interval.
        high: The other end.
    """

    kind: str
    what: str
    auc: float
    low: float
    high: float

    def __str__(self) -> str:
        """As a line of a report."""
        return f"{self.kind}: {self.what} (AUC {self.auc:.2f}, {self.low:.2f} to {self.high:.2f})"


@dataclass(frozen=True)
class Attack:
    """What an attack on two arms came to.

    Attributes:
        arms: The two.
        copies: How many there are of each.
        scores: How many were tried.
        classifier: Area under the ROC curve of all of them together, with its 95 % interval.
        leaks: What was found, worst first.
    """

    arms: tuple[str, str]
    copies: tuple[int, int]
    scores: int
    classifier: tuple[float, float, float]
    leaks: tuple[Leak, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def attack_study(copies: BlindedCopies, protocol: Protocol) -> list[Attack]:
    """Attack every pair of arms of a study that was blinded.

    Raises:
        DataError: If an arm has too few copies to tell, or a copy is missing or damaged.
    """
    own = copies.groups()
    groups = {arm: list(_exhibits(copies, protocol, own[arm])) for arm in protocol.arms if arm in own}
    return [attack((one, other), groups[one], groups[other], copies.rule) for one, other in combinations(groups, 2)]


def _exhibits(copies: BlindedCopies, protocol: Protocol, own: Sequence[Any]) -> Iterator[Exhibit]:
    for case, image in own:
        content = image.pixels()
        pixels = np.frombuffer(content, "<u2").reshape(copies.rule.rows, copies.rule.columns)
        status = image.file.stat()
        yield Exhibit(
            protocol.cases[case].patient,
            image.header(),
            pixels,
            status.st_size,
            image.file.name,
            status.st_mtime,
            image.uids.position,
        )


def attack(arms: tuple[str, str], first: Sequence[Exhibit], second: Sequence[Exhibit], rule: BlindingRule) -> Attack:
    """Try to tell two groups of copies apart.

    Args:
        arms: What they are called.
        first: Copies of one arm.
        second: Copies of the other.
        rule: They were made by.

    Raises:
        DataError: If a group has less than `LEAST` copies.
    """
    if min(len(first), len(second)) < LEAST:
        raise DataError(
            f"{arms[0]} has {count_of(len(first), 'copy', 'copies')} and {arms[1]} {len(second)}, expected at least "
            f"{LEAST} of each to tell whether they can be told apart; add cases"
        )
    everything = [*first, *second]
    truth = np.arange(len(everything)) >= len(first)
    patients = np.array([each.patient for each in everything])
    scores = {key: values for key, values in _scores(everything, rule).items() if np.ptp(values) > 0}
    level = 1 - (1 - _LEVEL) / max(len(scores), 1)
    leaks = []
    for (kind, what), values in scores.items():
        found = _interval(values, truth, patients, level)
        if _tells(found):
            leaks.append(Leak(kind, what, found.value, found.low, found.high))
    measured = {key: values for key, values in scores.items() if key not in _DRAWN and key[0] != UIDS}
    together = _classifier(measured, truth, patients)
    if together.low > 0.5:  # noqa: PLR2004 - it is scored on patients it has not seen: below chance it knows nothing
        leaks.append(Leak(CLASSIFIER, "all scores together", together.value, together.low, together.high))
    leaks.sort(key=lambda leak: -abs(leak.auc - 0.5))
    figures = together.value, together.low, together.high
    return Attack(arms, (len(first), len(second)), len(scores), figures, tuple(leaks))


def _interval(scores: np.ndarray, truth: np.ndarray, patients: np.ndarray, level: float) -> Estimate:
    """DeLong's; where every patient has the same scores in both arms, nothing varies, and there is no interval."""
    with np.errstate(invalid="ignore"):
        found = auc_interval(scores, truth, patients=patients, level=level)
    return found if np.isfinite(found.low) else Estimate(found.value, found.value, found.value, 0.0, level)


def _tells(found: Estimate) -> bool:
    return not found.low <= 0.5 <= found.high  # noqa: PLR2004 (chance)


def _scores(everything: Sequence[Exhibit], rule: BlindingRule) -> dict[tuple[str, str], np.ndarray]:
    """Every score of every copy, (N,) each; what a copy lacks has the median of the others."""
    found: dict[tuple[str, str], np.ndarray] = {}
    found.update(_of_headers([each.header for each in everything]))
    found.update(_of_uids([each.header for each in everything]))
    found[SIZE, "bytes"] = np.array([each.size for each in everything], float)
    found[FILES, "names"] = _ranks([each.file for each in everything])
    found[FILES, "length of names"] = np.array([len(each.file) for each in everything], float)
    found[FILES, "times"] = np.array([each.modified for each in everything], float)
    found[ORDER, "place"] = np.array([each.order for each in everything], float)
    own = [traces(each.pixels, rule) for each in everything]
    for key in own[0]:
        values = np.array([each[key] for each in own], float)
        median = np.nanmedian(values) if np.isfinite(values).any() else 0.0
        found[key] = np.where(np.isfinite(values), values, median)
    return found


def _of_headers(headers: Sequence[Dataset]) -> dict[tuple[str, str], np.ndarray]:
    """Of each element, whether it is there and has each of its values; UIDs of instances apart."""
    flat = [dict(_elements(header)) for header in headers]
    found = {}
    for name in sorted({name for each in flat for name in each}):
        values = [each.get(name, "(absent)") for each in flat]
        for value in sorted(set(values)) if len(set(values)) < len(values) else ():
            found[HEADER, f"{name} is {value[:40]!r}"] = np.array([each == value for each in values], float)
        found[HEADER, f"length of {name}"] = np.array([len(each) for each in values], float)
    return found


def _elements(dataset: Dataset, before: str = "") -> Iterator[tuple[str, str]]:
    """Names and texts of all elements, file meta information and nested ones included."""
    if not before and getattr(dataset, "file_meta", None) is not None:
        yield from _elements(dataset.file_meta, "meta ")
    for element in dataset:
        name = f"{before}{element.tag} {element.keyword}"
        if element.VR == "SQ":
            yield name, str(len(element.value))
            for number, item in enumerate(element.value):
                yield from _elements(item, f"{name}[{number}].")
        elif element.keyword not in _UIDS:
            yield name, f"{element.VR} {element.value}"  # numbers as they are written


_UIDS = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "MediaStorageSOPInstanceUID")


def _of_uids(headers: Sequence[Dataset]) -> dict[tuple[str, str], np.ndarray]:
    """Of each kind of UID: root, length, order, and how even its digits are."""
    found = {}
    for keyword in _UIDS[:3]:
        uids = [str(header[keyword].value) if keyword in header else "" for header in headers]
        roots = [".".join(uid.split(".")[:-1]) for uid in uids]
        for root in sorted(set(roots)):
            found[UIDS, f"{keyword} is under {root!r}"] = np.array([each == root for each in roots], float)
        found[UIDS, f"length of {keyword}"] = np.array([len(uid) for uid in uids], float)
        found[UIDS, f"order of {keyword}"] = np.array([_number(uid) for uid in uids], float)
        found[UIDS, f"entropy of {keyword}"] = np.array([_entropy(uid.rpartition(".")[2]) for uid in uids])
    return found


def _number(uid: str) -> float:
    last = uid.rpartition(".")[2]
    return float(int(last)) if last.isdigit() else 0.0


def _entropy(digits: str) -> float:
    """Bits a digit."""
    shares = np.unique(list(digits), return_counts=True)[1] / max(len(digits), 1)
    return float(-(shares * np.log2(shares)).sum())


def _ranks(texts: Sequence[str]) -> np.ndarray:
    place = {text: number for number, text in enumerate(sorted(set(texts)))}
    return np.array([place[text] for text in texts], float)


def _classifier(scores: Mapping[tuple[str, str], np.ndarray], truth: np.ndarray, patients: np.ndarray) -> Estimate:
    """Logistic regression on all scores, cross-validated by patient, the mean rank of several divisions."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer

    if not scores:
        return Estimate(0.5, 0.5, 0.5, 0.0)
    table = np.stack(list(scores.values()), axis=1)
    total = np.zeros(truth.size)
    for seed in range(_REPEATS):
        for train, test in StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed).split(table, truth, patients):
            model = make_pipeline(
                QuantileTransformer(n_quantiles=min(len(train), 100), output_distribution="normal"),
                LogisticRegression(C=0.1, max_iter=2000),
            )
            total[test] += model.fit(table[train], truth[train]).decision_function(table[test])
    return _interval(total, truth, patients, _LEVEL)
