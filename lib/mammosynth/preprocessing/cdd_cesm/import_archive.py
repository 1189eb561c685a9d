"""From the archive that CDD-CESM's authors published to the folder that training and evaluation read.

Khaled et al. (2022), doi:10.1038/s41597-022-01238-0; data: doi:10.7937/29kw-ae92, CC BY 4.0.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from mammosynth import __version__
from mammosynth.digests import file_sha256
from mammosynth.errors import DataError, OutputError
from mammosynth.parallel.engine import in_order
from mammosynth.parallel.local import LocalEngine
from mammosynth.preprocessing.cdd_cesm.annotations import read_annotations
from mammosynth.preprocessing.cdd_cesm.names import SUFFIXES, ImageName, Kind, parse_name
from mammosynth.preprocessing.cdd_cesm.prepare import Exposure, Prepared, prepare_exposure
from mammosynth.preprocessing.cdd_cesm.regions import POINT_RADIUS_PX, Region, read_regions
from mammosynth.preprocessing.cdd_cesm.splits import split_of

PAIRS, BREASTS, CITATION, REPORT = "pairs.csv", "breasts_cc_mlo.csv", "dataset_citation.txt", "import.json"
PAIR_COLUMNS = (
    "split", "patient", "side", "view", "low_energy", "recombined", "pathology", "age", "density", "birads_dm",
    "birads_cm", "tags_dm", "tags_cm", "machine", "breast_iou", "mask_dice", "ncc_raw", "ncc_reg", "scale", "dy", "dx",
    "iou_reg", "gradient_correlation",
)  # fmt: skip
BREAST_COLUMNS = (
    "split", "patient", "side", "density", "cc_low_energy", "cc_recombined", "mlo_low_energy", "mlo_recombined",
)  # fmt: skip
PATHOLOGY = "Pathology Classification/ Follow up"


@dataclass(frozen=True)
class ImportSettings:
    """What an import depends on besides its source: version of this software, and choices."""

    mammosynth: str
    split_seed: int | None
    pathologies: tuple[str, ...]
    point_radius_px: int


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        pairs: How many were written, by split.
        breasts: How many have both views.
        refused: Every file or pair that is left out, and why.
        odd: What was used although something about it is unusual.
        without_regions: Images on which nothing is drawn; usual for normal breasts.
        without_image: What is drawn on images that are not there.
        settings: Version and choices.
    """

    pairs: dict[str, int]
    breasts: int
    refused: list[str]
    odd: list[str]
    without_regions: list[str]
    without_image: list[str]
    settings: ImportSettings


@dataclass(frozen=True)
class _Archive:
    images: dict[ImageName, Path]
    regions: dict[ImageName, list[Region]]
    annotations: dict[ImageName, dict[str, str]]
    refused: list[str]
    odd: list[str]


def import_cdd_cesm(
    source: Path,
    output: Path,
    *,
    split_seed: int | None = None,
    pathologies: Sequence[str] = (),
    workers: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> ImportReport:
    """Write the folder that `read_cdd_cesm` reads. The same source gives the same bytes.

    Patients of this project's fixed split keep theirs. All others get the split `other`, which neither training nor
    evaluation uses by itself, or, with a seed, one of train, val and test by a hash of seed and patient.

    Args:
        source: Holds the images and `Radiology_hand_drawn_segmentations*.csv`, and may hold
            `Radiology-manual-annotations` (.xlsx or .csv), all anywhere below.
        output: Absent or empty; appears when everything is done.
        split_seed: For patients outside the fixed split; None: they get `other`.
        pathologies: Values of the annotations' pathology (Benign, Malignant, Normal) to take; none: all.
        workers: Processes.
        progress: Called with finished and all pairs, and the name of the one just finished.

    Raises:
        DataError: If the source has no usable pair, or no table of regions; all reasons are listed.
        OutputError: If the output holds something or cannot be written.
    """
    _check_output(output)
    archive = _read_archive(source)
    exposures = _pair(archive, pathologies)
    if not exposures:
        raise DataError("\n  ".join([f"{source.name}: no pair of images to import", *archive.refused]))
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
            folder = Path(scratch) / "import"
            for kind in ("images", "masks"):
                (folder / "512" / kind).mkdir(parents=True)
            prepared = list(_prepare(exposures, folder, workers, progress))
            settings = ImportSettings(__version__, split_seed, tuple(pathologies), POINT_RADIUS_PX)
            report = _write_tables(folder, archive, prepared, settings)
            folder.rename(output)
    except OSError as error:
        raise OutputError(
            f"{output.name}: cannot be written ({error.strerror}); make free space, or choose another place"
        ) from error
    return report


def _check_output(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise OutputError(f"{output.name}: holds something already; give a folder that is absent or empty")


def _read_archive(source: Path) -> _Archive:
    if not source.is_dir():
        raise DataError(f"{source.name}: is no folder; give the one that holds the archive")
    found = [path for path in sorted(source.rglob("*")) if path.is_file() and not path.name.startswith((".", "~"))]
    drawn = _find_table(found, "handdrawnsegmentation", (".csv",))
    if drawn is None:
        raise DataError(
            f"{source.name}: Radiology_hand_drawn_segmentations_v2.csv is missing; put it below this folder, "
            "every mask is made from it"
        )
    regions, odd = read_regions(drawn)
    labels = _find_table(found, "manualannotation", (".csv", ".xlsx"))
    if labels is None:
        odd.append("Radiology-manual-annotations is missing; columns such as pathology and density stay empty")
    images, refused = _find_images(found, source, odd)
    return _Archive(images, regions, read_annotations(labels) if labels else {}, refused, odd)


def _find_table(found: Sequence[Path], words: str, suffixes: Sequence[str]) -> Path | None:
    """The last by name, which is the newest version, of the files whose name holds the words in any spelling."""
    named = [
        path
        for path in found
        if path.suffix.lower() in suffixes and words in "".join(filter(str.isalnum, path.stem.lower()))
    ]
    return max(named, key=lambda path: (path.stem, path.suffix), default=None)


def _find_images(found: Sequence[Path], source: Path, odd: list[str]) -> tuple[dict[ImageName, Path], list[str]]:
    """The file of each image, and what is refused; of files with the same bytes the first is taken."""
    files_of: dict[ImageName, list[Path]] = {}
    for path in found:
        if path.suffix.lower() not in SUFFIXES:
            continue
        if (name := parse_name(path.name)) is None:
            odd.append(f"{path.relative_to(source)}: is not named P<patient>_<L|R>_<DM|CM>_<CC|MLO>; left out")
        else:
            files_of.setdefault(name, []).append(path)
    images, refused = {}, []
    for name, paths in files_of.items():
        listed = ", ".join(str(path.relative_to(source)) for path in paths)
        if len({file_sha256(path) for path in paths if len(paths) > 1}) > 1:
            refused.append(f"{name.stem}: files that differ claim to be this image ({listed}); keep one of them")
            continue
        if len(paths) > 1:
            odd.append(f"{name.stem}: is there more than once ({listed}); the first was used")
        images[name] = paths[0]
        if name.repeat > 1:
            odd.append(f"{name.stem}: is a second image of its view; imported as a pair of its own")
    return images, refused


def _pair(archive: _Archive, pathologies: Sequence[str]) -> list[Exposure]:
    """Images with their partners, in order of patient; images without a partner are refused."""
    wanted = {pathology.lower() for pathology in pathologies}
    known = {row[PATHOLOGY].lower() for row in archive.annotations.values()}
    if unknown := wanted - known:
        found = ", ".join(sorted(known)) or "no annotations"
        raise DataError(f"pathology {', '.join(sorted(unknown))} is not in the annotations, found {found}")
    exposures = []
    for name in sorted(archive.images, key=lambda name: (name.pair, name.kind)):
        if name.partner not in archive.images:
            archive.refused.append(
                f"{archive.images[name].name}: its partner {name.partner.stem} is missing or refused"
            )
        elif name.kind is Kind.LOW_ENERGY and (not wanted or _label(archive, name, PATHOLOGY).lower() in wanted):
            exposures.append(
                Exposure(
                    low_energy=(name, archive.images[name]),
                    recombined=(name.partner, archive.images[name.partner]),
                    low_energy_regions=archive.regions.get(name, ()),
                    recombined_regions=archive.regions.get(name.partner, ()),
                )
            )
    return exposures


def _label(archive: _Archive, name: ImageName, column: str) -> str:
    return archive.annotations.get(name, {}).get(column, "")


def _prepare(
    exposures: Sequence[Exposure], folder: Path, workers: int, progress: Callable[[int, int, str], None] | None
) -> Iterator[Prepared]:
    """In the order of the exposures, whatever the number of workers."""
    prepare = partial(prepare_exposure, folder=folder)
    yield from _report_each(in_order(LocalEngine(workers), prepare, exposures), len(exposures), progress)


def _report_each(
    results: Iterator[Prepared], total: int, progress: Callable[[int, int, str], None] | None
) -> Iterator[Prepared]:
    for done, result in enumerate(results, 1):
        if progress is not None:
            progress(done, total, result.exposure.low_energy[0].stem)
        yield result


def _write_tables(
    folder: Path, archive: _Archive, prepared: Sequence[Prepared], settings: ImportSettings
) -> ImportReport:
    used = [result for result in prepared if not result.refused]
    refused = [*archive.refused, *(reason for result in prepared for reason in result.refused)]
    if not used:
        raise DataError("\n  ".join(["no pair can be used:", *refused]))
    rows = [
        _pair_row(result, archive, split_of(result.exposure.low_energy[0].patient_id, settings.split_seed))
        for result in used
    ]
    breasts = _breast_rows(used, rows)
    _write_csv(folder / PAIRS, PAIR_COLUMNS, rows)
    _write_csv(folder / BREASTS, BREAST_COLUMNS, breasts)
    (folder / CITATION).write_text(files(__package__).joinpath(CITATION).read_text("utf-8"), encoding="utf-8")
    taken = {image[0] for result in used for image in (result.exposure.low_energy, result.exposure.recombined)}
    report = ImportReport(
        pairs={split: sum(row["split"] == split for row in rows) for split in sorted({row["split"] for row in rows})},
        breasts=len(breasts),
        refused=refused,
        odd=[*archive.odd, *(f"{r.exposure.low_energy[0].stem}: {text}" for r in used for text in r.odd)],
        without_regions=sorted(name.stem for name in taken if name not in archive.regions),
        without_image=sorted(name.stem for name in archive.regions if name not in archive.images),
        settings=settings,
    )
    (folder / REPORT).write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    return report


def _pair_row(result: Prepared, archive: _Archive, split: str) -> dict[str, str]:
    low_energy, recombined = result.exposure.low_energy[0], result.exposure.recombined[0]
    return {
        "split": split,
        "patient": low_energy.patient_id,
        "side": low_energy.side,
        "view": low_energy.view,
        "low_energy": f"{low_energy.stem}.png",
        "recombined": f"{recombined.stem}.png",
        "pathology": _label(archive, low_energy, PATHOLOGY),
        "age": _label(archive, low_energy, "Age"),
        "density": _label(archive, low_energy, "Breast density (ACR)"),
        "birads_dm": _label(archive, low_energy, "BIRADS"),
        "birads_cm": _label(archive, recombined, "BIRADS"),
        "tags_dm": _label(archive, low_energy, "Tags"),
        "tags_cm": _label(archive, recombined, "Tags"),
        "machine": _label(archive, low_energy, "Machine"),
        **result.measured,
    }


def _breast_rows(used: Sequence[Prepared], rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Breasts of which both views are there; a view's second image is no view of its own."""
    first = {result.exposure.low_energy[0].pair: row for result, row in zip(used, rows, strict=True)}
    breasts = []
    for (patient, side, view, repeat), cc in first.items():
        mlo = first.get((patient, side, "MLO", 1))
        if view == "CC" and repeat == 1 and mlo is not None:
            images = {
                f"{name}_{kind}": row[kind]
                for name, row in (("cc", cc), ("mlo", mlo))
                for kind in ("low_energy", "recombined")
            }
            breasts.append({column: cc[column] for column in ("split", "patient", "side", "density")} | images)
    return breasts


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
