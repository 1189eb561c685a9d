"""Files made to read others, to crash a library or to eat the machine are refused by their headers."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammosynth.dicom.bounded import MAX_PIXELS
from mammosynth.errors import MammoSynthError, UnreadableImageError
from mammosynth.files import read_image
from tests.support.bombs import DEFLATED, beginning_of_file, packed_zeros, rle_file
from tests.support.image_files import image_file
from tests.support.instances import as_file, build_instance

FIELDS = "type: uint16\ndimension: 2\nsizes: 8 8\nendian: little\nencoding: raw\n"
PIXELS = np.arange(64, dtype="<u2").tobytes()


def refusal(path: Path, content: bytes | str) -> str:
    """What is said of a file."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(MammoSynthError) as caught:
        read_image(path)
    assert str(caught.value).startswith(path.name)
    assert str(path.parent) not in str(caught.value)
    return str(caught.value).removeprefix(path.name)


def test_a_plain_nrrd_is_read(tmp_path: Path) -> None:
    for end in ("\n", "\r\n"):
        header = ("NRRD0004\n# made by hand\n" + FIELDS + "note:=free text: of somebody\n\n").replace("\n", end)
        (tmp_path / "a.nrrd").write_bytes(header.encode() + PIXELS)
        assert read_image(tmp_path / "a.nrrd").pixels[7, 7] == pytest.approx(63 / 255)


@pytest.mark.parametrize(
    "field",
    [
        "data file: {}",
        "datafile: {}",
        "Data File: {}",
        "DATAFILE:{}",
        "data  file : {}",
        "data file: LIST\n{}",
        "data file: {} 1 2 1",
        "line skip: 3\ndata file: {}",
        "byte skip: -1",
        "byteskip: 100",
        "lineskip: 4",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("padding", [0, 60_000, 70_000])
def test_pixels_elsewhere_are_refused_alike_whether_they_exist_or_not(
    field: str, end: str, padding: int, tmp_path: Path
) -> None:
    (tmp_path / "there.raw").write_bytes(PIXELS)
    os.mkfifo(tmp_path / "pipe.raw")
    comments = "# comment\n" * (padding // 10)
    said = {
        refusal(
            tmp_path / "a.nrrd",
            ("NRRD0004\n" + comments + FIELDS + field.format(place) + "\n\n").replace("\n", end).encode() + PIXELS,
        )
        for place in (tmp_path / "there.raw", tmp_path / "gone.raw", tmp_path / "pipe.raw", "there.raw", "/etc/passwd")
    }
    assert len(said) == 1


@pytest.mark.parametrize("field", ["old min: 0\nsecret: 1", "no field", "sizes: 9 9", 'kinds: "a" ;', "space: \x01"])
def test_fields_that_nobody_knows_are_refused(field: str, tmp_path: Path) -> None:
    said = refusal(tmp_path / "a.nrrd", "NRRD0004\n" + FIELDS + field + "\n\n")
    assert any(word in said for word in ("not known", "is no field", "is damaged", "control characters")), said


@pytest.mark.parametrize("axes", [0, 6, 10, 11, 13, 16, 17, 1000])
def test_dimensions_that_crash_itk_are_refused(axes: int, tmp_path: Path) -> None:
    header = f"NRRD0004\ntype: uint8\ndimension: {axes}\nsizes: {'2 ' * axes}\nencoding: raw\n\n"
    assert "axes" in refusal(tmp_path / "a.nrrd", header.encode() + bytes(1 << min(axes, 17)))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("sizes: 8 8", "sizes: -8 8", "expected positive numbers"),
        ("sizes: 8 8", "sizes: 0 8", "expected positive numbers"),
        ("sizes: 8 8", "sizes: 8", "2 axes with 1 size"),
        ("sizes: 8 8", "sizes: 99999999999999999999 8", "expected whole numbers"),
        ("sizes: 8 8", "sizes: 60000 60000", "megapixels"),
        ("sizes: 8 8", "sizes: 8 9", "truncated"),
        ("uint16", "block", "the type is 'block'"),
        ("raw", "bzip2", "the encoding is 'bzip2', expected raw or gzip"),
        ("raw", "hex", "the encoding is 'hex'"),
        ("little", "middle", "endian is 'middle'"),
        ("raw", "gzip", "cannot be decoded"),
    ],
)
def test_nrrd_headers_that_make_no_sense_are_refused(old: str, new: str, reason: str, tmp_path: Path) -> None:
    content = ("NRRD0004\n" + FIELDS.replace(old, new) + "\n").encode() + PIXELS
    assert reason in refusal(tmp_path / "a.nrrd", content)


@pytest.mark.parametrize(
    "geometry",
    [
        "space dimension: 2\nspace directions: (1,0) (1,0)",
        "space dimension: 2\nspace directions: (0,0) (0,1)",
        "space dimension: 2\nspace directions: (1,0) (0,nan)",
        "spacings: 0 1",
        "spacings: -1 1",
        "spacings: inf 1",
        "space dimension: 2\nspace directions: (1,0) (0,1)\nspace origin: (nan,0)",
        "space dimension: 2\nspace directions: (1,0)",
        "space: nowhere",
        "kinds: domain",
    ],
)
def test_an_impossible_geometry_is_refused(geometry: str, tmp_path: Path) -> None:
    said = refusal(tmp_path / "a.nrrd", ("NRRD0004\n" + FIELDS + geometry + "\n\n").encode() + PIXELS)
    assert "expected positive lengths" in said or "the header cannot be read" in said


def nifti(changes: dict[int, bytes]) -> bytes:
    content = bytearray(image_file("L_CC.nii"))
    for at, value in changes.items():
        content[at : at + len(value)] = value
    return bytes(content)


def shorts(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({344: b"ni1\0"}, "the pixels are in another file"),
        ({344: b"n+2\0"}, "no NIfTI-1 header"),
        ({0: struct.pack("<i", 540)}, "no NIfTI-1 header"),
        ({40: shorts(0)}, "0 axes"),
        ({40: shorts(-1)}, "-1 axes"),
        ({40: shorts(2, -40, 48)}, "expected positive numbers"),
        ({40: shorts(2, 0, 48)}, "expected positive numbers"),
        ({40: shorts(3, 32767, 32767, 1)}, "megapixels"),
        ({40: shorts(7, 2, 2, 2, 2, 2, 2, 2)}, "7 axes"),
        ({40: shorts(3, 400, 480, 1)}, "truncated"),
        ({70: shorts(128, 24)}, "datatype is 128"),
        ({70: shorts(512, 8)}, "datatype 512 with 8 bits"),
        ({108: struct.pack("<f", 1e30)}, "vox_offset is 1e+30"),
        ({108: struct.pack("<f", -5)}, "vox_offset is -5"),
        ({108: struct.pack("<f", float("nan"))}, "vox_offset is nan"),
        ({112: struct.pack("<f", float("inf"))}, "scl_slope is inf"),
        ({80: struct.pack("<f", float("nan"))}, "spacing or position are no numbers"),
    ],
)
def test_nifti_headers_that_make_no_sense_are_refused(
    changes: dict[int, bytes], reason: str, packed: bool, tmp_path: Path
) -> None:
    content, name = nifti(changes), "a.nii.gz" if packed else "a.nii"
    if not packed and 344 in changes and changes[344] != b"ni1\0":
        reason = "of no known format"
    assert reason in refusal(tmp_path / name, gzip.compress(content) if packed else content)


def test_a_pair_of_header_and_image_is_refused_whether_the_image_exists_or_not(tmp_path: Path) -> None:
    content = nifti({344: b"ni1\0"})[:352]
    said = [refusal(tmp_path / "a.nii", content)]
    (tmp_path / "a.img").write_bytes(bytes(10_000))
    said.append(refusal(tmp_path / "a.nii", content))
    said.append(refusal(tmp_path / "a.hdr", content))
    assert len(set(said)) == 1
    assert "pixels are in another file" in said[0]


def test_scaled_nifti_values_are_what_they_stand_for(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(nifti({112: struct.pack("<2f", 0.5, 3)}))
    (tmp_path / "b.nii").write_bytes(nifti({112: struct.pack("<2f", 0, 7)}))  # a slope of 0 is none
    plain = read_image(tmp_path / "b.nii").pixels
    scaled = read_image(tmp_path / "a.nii").pixels
    np.testing.assert_allclose(scaled, (plain * 65535 * 0.5 + 3) / 65535, atol=1e-5)


def test_pipes_and_devices_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nrrd")
    (tmp_path / "link.png").symlink_to("/dev/zero")
    for name in ("pipe.nrrd", "link.png", "gone.png"):
        with pytest.raises(UnreadableImageError, match=rf"^{name}: cannot be read \((no regular file|No such file)"):
            read_image(tmp_path / name)


def picture(side: int) -> bytes:
    content = io.BytesIO()
    Image.new("L", (side, side)).save(content, "PNG", compress_level=1)
    return content.getvalue()


def frames(count: int) -> bytes:
    return as_file(build_instance(NumberOfFrames=count)).getvalue()


def deflated(size: int) -> bytes:
    return beginning_of_file(DEFLATED) + packed_zeros(size, -zlib.MAX_WBITS)


def rle(side: int) -> bytes:
    return rle_file(side, side, b"\x81\0" * (side * side // 128))


def nrrd(size: int) -> bytes:
    return ("NRRD0004\n" + FIELDS.replace("raw", "gzip").replace("8 8", "4000 4000") + "\n").encode() + packed_zeros(
        size, 31
    )


def nii(size: int) -> bytes:
    return packed_zeros(size, 31)


BOMBS = {
    "deflated.dcm": (deflated, 6 << 30, "inflates to more than 128 MiB"),
    "pixels.png": (picture, 10_000, "10000 x 10000 pixels, expected at least 2 x 2 and at most 60 megapixels"),
    "rle.dcm": (rle, 20_000, "are 20000 x 20000, at most 60 megapixels"),
    "frames.dcm": (frames, 20_000_000, "Number of Frames is 20000000"),
    "gzip.nrrd": (nrrd, 6 << 30, "read"),  # the 4000 x 4000 values that its header announces, and no more
    "gzip.nii.gz": (nii, 6 << 30, "no NIfTI-1 header"),
}
READ = """
import resource, sys, time
from pathlib import Path
from mammosynth.errors import MammoSynthError
from mammosynth.files import read_image
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
try:
    read_image(Path(sys.argv[1]))
except MammoSynthError as error:
    print(error)
else:
    print("read")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, time.process_time() - start)
"""


def cost_of_reading(path: Path) -> tuple[str, float, float]:
    """What is said, and MiB and seconds of CPU that reading a file takes a process beyond what it has before."""
    child = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True, timeout=60)
    said, cost = child.stdout.splitlines()
    mebibytes, seconds = map(float, cost.split())
    return said, mebibytes, seconds


@pytest.mark.slow  # a process each
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_little_memory_and_little_time(name: str, tmp_path: Path) -> None:
    make, size, reason = BOMBS[name]
    (tmp_path / name).write_bytes(make(size))
    said, mebibytes, seconds = cost_of_reading(tmp_path / name)
    assert reason in said
    assert mebibytes < 300
    assert seconds < 2


@pytest.mark.slow  # a process
def test_the_largest_picture_that_is_accepted_takes_bounded_memory(tmp_path: Path) -> None:
    (tmp_path / "L_CC.png").write_bytes(picture(int(MAX_PIXELS**0.5)))
    said, mebibytes, _ = cost_of_reading(tmp_path / "L_CC.png")
    assert said == "read"
    assert mebibytes < 600
