"""`DATASET`: low-energy and recombined images as pairs, from CDD-CESM, from phantoms, from an archive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.errors import DataError
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import PAIRS, ContrastPair, read_cdd_cesm, splits
from mammosynth.tasks.contrast.preflight import check_pairs
from mammosynth.terms import PresentationIntentType
from mammosynth.training.dataset import Prepared, pseudonym_of

_LAYOUTS = (
    f"the layout of CDD-CESM ({PAIRS}, 512/images, 512/masks) or what `mammosynth phantom` writes (manifest.json)"
)


class ContrastDataset:
    """See `training.dataset.Dataset`."""

    def read(self, place: Path, split: str) -> list[ContrastPair]:
        """The pairs of one split of a folder of CDD-CESM or of phantoms.

        Raises:
            DataError: If the layout or the split is unknown, or any file is bad; every bad file is listed.
        """
        if _holds_phantoms(place):
            from mammosynth.phantom.clinic.read import read_phantoms  # its DICOM library may be absent where one trains

            return read_phantoms(place, split)
        _refuse_other_layouts(place)
        return read_cdd_cesm(place, split)

    def splits(self, place: Path) -> list[str]:
        """Names of the splits of a folder.

        Raises:
            DataError: If the layout is unknown.
        """
        if _holds_phantoms(place):
            from mammosynth.phantom.clinic.read import phantom_splits

            return phantom_splits(place)
        _refuse_other_layouts(place)
        return splits(place)

    def collect(self, images: Iterable[Mammogram], label_maps: Sequence[LabelMap]) -> list[ContrastPair]:
        """Low-energy and recombined views of the same study, side and view.

        Both come from one exposure under one compression, so they lie on each other as stored. Where an archive keeps
        the images For Processing, too, those For Presentation are used.

        Args:
            images: Of an archive.
            label_maps: Not used: what is drawn in an archive need not be a lesion.

        Raises:
            DataError: If no pair is found.
        """
        views: dict[tuple[str, str, str], dict[Exposure, Mammogram]] = defaultdict(dict)
        for view in images:
            exposure = exposure_of(view.header) if view.header is not None else None
            if exposure not in (Exposure.LOW_ENERGY, Exposure.RECOMBINED) or view.header is None:
                continue
            if view.view_position and view.image_laterality:
                key = (str(view.header.StudyInstanceUID), str(view.image_laterality), str(view.view_position))
                if exposure not in views[key] or not _is_for_processing(view):
                    views[key][exposure] = view
        pairs = [_pair(both, study) for (study, _, _), both in sorted(views.items()) if len(both) == 2]
        if not pairs:
            raise DataError(
                "the archive holds no pairs: expected, for one study, side and view, an image whose Image Type or "
                "Series Description says LOW ENERGY and one that says RECOMBINED"
            )
        return pairs

    def prepare(self, train: Sequence[ContrastPair], val: Sequence[ContrastPair], preprocessing: Any) -> Prepared:
        """All pairs in the frame of the network, if nothing is wrong with any; see `preflight`."""
        return check_pairs(train, val, preprocessing)


DATASET = ContrastDataset()


def _holds_phantoms(place: Path) -> bool:
    return (place / "manifest.json").is_file()


def _refuse_other_layouts(place: Path) -> None:
    if not (place / PAIRS).is_file():
        raise DataError(f"{place.name}: holds neither {PAIRS} nor manifest.json, expected {_LAYOUTS}")


def _is_for_processing(view: Mammogram) -> bool:
    return view.presentation_intent_type is PresentationIntentType.FOR_PROCESSING


def _pair(both: dict[Exposure, Mammogram], study: str) -> ContrastPair:
    low_energy = both[Exposure.LOW_ENERGY]
    return ContrastPair(low_energy, both[Exposure.RECOMBINED].pixels, pseudonym_of(low_energy, study))
