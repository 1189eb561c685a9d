"""One case of a data set: what is planned, and its files, which follow from specification, seed and number alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from mammosynth.atomic import write_json
from mammosynth.bundle import Bundle, load_bundle
from mammosynth.dicom.derive import derive_instances
from mammosynth.dicom.derived_uids import content_identity, derived_uid, work_digest
from mammosynth.dicom.mark import burn_in_mark
from mammosynth.dicom.placement import Identify, fictitious_patient_id
from mammosynth.dicom.write import write_instance
from mammosynth.digests import file_sha256
from mammosynth.errors import InvalidParameterError, MammoSynthError, OutputError
from mammosynth.files import write_image, write_label_map
from mammosynth.journey import Given, Order, Work, perform
from mammosynth.label_map import LabelMap
from mammosynth.parallel.threads import one_thread
from mammosynth.preprocessing.look import Look
from mammosynth.synthesis.result import Result
from mammosynth.task import IMAGE, LABELS
from mammosynth.tasks.mask.bulk.quotas import crossed
from mammosynth.tasks.mask.bulk.specification import NONE, BulkSpec
from mammosynth.tasks.mask.classes import LESION_CLASSES
from mammosynth.tasks.mask.labels.draw import NoRoomError, WantedLesion, draw_label_map
from mammosynth.tasks.mask.labels.drawable import pixel_mm_of
from mammosynth.tasks.mask.roles import LABEL_MAP
from mammosynth.terms import ImageLaterality, ViewPosition

CREATED = datetime(2000, 1, 1, tzinfo=UTC)
"""In every header, for a file must not depend on the day on which it is made."""
BREASTS = 40
"""Drawn at most, until one has room for the lesions."""
RECORDS = "records"
_FOLDERS = {IMAGE: "images", LABELS: "labels"}
_ENDINGS = {"png": ".png", "dicom": ".dcm"}
_ORDER = 17
"""Of the numbers that are drawn from a seed, those that shuffle."""


@dataclass(frozen=True)
class Shared:
    """What all cases of a data set have in common.

    Attributes:
        specification: What was asked for.
        bundle: Folder of the model.
        device: A torch device; on "cpu" the same specification gives the same bytes.
    """

    specification: BulkSpec
    bundle: Path
    device: str = "cpu"


@dataclass(frozen=True)
class PlannedCase:
    """What one case is to be; the values are those of the specification."""

    number: int
    density: str
    view_position: str
    image_laterality: str
    look: str
    lesions: str
    split: str

    @property
    def name(self) -> str:
        """Of its files, which tells view and side to whoever reads them without the table."""
        return f"case-{self.number:06d}_{self.image_laterality}_{self.view_position}"


def plan(specification: BulkSpec, count: int) -> list[PlannedCase]:
    """All cases of a data set: exact quotas, crossed, in an order that is shuffled by the seed."""
    kinds = crossed(count, specification.axes())
    order = np.random.default_rng([specification.seed, _ORDER]).permutation(count)
    return [PlannedCase(number, **kinds[place]) for number, place in enumerate(order)]


def check_model(shared: Shared) -> Bundle:
    """The model, if it can make what is asked for.

    Raises:
        BundleError: If it cannot be loaded.
        InvalidParameterError: If it lacks the rendering or the look.
    """
    bundle, specification = _bundle(shared.bundle, shared.device), shared.specification
    bundle.rendering(specification.rendering)
    other = [name for name, weight in specification.look.items() if weight and name != Look.DIGITAL]
    if other and "look" not in bundle.synthesizer.parameters.model_fields:
        raise InvalidParameterError(
            f"parameter 'look' is {other[0]!r}, expected {Look.DIGITAL}: model {bundle.name} has no other"
        )
    return bundle


def finished_case(folder: Path, planned: PlannedCase) -> dict[str, Any] | None:
    """The record of a case; None if it is not there, or of another one, or a file is not as it was written."""
    try:
        record = json.loads(_record_path(folder, planned).read_text(encoding="utf-8"))
        files = record["files"].values()
        whole = asdict(planned).items() <= record.items() and len(files) == len(_FOLDERS)
        whole = whole and all(file_sha256(folder / file["name"]) == file["sha256"] for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if whole else None


def make_case(folder: Path, shared: Shared, planned: PlannedCase) -> dict[str, Any] | str:
    """Write image, label map and, last, the record of one case.

    Returns:
        The record, or why it cannot be made.

    Raises:
        OutputError: If a file cannot be written.
    """
    if (record := finished_case(folder, planned)) is not None:
        return record  # the worker that was given it before died after its end
    try:
        with one_thread():
            return _make(folder, shared, planned)
    except OutputError:
        raise
    except MammoSynthError as error:
        return f"{planned.name}: {error}"


def _make(folder: Path, shared: Shared, planned: PlannedCase) -> dict[str, Any]:
    specification, bundle = shared.specification, _bundle(shared.bundle, shared.device)
    drawn, attempt = _draw(specification, planned)
    asked = {
        "rendering": specification.rendering,
        "seed": _seed(specification, planned, attempt) % 2**31,
        "burned_in_mark": specification.burned_in_mark,
        "density": planned.density,
        "look": planned.look,
    }
    known = {*bundle.synthesizer.parameters.model_fields, "rendering", "seed", "burned_in_mark"}
    order = Order.parse(bundle, {name: value for name, value in asked.items() if name in known})
    given = Given(content_identity(drawn.labels.tobytes() + planned.name.encode()), lambda _: drawn)
    return perform(order, {LABEL_MAP: given}, _Folder(folder, specification.format, planned))


def _draw(specification: BulkSpec, planned: PlannedCase) -> tuple[LabelMap, int]:
    """The first breast that has room for its lesions, and how many were drawn before it."""
    kinds = [] if planned.lesions == NONE else planned.lesions.split("+")
    sizes = {kind: (limits[0], limits[1]) for kind, limits in specification.lesion_mm.items()}
    wanted = [WantedLesion(LESION_CLASSES[kind], sizes.get(kind)) for kind in kinds]
    for attempt in range(BREASTS):
        try:
            drawn = draw_label_map(
                _seed(specification, planned, attempt),
                density=planned.density,  # type: ignore[arg-type]  # one of the table, which the specification checks
                lesions=wanted,
                view_position=ViewPosition(planned.view_position),
                image_laterality=ImageLaterality(planned.image_laterality),
                shape=(specification.shape[0], specification.shape[1]),
            )
        except NoRoomError:
            continue
        spacing = pixel_mm_of(drawn.labels.shape, None)
        return replace(drawn, source_name=planned.name, pixel_spacing_mm=(spacing, spacing)), attempt
    raise InvalidParameterError(
        f"none of {BREASTS} breasts has room for {planned.lesions}; ask for smaller or fewer lesions"
    )


def _seed(specification: BulkSpec, planned: PlannedCase, attempt: int) -> int:
    drawn = np.random.SeedSequence([specification.seed, planned.number, attempt]).generate_state(1, np.uint64)
    return int(drawn[0] >> np.uint64(1))


class _Folder:
    """The sink of one case; see `journey.Sink`."""

    def __init__(self, folder: Path, file_format: str, planned: PlannedCase) -> None:
        self._folder, self._format, self._planned = folder, file_format, planned

    def find(self, work: Work) -> None:
        """Nothing: a case that is there was found by its record."""
        return

    def store(self, work: Work, result: Result, known: dict[str, Any] | None) -> dict[str, Any]:
        """Write image, label map and record, which is given back."""
        result = replace(result, provenance=replace(result.provenance, created=CREATED))
        digest = work_digest(**work.ingredients())

        def identify(kind: str, role: str) -> str:
            return derived_uid(digest, kind, role)

        ending = _ENDINGS[self._format]
        names = {role: f"{_FOLDERS[role]}/{self._planned.name}{ending}" for role in work.roles}
        paths = {role: self._folder / name for role, name in names.items()}
        marked = work.order.settings.burned_in_mark
        if self._format == "dicom":
            _write_dicom(result, paths, identify, marked=marked)
        else:
            _write_png(result, paths, marked=marked)
        labels = result[LABELS]
        record = {
            **asdict(self._planned),
            "name": self._planned.name,
            "patient": fictitious_patient_id(identify),
            "seed": work.order.settings.seed,
            "lesion_diameters_mm": _diameters(labels) if isinstance(labels, LabelMap) else {},
            "files": {role: {"name": names[role], "sha256": file_sha256(path)} for role, path in paths.items()},
        }
        write_json(_record_path(self._folder, self._planned), record, indent=1)
        return record


def _write_png(result: Result, paths: Mapping[str, Path], *, marked: bool) -> None:
    image, labels = result.image, result[LABELS]
    assert isinstance(labels, LabelMap)  # noqa: S101 (what the role means)
    write_image(paths[IMAGE], burn_in_mark(image.pixels, image) if marked else image.pixels, image, None)
    write_label_map(paths[LABELS], labels, image)


def _write_dicom(result: Result, paths: Mapping[str, Path], identify: Identify, *, marked: bool) -> None:
    instances = derive_instances(
        result.outputs, result.provenance, result.task.placement, None, identify=identify, burned_in_mark=marked
    )
    for output, dataset in zip(result.outputs, instances, strict=True):
        write_instance(dataset, paths[output.role])


def _diameters(drawn: LabelMap) -> dict[str, list[float]]:
    """Of every mass, that of the circle of its area; of all calcifications, the longer side of their box."""
    pixel_mm = pixel_mm_of(drawn.labels.shape, drawn.pixel_spacing_mm)
    found: dict[str, list[float]] = {}
    for name, kind in LESION_CLASSES.items():
        mask = drawn.labels == kind
        if not mask.any():
            continue
        if name == "calcification":
            sizes = [max(float(np.ptp(places) + 1) for places in np.nonzero(mask))]
        else:
            parts, count = ndimage.label(mask)
            sizes = [float(2 * np.sqrt(area / np.pi)) for area in np.bincount(parts.ravel())[1 : count + 1]]
        found[name] = [round(size * pixel_mm, 1) for size in sizes]
    return found


def _record_path(folder: Path, planned: PlannedCase) -> Path:
    return folder / RECORDS / f"{planned.name}.json"


@cache
def _bundle(folder: Path, device: str) -> Bundle:
    """Loaded once in every process."""
    return load_bundle(folder, device)
