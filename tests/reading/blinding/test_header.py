"""Headers of copies: valid, of one length, and the same but for UIDs and view."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from mammosynth.reading.blinding.header import BlindedUids, blinded_header
from mammosynth.reading.blinding.rule import BlindingRule, Hanging
from mammosynth.reading.protocol import parse_protocol
from mammosynth.terms import ImageLaterality, ViewPosition
from tests.support.blinded import blinded_protocol
from tests.support.studies import protocol

RULE = BlindingRule(rows=128, columns=96)


def uids(reader: str = "ann", session: int = 1, position: int = 1, secret: bytes = bytes(32)) -> BlindedUids:
    return BlindedUids(secret, reader, session, position)


def header(of: BlindedUids, number: int = 1) -> Dataset:
    return blinded_header(of, number, RULE, ImageLaterality.RIGHT, ViewPosition.MLO)


def as_bytes(dataset: Dataset) -> bytes:
    content = io.BytesIO()
    dataset.PixelData = np.zeros((RULE.rows, RULE.columns), "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    pydicom.dcmwrite(content, dataset, write_like_original=False)
    return content.getvalue()


def test_uids_differ_by_reader_session_position_image_study_and_kind() -> None:
    several = [uids(), uids("bob"), uids(session=2), uids(position=2), uids(secret=b"1" * 32)]
    found = [uid for each in several for uid in (each.study, each.series(1), each.series(2), each.instance(1))]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"2\.25\.[1-3]\d{38}", uid) for uid in found)


def test_the_secret_does_not_stand_in_what_is_printed() -> None:
    assert "secret" not in repr(uids(secret=b"abc" * 11))


def test_files_are_equally_long_and_differ_in_uids_only() -> None:
    one, other = as_bytes(header(uids())), as_bytes(header(uids("bob", 2, 17)))
    assert len(one) == len(other)
    first, second = (pydicom.dcmread(io.BytesIO(each)) for each in (one, other))
    differing = {element.keyword for element in first if element != second[element.tag]}
    assert differing == {"SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"}


def test_nothing_names_who_made_it() -> None:
    text = str(header(uids())).casefold()
    assert not any(word in text for word in ("mammosynth", "synth", "generated", "model_zoo"))
    assert not any(element.tag.is_private for element in header(uids()))


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools)")
def test_a_copy_scaled_by_spacing_is_a_valid_instance(tmp_path: Path) -> None:
    rule = BlindingRule(rows=128, columns=96, pixel_spacing_mm=0.2)
    dataset = blinded_header(uids(), 1, rule, ImageLaterality.LEFT, ViewPosition.CC)
    (tmp_path / "copy.dcm").write_bytes(as_bytes(dataset))
    told = subprocess.run(["dciodvfy", tmp_path / "copy.dcm"], capture_output=True, text=True, check=False).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize(("images", "expected"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (8, (2, 4))])
def test_images_are_hung_by_their_number_unless_the_protocol_says_how(images: int, expected: tuple[int, int]) -> None:
    found = Hanging.of(None, images)
    assert (found.rows, found.columns) == expected
    assert Hanging.of(Hanging(rows=1, columns=4), images) == Hanging(rows=1, columns=4)


def test_protocols_of_before_there_was_blinding_keep_their_hash() -> None:
    assert "blinding" not in protocol().canonical()
    assert protocol().sha256 != blinded_protocol().sha256
    assert parse_protocol(blinded_protocol().canonical()) == blinded_protocol()
