"""Can phantoms be told from real mammograms? Six statistics of a display image, and how well classifiers separate them.

What is compared is the low-energy CC view as it is displayed. The figure that matters is the AUC of a classifier which
sees the six statistics only: 0.5 if nothing tells the two apart. An observer of the whole image would do better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from scipy.stats import ks_2samp
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammosynth.counts import count_of
from mammosynth.errors import DataError
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_auroc
from mammosynth.evaluation.texture import moments
from mammosynth.parallel.engine import Engine, in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.parallel.threads import one_thread
from mammosynth.phantom.clinic.case import generate_case
from mammosynth.phantom.parameters import CaseParameters, Density
from mammosynth.preprocessing.breast import erode, segment_breast
from mammosynth.preprocessing.pairs import read_table
from mammosynth.problems import Problems
from mammosynth.terms import ImageLaterality, ViewPosition

STATISTICS = ("beta", "mean", "variance", "skewness", "kurtosis", "fifth moment")
PIXEL_MM = 0.4  # images are compared on this grid
ROI_PX = 64  # 25.6 mm, as in Chen et al. (2012), doi:10.1118/1.3681948
BAND_PER_MM = (0.12, 0.7)  # frequencies of the fit: above the ROI's own window, below detail that is processed away
BINS = 8  # of log frequency, so that the many high frequencies do not outweigh the few low ones
RIM_MM = 4.8  # left out: skin, and the thickness that display processing evens out
REAL_PIXEL_MM = 0.1  # assumed: CDD-CESM's JPEGs do not say
COLUMNS = ("split", "file", "patient", "density")
FOLDS = 6
RESAMPLES = 1000
OCTAVES_PER_MM = ((0.04, 0.08), (0.08, 0.16), (0.16, 0.32), (0.32, 0.64), (0.64, 1.25))


@dataclass(frozen=True, eq=False)
class ImageStatistics:
    """The six statistics of one image.

    Attributes:
        values: (6,) float64 in the order of `STATISTICS`.
        octaves: (5,) float64, log2 of the mean power in the octaves of `OCTAVES_PER_MM`.
        patient: Groups the images of one patient, or names a phantom.
        density: None if it is not known.
        split: Of a real image.
    """

    values: np.ndarray
    octaves: np.ndarray
    patient: str = ""
    density: Density | None = None
    split: str = ""


def summary_statistics(
    display: np.ndarray, pixel_mm: float, *, patient: str = "", density: Density | None = None, split: str = ""
) -> ImageStatistics:
    """The six statistics of a low-energy CC view.

    Args:
        display: (H, W) float32 in [0, 1], MONOCHROME2, air dark.
        pixel_mm: Spacing, at most 0.4.
        patient: Taken over.
        density: Taken over.
        split: Taken over.

    Raises:
        ValueError: If pixels are larger than 0.4 mm.
        DataError: If the breast does not hold a single region of 25.6 mm.
    """
    image = _resample(display, pixel_mm)
    inner = erode(segment_breast(image), RIM_MM / PIXEL_MM)
    power = roi_power(image, inner)
    return ImageStatistics(
        values=np.array([spectral_slope(power), *moments(image[inner])]),
        octaves=_octave_power(power),
        patient=patient,
        density=density,
        split=split,
    )


def roi_power(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Mean power spectrum of the regions of 64 x 64 pixels, half overlapping, that lie in a mask.

    Each region has its mean removed and is windowed (Hann).

    Args:
        image: (H, W) float32.
        mask: (H, W) bool.

    Returns:
        (64, 64) float64 in the order of `numpy.fft.fftfreq`.

    Raises:
        DataError: If no region lies in the mask.
    """
    step = ROI_PX // 2
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    power, count = np.zeros((ROI_PX, ROI_PX)), 0
    window = np.outer(np.hanning(ROI_PX), np.hanning(ROI_PX))
    for row in range(rows[0], rows[-1] + 2 - ROI_PX, step) if rows.size else ():
        for column in range(columns[0], columns[-1] + 2 - ROI_PX, step):
            at = slice(row, row + ROI_PX), slice(column, column + ROI_PX)
            if mask[at].all():
                region = image[at].astype(np.float64)
                power += np.abs(np.fft.fft2((region - region.mean()) * window)) ** 2
                count += 1
    if not count:
        raise DataError(f"the breast holds no square of {ROI_PX * PIXEL_MM} mm, expected a larger one or a whole view")
    return power / count


def spectral_slope(power: np.ndarray) -> float:
    """Exponent beta of power ~ 1 / frequency ** beta between 0.12 and 0.7 per mm.

    Args:
        power: (64, 64) as `roi_power` returns it.

    Source: Burgess (1999), doi:10.1117/12.349652; real CC views 3.17 (sd 0.23): Chen et al. (2012),
    doi:10.1118/1.3681948.
    """
    frequency = _frequency()
    inside = (frequency >= BAND_PER_MM[0]) & (frequency <= BAND_PER_MM[1])
    x, y = np.log(frequency[inside]), np.log(power[inside])
    index = np.digitize(x, np.linspace(np.log(BAND_PER_MM[0]), np.log(BAND_PER_MM[1]), BINS + 1)[1:-1])
    count = np.bincount(index, minlength=BINS)
    used = count > 0
    mean_x, mean_y = (np.bincount(index, values, minlength=BINS)[used] / count[used] for values in (x, y))
    return -float(np.polyfit(mean_x, mean_y, 1)[0])


def read_real(folder: Path) -> list[ImageStatistics]:
    """Statistics of the real low-energy CC views of a CDD-CESM folder.

    Args:
        folder: Holds `full/cc_index.csv` and the images it names in `full/cc_low_energy`.

    Raises:
        DataError: If the layout is unknown or any file is bad; every bad file is listed.
    """
    rows = read_table(folder, "full/cc_index.csv", COLUMNS, images="full/cc_low_energy")
    if not rows:
        raise DataError("full/cc_index.csv: no rows, expected one per image")
    statistics, problems = [], Problems()
    for row in rows:
        with problems.catching(OSError, ValueError, DataError, UnidentifiedImageError, about=row["file"]):
            statistics.append(_read_statistics(folder, row))
    problems.raise_if_any(
        f"{folder.name}: {len(problems)} of {count_of(len(rows), 'image')} cannot be used; "
        "repair or remove these rows of full/cc_index.csv:"
    )
    return statistics


def phantom_statistics(cases: int, *, seed: int = 0, engine: Engine | None = None) -> Iterable[ImageStatistics]:
    """Statistics of the left CC view of phantom patients with density, lesions, vendor and enhancement drawn.

    Args:
        cases: How many.
        seed: Of the first; the following ones are seed + 1, ...
        engine: Where they are made; None: in this process.
    """
    return in_order(engine or LocalEngine(1), _phantom, range(seed, seed + cases))


def realism_report(
    real: Sequence[ImageStatistics],
    phantom: Sequence[ImageStatistics],
    *,
    seed: int = 0,
    repeats: int = 5,
    halves: int = 10,
) -> dict[str, Any]:
    """How well phantoms are told from real images, and by what.

    Args:
        real: At least 12 images.
        phantom: At least 12 images.
        seed: Of folds, forests and resamples.
        repeats: Cross-validations, whose scores are averaged.
        halves: Random divisions of the real patients for the floor.

    Returns:
        JSON-ready. "auc": by classifier "value", "low", "high" (95 %, patients resampled); "floor": by classifier the
        mean and range of the same AUC between random halves of the real patients; "statistics": by name means,
        standard deviations and Kolmogorov-Smirnov distance with its p; "beta": by density mean, standard deviation
        and number of real images and phantoms; "octaves": log2 ratio of phantom to real power.

    Raises:
        DataError: If there are fewer than 12 of either.
    """
    if min(len(real), len(phantom)) < 2 * FOLDS:
        raise DataError(
            f"{count_of(len(real), 'real image')} and {count_of(len(phantom), 'phantom')}, expected at least "
            f"{2 * FOLDS} of either; name more splits or more cases"
        )
    return {
        "real": len(real),
        "real_patients": len({image.patient for image in real}),
        "phantom": len(phantom),
        "auc": {name: _auc(real, phantom, name, seed, repeats) for name in CLASSIFIERS},
        "floor": {name: _floor(real, name, seed, halves) for name in CLASSIFIERS},
        "statistics": _compare_statistics(_table(real), _table(phantom)),
        "beta": {str(d): {"real": _beta(real, d), "phantom": _beta(phantom, d)} for d in (*Density, "all")},
        "octaves": _compare_octaves(real, phantom),
    }


def format_realism(report: dict[str, Any]) -> str:
    """The report as a table for a terminal."""
    lines = [
        f"{count_of(report['real'], 'real image')} of {count_of(report['real_patients'], 'patient')}, "
        f"{count_of(report['phantom'], 'phantom')}",
        f"{'AUC real v. phantom':24} {'value':>6}   95 % interval    real v. real (mean, range)",
    ]
    for name, auc in report["auc"].items():
        floor = report["floor"][name]
        lines.append(
            f"  {name:22} {auc['value']:6.2f}   {auc['low']:.2f} to {auc['high']:.2f}"
            f"     {floor['mean']:.2f}, {floor['low']:.2f} to {floor['high']:.2f}"
        )
    lines.append(f"{'statistic':16} {'real':>18} {'phantom':>18} {'KS':>6} {'p':>8}")
    for name, row in report["statistics"].items():
        pairs = "".join(f"  {row[side]['mean']:8.3f} ({row[side]['sd']:6.3f})" for side in ("real", "phantom"))
        lines.append(f"{name:16} {pairs} {row['ks']:6.2f} {row['p']:8.2g}")
    lines.append(f"{'beta by density':16} {'real (sd, n)':>20} {'phantom (sd, n)':>20}")
    for density, row in report["beta"].items():
        lines.append(f"  {density:14} " + "".join(f" {_format_beta(row[side]):>19}" for side in ("real", "phantom")))
    lines.append("log2 of phantom / real power by octave")
    for octave, row in report["octaves"].items():
        lines.append(f"  {octave:16} {row['ratio']:+.2f} (real sd {row['real_sd']:.2f})")
    return "\n".join(lines)


def _logistic(seed: int) -> ClassifierMixin:
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", random_state=seed))


def _forest(seed: int) -> ClassifierMixin:
    return RandomForestClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=seed)


CLASSIFIERS = {"logistic regression": _logistic, "random forest": _forest}


def _auc(
    real: Sequence[ImageStatistics], phantom: Sequence[ImageStatistics], classifier: str, seed: int, repeats: int
) -> dict[str, float | None]:
    """Of scores out of the fold; the images of a patient are never in different folds."""
    x = np.concatenate((_table(real), _table(phantom)))
    is_phantom = np.arange(len(x)) >= len(real)
    patients = [f"{n >= len(real)}{image.patient}" for n, image in enumerate((*real, *phantom))]
    scores = _scores(x, is_phantom, patients, CLASSIFIERS[classifier], seed, repeats)
    return interval(weighted_auroc(scores, is_phantom, resample_patients(patients, RESAMPLES, seed)))


def _scores(
    x: np.ndarray, target: np.ndarray, groups: Sequence[str], build: Any, seed: int, repeats: int
) -> np.ndarray:
    """Mean over repeats of the probability that each image is a target, by models that did not see its patient."""
    scores = np.zeros(len(x))
    for repeat in range(repeats):
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + repeat)
        for seen, unseen in folds.split(x, target, groups):
            model = build(seed + repeat).fit(x[seen], target[seen])
            scores[unseen] += model.predict_proba(x[unseen])[:, 1] / repeats
    return scores


def _floor(real: Sequence[ImageStatistics], classifier: str, seed: int, halves: int) -> dict[str, float]:
    """The AUC between random halves of the real patients: what no phantom can be better than."""
    x, patients = _table(real), np.array([image.patient for image in real])
    names, random = np.unique(patients), np.random.default_rng([seed, 1])
    values = []
    for _ in range(halves):
        half = np.isin(patients, random.permutation(names)[: len(names) // 2])
        scores = _scores(x, half, list(patients), CLASSIFIERS[classifier], seed, 1)
        values.append(float(weighted_auroc(scores, half, np.ones((1, len(x))))[0]))
    return {"mean": float(np.mean(values)), "low": min(values), "high": max(values)}


def _table(images: Sequence[ImageStatistics]) -> np.ndarray:
    return np.stack([image.values for image in images])


def _compare_statistics(real: np.ndarray, phantom: np.ndarray) -> dict[str, dict[str, Any]]:
    rows = {}
    for n, name in enumerate(STATISTICS):
        test = ks_2samp(real[:, n], phantom[:, n])
        sides = {
            side: {"mean": float(values[:, n].mean()), "sd": float(values[:, n].std(ddof=1))}
            for side, values in (("real", real), ("phantom", phantom))
        }
        rows[name] = {**sides, "ks": float(test.statistic), "p": float(test.pvalue)}
    return rows


def _beta(images: Sequence[ImageStatistics], density: Density | str) -> dict[str, float | int | None]:
    values = [image.values[0] for image in images if density in ("all", image.density)]
    return {
        "mean": float(np.mean(values)) if values else None,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "n": len(values),
    }


def _format_beta(row: dict[str, Any]) -> str:
    if not row["n"]:
        return "none"
    spread = "-" if row["sd"] is None else f"{row['sd']:.2f}"
    return f"{row['mean']:.2f} ({spread}, {row['n']})"


def _compare_octaves(
    real: Sequence[ImageStatistics], phantom: Sequence[ImageStatistics]
) -> dict[str, dict[str, float]]:
    real_power, phantom_power = (np.stack([image.octaves for image in images]) for images in (real, phantom))
    ratio, spread = phantom_power.mean(axis=0) - real_power.mean(axis=0), real_power.std(axis=0, ddof=1)
    return {
        f"{low} to {high} /mm": {"ratio": float(ratio[n]), "real_sd": float(spread[n])}
        for n, (low, high) in enumerate(OCTAVES_PER_MM)
    }


def _frequency() -> np.ndarray:
    axis = np.fft.fftfreq(ROI_PX, PIXEL_MM)
    return np.hypot(axis[:, None], axis)


def _octave_power(power: np.ndarray) -> np.ndarray:
    frequency = _frequency()
    bands = [(frequency >= low) & (frequency < high) for low, high in OCTAVES_PER_MM]
    return np.log2([power[band].mean() for band in bands])


def _resample(display: np.ndarray, pixel_mm: float) -> np.ndarray:
    """To 0.4 mm, each pixel the mean of the area it covers."""
    if pixel_mm > PIXEL_MM * 1.001:
        raise ValueError(f"pixels are {pixel_mm} mm, expected at most {PIXEL_MM}")
    height, width = (max(1, round(side * pixel_mm / PIXEL_MM)) for side in display.shape)
    if (height, width) == display.shape:
        return display
    image = Image.fromarray(np.ascontiguousarray(display, np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BOX))


def _read_statistics(folder: Path, row: dict[str, str]) -> ImageStatistics:
    with Image.open(folder / "full" / "cc_low_energy" / row["file"]) as image:
        pixels = np.asarray(image.convert("L"), np.float32) / np.float32(255)
    letter = row["density"].strip().lower()
    density = Density(letter) if letter in list(Density) else None
    return summary_statistics(pixels, REAL_PIXEL_MM, patient=row["patient"], density=density, split=row["split"])


def _phantom(seed: int) -> ImageStatistics:
    parameters = CaseParameters(seed, views=(ViewPosition.CC,), sides=(ImageLaterality.LEFT,), pixel_mm=PIXEL_MM)
    with one_thread():
        view = next(iter(generate_case(parameters)))
    return summary_statistics(view.low_energy, view.pixel_mm, patient=f"phantom {seed}", density=view.breast.density)
