"""Copies: made once, the same again, found by their reading only; the key is whole and in the store alone."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from mammosynth.dicom.mark import burn_in_mark
from mammosynth.errors import ConflictError, DataError, MammoSynthError
from mammosynth.mammogram import Mammogram
from mammosynth.reading.backup import restore_backup, write_backup
from mammosynth.reading.blinding.copies import BlindedCopies, blind
from mammosynth.reading.design import Reading
from mammosynth.reading.store import StudyStore
from mammosynth.reading.verify import problems_of
from mammosynth.terms import ViewPosition
from tests.support.blinded import COLUMNS, ROWS, blinded_protocol, read
from tests.support.studies import case


@pytest.fixture
def opened(store: StudyStore) -> StudyStore:
    """A store with the small study."""
    store.open_study(blinded_protocol(), "owner")
    return store


def first_reading(store: StudyStore, reader: str = "ann") -> Reading:
    found = store.next_reading("small", reader)
    assert found is not None
    return found


def test_every_image_of_every_arm_gets_a_copy_of_the_same_size_and_date(opened: StudyStore, tmp_path: Path) -> None:
    assert blind(opened, "small", tmp_path, read) == 12
    files = list((tmp_path / "small").iterdir())
    assert len(files) == 12
    assert len({(file.stat().st_size, file.stat().st_mtime) for file in files}) == 1
    assert not any(word in file.name for file in files for word in ("clinical", "synthesized", "case", "P0"))
    assert problems_of(opened.content("small")) == []


def test_a_reading_gives_header_pixels_and_uids_of_its_own(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path, read)
    copies = BlindedCopies(opened, "small", tmp_path)
    reading = first_reading(opened)
    (image,) = copies.of(reading)
    pixels = np.frombuffer(image.pixels(), "<u2").reshape(ROWS, COLUMNS)
    assert pixels.max() < 4096
    assert image.header().SOPInstanceUID == image.sop_instance_uid
    (other,) = copies.of(replace(reading, reader="bob"))
    (again,) = copies.of(replace(reading, session=2))
    uids = [each.sop_instance_uid for each in (image, other, again)]
    uids += [each.study_instance_uid for each in (image, other, again)]
    assert len(set(uids)) == 6
    assert {len(uid) for uid in uids} == {44}


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_key(opened: StudyStore, tmp_path: Path) -> None:
    reads: Counter[str] = Counter()

    def stopping(source: str) -> Mammogram:
        reads[source] += 1
        if sum(reads.values()) == 15:
            raise KeyboardInterrupt
        return read(source)

    with pytest.raises(KeyboardInterrupt):
        blind(opened, "small", tmp_path, stopping)
    with pytest.raises(ConflictError, match="has no blinded copies"):
        BlindedCopies(opened, "small", tmp_path)
    made = len(list((tmp_path / "small").iterdir()))
    assert made > 0
    reads.clear()
    reads["before"] = 1000
    blind(opened, "small", tmp_path, stopping)
    assert sum(reads.values()) - 1000 == 12 - made


def test_files_that_are_lost_are_made_again_as_they_were(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path, read)
    lost, damaged, *_ = (tmp_path / "small").iterdir()
    before = lost.read_bytes(), damaged.read_bytes()
    lost.unlink()
    damaged.write_bytes(b"x")
    copies = BlindedCopies(opened, "small", tmp_path)
    shown = [image for own in copies.groups().values() for _, image in own]
    for name, reason in ((lost.name, "cannot be read"), (damaged.name, "not as it was made")):
        (image,) = [each for each in shown if each.file.name == name]
        with pytest.raises(DataError, match=reason):
            image.pixels()
    blind(opened, "small", tmp_path, read)
    assert (lost.read_bytes(), damaged.read_bytes()) == before


def test_a_source_that_has_changed_is_refused_once_readers_could_see_it(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path, read)
    for file in (tmp_path / "small").iterdir():
        file.unlink()
    with pytest.raises(ConflictError, match="bring the source back"):
        blind(opened, "small", tmp_path, lambda source: read(source.replace("P", "P9")))


def test_a_backup_holds_the_key_and_the_copies_can_be_made_from_it(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path / "here", read)
    write_backup(opened, "small", tmp_path / "backup.json")
    elsewhere = StudyStore(tmp_path / "elsewhere.sqlite")
    restore_backup(elsewhere, tmp_path / "backup.json")
    blind(elsewhere, "small", tmp_path / "there", read)
    reading = first_reading(opened)
    (image,), (restored,) = (
        BlindedCopies(store, "small", tmp_path / place).of(reading)
        for store, place in ((opened, "here"), (elsewhere, "there"))
    )
    assert image.pixels() == restored.pixels()
    assert image.sop_instance_uid == restored.sop_instance_uid
    assert elsewhere.content("small") == opened.content("small")
    elsewhere.close()


def test_a_key_that_was_changed_is_found(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path, read)
    for field in ("source", "file", "sha256", "placement", "arm"):
        content = opened.content("small")
        content["blinding"]["copies"][3][field] = "other"
        assert any("key" in problem for problem in problems_of(content)), field
    content["blinding"] = None
    assert any("key" in problem for problem in problems_of(content))


def test_an_image_with_our_mark_is_refused_with_how_to_make_one_without(opened: StudyStore, tmp_path: Path) -> None:
    def marked(source: str) -> Mammogram:
        image = read(source)
        return image.with_pixels(burn_in_mark(image.pixels, image)) if source.endswith("synthesized") else image

    with pytest.raises(MammoSynthError, match="--no-mark"):
        blind(opened, "small", tmp_path, marked)


def test_arms_of_a_case_that_show_other_views_are_refused(opened: StudyStore, tmp_path: Path) -> None:
    def other(source: str) -> Mammogram:
        image = read(source)
        return replace(image, view_position=ViewPosition.MLO) if source == "P1 synthesized" else image

    with pytest.raises(DataError, match="would tell them apart"):
        blind(opened, "small", tmp_path, other)
    assert blind(opened, "small", tmp_path, read) == 12


def test_arms_of_a_case_with_another_number_of_images_are_refused(store: StudyStore, tmp_path: Path) -> None:
    uneven = case("P0") | {"images": {"clinical": ["P0 clinical", "P0b clinical"], "synthesized": ["P0 synthesized"]}}
    store.open_study(blinded_protocol(cases={"case-0": uneven}, design={"sessions": 2, "seed": 1}), "owner")
    with pytest.raises(DataError, match="more images in one arm"):
        blind(store, "small", tmp_path, read)


def test_the_protocol_says_the_view_where_only_a_file_name_does(store: StudyStore, tmp_path: Path) -> None:
    cases = {f"case-{n}": case(f"P{n}", view_position="MLO") for n in range(2)}  # `read` says CC
    store.open_study(blinded_protocol(cases=cases), "owner")
    blind(store, "small", tmp_path, read)
    assert {str(image.view_position) for image in BlindedCopies(store, "small", tmp_path).of(first_reading(store))} == {
        "MLO"
    }


def test_a_header_that_contradicts_the_protocol_is_refused(store: StudyStore, tmp_path: Path) -> None:
    store.open_study(blinded_protocol(cases={"case-0": case("P0", view_position="MLO")}), "owner")
    with pytest.raises(MammoSynthError, match="its header says CC"):
        blind(store, "small", tmp_path, lambda source: replace(read(source), header=Dataset()))


def test_only_the_process_that_owns_them_can_read_the_copies(opened: StudyStore, tmp_path: Path) -> None:
    blind(opened, "small", tmp_path, read)
    if os.name == "posix":
        assert (tmp_path / "small").stat().st_mode & 0o077 == 0
