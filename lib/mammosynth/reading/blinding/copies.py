"""`blind` makes the copies of a study; `BlindedCopies` gives those of a reading.

The key, from the file of a copy to its source, is in the study store only. Files are named, ordered and dated so that
none of that tells an arm; the pixels follow from the source, the rule and the study's secret, so that lost files can be
made again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from mammosynth.atomic import write_bytes
from mammosynth.counts import count_of
from mammosynth.dicom.attributes import text_of
from mammosynth.dicom.generated import generated_mark_of
from mammosynth.dicom.mark import has_burned_in_mark
from mammosynth.errors import ConflictError, DataError, NotFoundError, UnreadableImageError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.problems import Problems
from mammosynth.reading.blinding.detail import coarsest
from mammosynth.reading.blinding.header import BlindedUids, blinded_header
from mammosynth.reading.blinding.pixels import Placement, blinded_pixels
from mammosynth.reading.blinding.rule import BlindingRule
from mammosynth.reading.blinding.sources import Read
from mammosynth.reading.design import Reading
from mammosynth.reading.protocol import Protocol
from mammosynth.reading.store import StudyStore
from mammosynth.terms import ImageLaterality, ViewPosition

Report = Callable[[int, int, str], None]
"""Told how many copies are done, how many there are, and which one is (never of which arm)."""
_MEASURED = 5  # images of each arm that the detail is measured of
_DATED = 946_684_800  # 2000-01-01, when every file says that it was changed


@dataclass(frozen=True)
class BlindedImage:
    """One image of a reading, as its reader gets it.

    Attributes:
        number: In the case, from 1.
        uids: Of the reading.
        rule: Of the study.
        image_laterality: Of the image.
        view_position: Of the image.
        placement: Where the source lies in it: for the server only.
        file: With the pixels, rows x columns x 2 bytes, little endian.
        sha256: Of that file.
    """

    number: int
    uids: BlindedUids
    rule: BlindingRule
    image_laterality: ImageLaterality
    view_position: ViewPosition
    placement: Placement = field(repr=False)
    file: Path = field(repr=False)
    sha256: str = field(repr=False)

    @property
    def study_instance_uid(self) -> str:
        """Of the reading."""
        return self.uids.study

    @property
    def series_instance_uid(self) -> str:
        """Of this image alone."""
        return self.uids.series(self.number)

    @property
    def sop_instance_uid(self) -> str:
        """Of this image."""
        return self.uids.instance(self.number)

    def header(self) -> Dataset:
        """The instance without its pixels."""
        return blinded_header(self.uids, self.number, self.rule, self.image_laterality, self.view_position)

    def pixels(self) -> bytes:
        """Those of the file.

        Raises:
            DataError: If the file is missing, or is not as it was made.
        """
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise DataError(f"a blinded copy cannot be read ({error.strerror}); blind the study again") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise DataError("a blinded copy is not as it was made; blind the study again")
        return content


class BlindedCopies:
    """The copies of a study that was blinded.

    Args:
        store: With its key.
        name: Of the study.
        folder: Of the copies of all studies, as given to `blind`.

    Raises:
        NotFoundError: If there is no such study.
        ConflictError: If it is not blinded.
    """

    def __init__(self, store: StudyStore, name: str, folder: Path) -> None:
        found = store.blinding(name)
        if found is None or not store.is_blinded(name):
            raise ConflictError(f"{name} has no blinded copies yet; its owner has to blind it first")
        self.rule = BlindingRule.model_validate_json(found["rule"])
        self._secret = bytes.fromhex(found["secret"])
        self._folder = folder / name
        self._copies: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for each in found["copies"]:
            self._copies.setdefault((each["case"], each["arm"]), []).append(each)

    def of(self, reading: Reading) -> tuple[BlindedImage, ...]:
        """The images that a reader sees in a reading, in their order."""
        uids = BlindedUids(self._secret, reading.reader, reading.session, reading.position)
        return tuple(self._image(uids, each) for each in self._copies[reading.case, reading.arm])

    def groups(self) -> dict[str, list[tuple[str, BlindedImage]]]:
        """For the attack suite: by arm, each copy with its patient's case, as a first reader would get it.

        The order of the copies is that of their files' names.
        """
        found: dict[str, list[tuple[str, BlindedImage]]] = {}
        entries = [each for copies in self._copies.values() for each in copies]
        for position, each in enumerate(sorted(entries, key=lambda entry: entry["file"]), start=1):
            uids = BlindedUids(self._secret, "attack", 1, position)
            found.setdefault(each["arm"], []).append((each["case"], self._image(uids, each)))
        return found

    def _image(self, uids: BlindedUids, entry: dict[str, Any]) -> BlindedImage:
        return BlindedImage(
            entry["number"],
            uids,
            self.rule,
            ImageLaterality(entry["image_laterality"]),
            ViewPosition(entry["view_position"]),
            Placement(**json.loads(entry["placement"])),
            self._folder / entry["file"],
            entry["sha256"],
        )


def blind(store: StudyStore, name: str, folder: Path, read: Read, report: Report = lambda *_: None) -> int:
    """Make the blinded copies of a study; those that are there already stay.

    A run that was stopped goes on where it was. After the key is finished, files that were lost are made again.

    Args:
        store: Where the study is open; the key goes there.
        name: Of the study.
        folder: For the copies of all studies; each has a folder of its own in it.
        read: Gives the images that the protocol names.
        report: Told of the progress.

    Returns:
        How many copies there are.

    Raises:
        NotFoundError: If there is no such study.
        ConflictError: If it is closed, or a source is another one than before.
        DataError: If images cannot be used, with every reason, or the arms of a case differ in what they show.
        OutputError: If a copy cannot be written.
    """
    protocol = store.study(name).protocol
    work = _works(protocol)
    secret, rule = _begun(store, protocol, read)
    making = _Making(store, name, folder / name, read, rule, bytes.fromhex(secret))
    known = {(each["case"], each["arm"], each["number"]): each for each in (store.blinding(name) or {})["copies"]}
    making.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    problems = Problems()
    for done, each in enumerate(sorted(work, key=making.file_name), start=1):
        with problems.catching(UnreadableImageError, UnsupportedImageError, DataError, NotFoundError):
            making.make(each, known.get((each.case, each.arm, each.number)))
        report(done, len(work), f"copy {done}")
    problems.raise_if_any(
        f"{len(problems)} of {count_of(len(work), 'image')} cannot be blinded; nothing is shown to readers yet:"
    )
    _refuse_other_views(store, name)
    store.finish_blinding(name)
    return len(work)


@dataclass(frozen=True)
class _Work:
    """One copy that is to be made."""

    case: str
    arm: str
    number: int
    source: str
    image_laterality: ImageLaterality | None
    view_position: ViewPosition | None


def _works(protocol: Protocol) -> list[_Work]:
    counts = {name: {len(images) for images in case.images.values()} for name, case in protocol.cases.items()}
    if uneven := [name for name, found in counts.items() if len(found) > 1]:
        raise DataError(
            f"case {uneven[0]} has more images in one arm than in another, which would tell them apart; open a study "
            "whose arms show the same views"
        )
    return [
        _Work(name, arm, number, source, case.breasts[0] if len(case.breasts) == 1 else None, case.view_position)
        for name, case in protocol.cases.items()
        for arm, images in case.images.items()
        for number, source in enumerate(images, start=1)
    ]


def _begun(store: StudyStore, protocol: Protocol, read: Read) -> tuple[str, BlindingRule]:
    """Secret and rule of a study, drawn and measured the first time."""
    if (known := store.blinding(protocol.name)) is None:
        rule = protocol.blinding or BlindingRule()
        if rule.detail is None:
            rule = rule.resolved(coarsest({arm: _some(protocol, arm, read) for arm in protocol.arms}, rule))
        text = json.dumps(rule.model_dump(mode="json"), sort_keys=True)
        secret, kept = store.begin_blinding(protocol.name, secrets.token_hex(32), text)
        return secret, BlindingRule.model_validate_json(kept)
    return known["secret"], BlindingRule.model_validate_json(known["rule"])


def _some(protocol: Protocol, arm: str, read: Read) -> Iterator[Mammogram]:
    own = [each for each in _works(protocol) if each.arm == arm]
    for each in own[:: max(1, len(own) // _MEASURED)][:_MEASURED]:
        yield _read(each, read)


def _read(work: _Work, read: Read) -> Mammogram:
    """A source with its view, refused if it is marked.

    Raises:
        UnsupportedImageError: If the pixels carry our mark, or nobody says which view it is.
    """
    image = read(work.source)
    is_marked = has_burned_in_mark(image.pixels)
    if image.header is not None and generated_mark_of(image.header):
        is_marked |= text_of(image.header, "BurnedInAnnotation") == "YES"
    if is_marked:
        raise UnsupportedImageError(
            f"{work.source}: carries the burned-in mark of synthesized images, which would tell its arm; synthesize it "
            "again without (`mammosynth synthesize --no-mark`, or burned_in_mark: false)"
        )
    image = _as_the_protocol_says(image, work)
    if image.image_laterality is None or image.view_position is None:
        raise UnsupportedImageError(
            f"{work.source}: nobody says which breast and view it is; say it in the header or the file's name (such as "
            "_R_CC), or as breasts and view_position of the case"
        )
    return image


def _as_the_protocol_says(image: Mammogram, work: _Work) -> Mammogram:
    """The image with the breast and view of its case: names of files tell what an image was made from as well.

    Raises:
        UnsupportedImageError: If its header says otherwise.
    """
    said = {"image_laterality": work.image_laterality, "view_position": work.view_position}
    known: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    for name, value in known.items():
        if image.header is not None and getattr(image, name) not in (None, value):
            raise UnsupportedImageError(
                f"{work.source}: its header says {getattr(image, name)}, case {work.case} of the protocol {value}; "
                "correct one of them"
            )
    return replace(image, **known)


@dataclass(frozen=True)
class _Making:
    """What the copies of a study have in common."""

    store: StudyStore
    name: str
    folder: Path
    read: Read
    rule: BlindingRule
    secret: bytes = field(repr=False)

    def _digest(self, purpose: str, work: _Work) -> bytes:
        words = json.dumps([purpose, work.case, work.arm, work.number]).encode()
        return hmac.new(self.secret, words, hashlib.sha256).digest()

    def file_name(self, work: _Work) -> str:
        """Nobody without the secret can tell what is in it; sorting by it is a random order."""
        return self._digest("file", work).hex()[:32]

    def make(self, work: _Work, known: dict[str, Any] | None) -> None:
        """Make a copy and keep its entry, unless both are there."""
        path = self.folder / self.file_name(work)
        if known is not None and _is_whole(path, known["sha256"]):
            return
        image = _read(work, self.read)
        seed = int.from_bytes(self._digest("noise", work)[:8], "big")
        pixels, placement = blinded_pixels(image, self.rule, seed)
        content = pixels.astype("<u2").tobytes()
        entry = {
            "case": work.case,
            "arm": work.arm,
            "number": work.number,
            "source": work.source,
            "file": path.name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "image_laterality": str(image.image_laterality),
            "view_position": str(image.view_position),
            "placement": json.dumps(placement.as_json(), sort_keys=True),
        }
        if known is not None and known["sha256"] != entry["sha256"]:
            self.store.keep_copy(self.name, entry)  # which says that it would be another one
        write_bytes(path, content)
        os.utime(path, (_DATED, _DATED))
        self.store.keep_copy(self.name, entry)


def _is_whole(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _refuse_other_views(store: StudyStore, name: str) -> None:
    """The arms of a case must show the same breasts and views in the same order."""
    views: dict[tuple[str, int], tuple[str, str]] = {}
    for each in (store.blinding(name) or {})["copies"]:
        view = each["image_laterality"], each["view_position"]
        if views.setdefault((each["case"], each["number"]), view) != view:
            if not store.is_blinded(name):
                store.drop_copies(name)  # else they would be taken for made
            raise DataError(
                f"image {each['number']} of case {each['case']} is {' '.join(views[each['case'], each['number']])} in "
                f"one arm and {' '.join(view)} in another, which would tell them apart; correct the sources' views"
            )
