"""Whatever somebody sends or drops into the folder, the others' images stay listed and served."""

import contextlib
import io
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from httpx import Response
from PIL import Image
from pydicom.dataset import Dataset, FileDataset
from pydicom.encaps import encapsulate, generate_pixel_data_frame
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from mammosynth.dicom.compress import compress_instance
from monailabel_app.pacs import create_store_app, pixels
from monailabel_app.pacs.instances import StoredInstance, UnservableFileError, read_instance
from monailabel_app.pacs.pixels import UnavailableFrameError, UndecodableFrameError, read_frames, render
from tests.support.bombs import too_long_rle_file
from tests.support.images import as_file, mammogram
from tests.support.instances import as_file as instance_file
from tests.support.instances import breast_values, build_instance
from tests.support.mutants import mutants

pytestmark = pytest.mark.slow  # several seconds in all

Spoiler = Callable[[FileDataset], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "d"


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    """Of a store that holds the image of the patient CONTROL."""
    with contextlib.closing(client_of(folder)) as client, client:
        assert stow(client, as_file(mammogram(patient_id="CONTROL"))).status_code == 200
        yield client


def client_of(folder: Path) -> TestClient:
    app = create_store_app(folder, index_folder=folder.parent / "i")
    return TestClient(app, base_url="http://127.0.0.1/dicom-web", raise_server_exceptions=True)


def stow(client: TestClient, file: bytes) -> Response:
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n--B--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'}
    return client.post("studies", content=body, headers=headers)


def listed(client: TestClient, path: str) -> list[dict]:
    """The answer as strict JSON, in which there is no NaN."""
    answer = client.get(path)
    assert answer.status_code == 200, path
    return json.loads(answer.text, parse_constant=pytest.fail)


def assert_control_is_listed(client: TestClient) -> None:
    """In every list, and in every order and filter."""
    for level in ("studies", "series", "instances"):
        for query in ("", "?includefield=all", "?includefield=00189334", "?SeriesNumber=1", "?00189334=1"):
            found = listed(client, level + query)
            patients = [item.get("00100020", {}).get("Value") for item in found]
            assert ["CONTROL"] in patients or query == "?00189334=1"
        for item in listed(client, "studies"):
            listed(client, f"studies/{item['0020000D']['Value'][0]}/metadata")


def with_element(tag: int, vr: str, value: object) -> Spoiler:
    def spoil(image: FileDataset) -> None:
        if tag in image:
            del image[tag]
        image.add_new(tag, vr, value)

    return spoil


TOLERATED = {
    "SeriesNumber is text": with_element(0x00200011, "LO", "first"),
    "InstanceNumber is text": with_element(0x00200013, "LO", "1a"),
    "SeriesNumber is a text of a number": with_element(0x00200011, "LO", "1"),
    "SeriesNumber has several values": with_element(0x00200011, "IS", [1, 2]),
    "SeriesNumber is infinite": with_element(0x00200011, "FD", float("inf")),
    "InstanceNumber is no number": with_element(0x00200013, "FD", float("nan")),
    "SeriesNumber is a name": with_element(0x00200011, "PN", "One^Two"),
    "StudyDate is a number": with_element(0x00080020, "IS", 20260101),
    "StudyDate is a sequence": with_element(0x00080020, "SQ", [Dataset()]),
    "PatientName is a long string": with_element(0x00100010, "LO", "Doe^Jane"),
    "PatientName is a number": with_element(0x00100010, "FD", 1.5),
    "PatientID is a name": with_element(0x00100020, "PN", "A^B"),
    "PatientID is huge": with_element(0x00100020, "UT", "x" * 100_000),
    "Modality is several": with_element(0x00080060, "CS", ["MG", "", "CT"]),
    "Modality is a name": with_element(0x00080060, "PN", "MG"),
    "NumberOfFrames is text": with_element(0x00280008, "LO", "many"),
    "Rows is floating": with_element(0x00280010, "FD", float("nan")),
    "a not-a-number elsewhere": with_element(0x00189334, "FD", float("nan")),
    "an infinity in a list": with_element(0x00189334, "FD", [1.0, float("inf")]),
    "a float within a sequence": with_element(
        0x00400555, "SQ", [Dataset.from_json({"00189334": {"vr": "FD", "Value": [float("nan")]}})]
    ),
}

REFUSED = {
    "a study UID that is a number": with_element(0x0020000D, "IS", 123),
    "a study UID that is floating": with_element(0x0020000D, "FD", 1.5),
    "a series UID that is a name": with_element(0x0020000E, "PN", "1.2.3"),
    "an instance UID of two values": with_element(0x00080018, "UI", ["1.2.3", "1.2.4"]),
    "a class UID that is a text": with_element(0x00080016, "LO", "mammogram"),
    "no study UID": with_element(0x0020000D, "UI", ""),
}


@pytest.mark.parametrize("spoil", TOLERATED.values(), ids=TOLERATED)
def test_an_odd_attribute_is_stored_and_spoils_no_list(client: TestClient, spoil: Spoiler) -> None:
    image = mammogram()
    spoil(image)
    assert stow(client, as_file(image)).status_code == 200
    assert_control_is_listed(client)
    assert len(listed(client, "instances")) == 2


@pytest.mark.parametrize("spoil", REFUSED.values(), ids=REFUSED)
def test_an_identifier_that_is_none_is_refused_by_name(client: TestClient, spoil: Spoiler) -> None:
    image = mammogram()
    spoil(image)
    answer = stow(client, as_file(image))
    assert answer.status_code == 409
    (failure,) = answer.json()["00081198"]["Value"]
    assert failure["00081197"]["Value"] == [0xC000]
    assert "UID" in failure["0040A160"]["Value"][0]
    assert "expected" in failure["0040A160"]["Value"][0]
    assert_control_is_listed(client)


def test_a_number_sent_as_text_is_listed_as_the_number(client: TestClient) -> None:
    image = mammogram(patient_id="TEXT")
    TOLERATED["SeriesNumber is a text of a number"](image)
    stow(client, as_file(image))
    (found,) = listed(client, "series?PatientID=TEXT&SeriesNumber=1")
    assert found["00200011"] == {"vr": "IS", "Value": [1]}


def test_files_that_are_dropped_in_are_left_out_with_one_line_that_names_nobody(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    for number, spoil in enumerate(REFUSED.values()):
        image = mammogram(patient_id="SECRET")
        spoil(image)
        (folder / f"SECRET{number}.dcm").write_bytes(as_file(image))
    (folder / "control.dcm").write_bytes(as_file(mammogram(patient_id="CONTROL")))
    with caplog.at_level("INFO"), client_of(folder) as client:
        assert_control_is_listed(client)
    (line,) = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert line.startswith(f"{len(REFUSED)} files")
    assert "SECRET" not in caplog.text


def test_an_index_of_an_earlier_version_heals(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.dcm").write_bytes(as_file(mammogram(patient_id="CONTROL")))
    with client_of(folder):
        pass
    (database,) = (folder.parent / "i").glob("*.sqlite")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript("DROP TABLE files; DROP TABLE headers; PRAGMA user_version = 1;")
        connection.execute("CREATE TABLE files (path TEXT, modified, size, transfer_syntax_uid TEXT, attributes TEXT)")
        connection.execute("INSERT INTO files VALUES ('a.dcm', 1, 1, '1.2', '{\"00200011\": {\"Value\": [NaN]}}')")
        connection.commit()
    with client_of(folder) as client:
        assert_control_is_listed(client)


def test_headers_that_the_index_has_lost_are_read_from_the_file(client: TestClient, folder: Path) -> None:
    (database,) = (folder.parent / "i").glob("*.sqlite")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE headers")
        connection.commit()
    assert stow(client, as_file(mammogram(patient_id="LATER"))).status_code == 200
    assert_control_is_listed(client)
    (found,) = listed(client, "instances?ViewPosition=CC&PatientID=CONTROL")
    assert found["00185101"]["Value"] == ["CC"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: as_file(mammogram())[:-300], id="cut off"),
        pytest.param(lambda: deflated()[:-100], id="deflated and cut off"),
        pytest.param(lambda: nested(300), id="sequences in sequences"),
        pytest.param(lambda: with_tiny_elements(before=b"\x08\x00\x05\x00CS"), id="tiny elements"),
        pytest.param(lambda: with_tiny_elements(before=b""), id="tiny elements after the pixels"),
    ],
)
def test_a_hostile_file_is_refused_soon_and_left_out(client: TestClient, folder: Path, content: Callable) -> None:
    file = content()
    started = time.monotonic()
    assert stow(client, file).status_code == 409
    (folder / "hostile.dcm").write_bytes(file)
    with client_of_copy(folder) as other:
        assert_control_is_listed(other)
    assert time.monotonic() - started < 2


@contextlib.contextmanager
def client_of_copy(folder: Path) -> Iterator[TestClient]:
    """A store that reads the same files at its start."""
    copy = folder.parent / "copy" / "d"
    copy.mkdir(parents=True)
    for number, path in enumerate(folder.rglob("*.dcm")):
        (copy / f"{number}.dcm").write_bytes(path.read_bytes())
    with client_of(copy) as client:
        yield client


def deflated() -> bytes:
    image = mammogram()
    image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return as_file(image)


def with_tiny_elements(*, before: bytes) -> bytes:
    """A million elements of 8 bytes."""
    content = as_file(mammogram())
    place = content.index(before) if before else len(content)
    return content[:place] + b"\x09\x00\x01\x00LO\0\0" * 1_000_000 + content[place:]


def nested(depth: int) -> bytes:
    """Sequences of undefined length, one in the other, before everything else."""
    start = b"\x08\x00\x12\x21SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    end = b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth
    content = as_file(mammogram())
    first = content.index(b"\x08\x00\x05\x00CS")
    return content[:first] + start + end + content[first:]


def test_pipes_and_odd_names_in_the_folder_are_no_obstacle(folder: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "pipe.dcm")
    (folder / os.fsdecode(b"b\xe9n\xe9.dcm")).write_bytes(as_file(mammogram(patient_id="CONTROL")))
    for _ in range(2):
        with client_of(folder) as client:
            assert_control_is_listed(client)


def run_length_encoded() -> bytes:
    image = mammogram(3)
    image.compress(RLELossless)
    return as_file(image)


def jpeg_ls() -> bytes:
    return written_to_bytes(compress_instance(build_instance(breast_values(bits=16), bits=16)))


def written_to_bytes(dataset: Dataset) -> bytes:
    return instance_file(dataset).getvalue()


def stored(tmp_path: Path, content: bytes) -> StoredInstance:
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    return read_instance(path)


SOURCES = {
    "uncompressed": lambda: as_file(mammogram(3)),
    "deflated": deflated,
    "RLE": run_length_encoded,
    "JPEG-LS": jpeg_ls,
    "two frames": lambda: as_file(frames_of(2)),
}


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_damaged_copies_are_refused_or_served_and_nothing_else(tmp_path: Path, source: str) -> None:
    served = 0
    for damaged in mutants(SOURCES[source](), seed=7, count=300):
        started = time.monotonic()
        try:
            instance = stored(tmp_path, damaged)
        except UnservableFileError:
            continue
        json.loads(instance.header.text(), parse_constant=pytest.fail)
        with contextlib.suppress(UnavailableFrameError, UndecodableFrameError):
            read_frames(instance, [1], as_stored=False)
            served += 1
        with contextlib.suppress(UnavailableFrameError, UndecodableFrameError):
            read_frames(instance, [1], as_stored=True)
        with contextlib.suppress(UnavailableFrameError, UndecodableFrameError):
            render(instance, 1, image_format="PNG", viewport=(32, 32))
        assert time.monotonic() - started < 2
    assert served > 10


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_damaged_copies_that_are_sent_spoil_no_answer(client: TestClient, source: str) -> None:
    for damaged in mutants(SOURCES[source](), seed=11, count=60):
        assert stow(client, damaged).status_code in (200, 409, 415)
    assert_control_is_listed(client)
    urls = [item["00081190"]["Value"][0] for item in listed(client, "instances")]
    for url in urls:
        listed(client, f"{url}/metadata")
        for resource in ("frames/1", "rendered", "thumbnail"):
            assert client.get(f"{url}/{resource}").status_code in (200, 404, 406)
    assert len(urls) > 1


def frames_of(count: int, *, damaged: int | None = None, syntax: str | None = None) -> FileDataset:
    """Frames of 24 x 16 pixels; one of them may be no valid code stream."""
    image = mammogram(NumberOfFrames=count)
    values = np.random.default_rng(1).integers(0, 4096, (count, 24, 16)).astype("<u2")
    image.PixelData = values.tobytes()
    if syntax is not None:
        image.compress(syntax, values)
        if damaged is not None:
            streams = list(generate_pixel_data_frame(image.PixelData, count))
            streams[damaged - 1] = b"\0" * 64
            image.PixelData = encapsulate(streams)
    return image


def test_only_the_frames_that_are_asked_for_are_decoded(tmp_path: Path) -> None:
    image = frames_of(3, damaged=2, syntax=RLELossless)
    whole = frames_of(3)
    instance = stored(tmp_path, as_file(image))
    _, frames = read_frames(instance, [3, 1], as_stored=False)
    size = 24 * 16 * 2
    assert frames == [whole.PixelData[2 * size :], whole.PixelData[:size]]
    with pytest.raises(UndecodableFrameError, match="RLE"):
        read_frames(instance, [2], as_stored=False)


@pytest.mark.parametrize("syntax", [None, DeflatedExplicitVRLittleEndian])
def test_frames_of_an_uncompressed_file_are_its_bytes(tmp_path: Path, syntax: str | None) -> None:
    image = frames_of(3)
    values, size = image.PixelData, 24 * 16 * 2
    if syntax is not None:
        image.file_meta.TransferSyntaxUID = syntax
    instance = stored(tmp_path, as_file(image))
    assert (instance.pixels is None) == (syntax is not None)
    assert read_frames(instance, [2, 3], as_stored=False)[1] == [values[size : 2 * size], values[2 * size :]]


def test_a_value_of_no_known_vr_is_no_obstacle_to_the_others(tmp_path: Path) -> None:
    image = mammogram(4)
    instance = stored(tmp_path, as_file(image).replace(b"\x28\0\x04\0CS", b"\x28\0\x04\0CQ"))
    assert "00280004" not in instance.header.text()
    assert read_frames(instance, [1], as_stored=False)[1] == [image.PixelData]


def test_a_file_that_was_replaced_since_is_parsed_anew(tmp_path: Path) -> None:
    instance = stored(tmp_path, as_file(mammogram(1)))
    other = mammogram(2, PatientComments="moves the pixels by a few bytes")
    instance.path.write_bytes(as_file(other))
    assert read_frames(instance, [1], as_stored=False)[1] == [other.PixelData]


@pytest.mark.parametrize("count", [20_000_000, -1, 0])
def test_a_number_of_frames_that_cannot_be_costs_nothing(tmp_path: Path, count: int) -> None:
    image = mammogram()
    image.compress(RLELossless)
    image.NumberOfFrames = count
    instance = stored(tmp_path, as_file(image))
    started = time.monotonic()
    with contextlib.suppress(UndecodableFrameError, UnavailableFrameError):
        read_frames(instance, [1], as_stored=False)
    with pytest.raises((UndecodableFrameError, UnavailableFrameError)):
        read_frames(instance, [7], as_stored=False)
    assert time.monotonic() - started < 0.5


def test_an_image_beyond_the_limit_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    image = mammogram()
    image.compress(RLELossless)
    image.Rows = image.Columns = 20_000
    instance = stored(tmp_path, as_file(image))
    for ask in (lambda: read_frames(instance, [1], as_stored=False), lambda: render(instance, 1, image_format="PNG")):
        with pytest.raises(UndecodableFrameError, match="20000 x 20000"):
            ask()


def test_few_images_are_decoded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance, decode = stored(tmp_path, run_length_encoded()), pixels._decoded
    running, most = [], []

    def watched(dataset: FileDataset, numbers: list[int]) -> Iterator[np.ndarray]:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        yield from decode(dataset, numbers)
        running.pop()

    monkeypatch.setattr(pixels, "_decoded", watched)
    with ThreadPoolExecutor(8) as threads:
        found = [threads.submit(read_frames, instance, [1], as_stored=False) for _ in range(16)]
    assert {frame.result()[1][0] for frame in found} == {mammogram(3).PixelData}
    assert max(most) == 2


@pytest.mark.parametrize(
    ("mode", "size", "words"),
    [("L", (3000, 3000), "3000 x 3000"), ("RGB", (16, 24), "in 3 planes, the header 24 x 16 in 1")],
    ids=["size", "planes"],
)
def test_a_code_stream_of_another_shape_than_its_header_is_refused(
    tmp_path: Path, mode: str, size: tuple[int, int], words: str
) -> None:
    image, codestream = mammogram(), io.BytesIO()
    Image.new(mode, size).save(codestream, "JPEG2000", no_jp2=True)
    image.PixelData = encapsulate([codestream.getvalue()])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with pytest.raises(UndecodableFrameError, match=words):
        render(stored(tmp_path, as_file(image)), 1, image_format="PNG")


def test_a_panic_of_the_rle_decoder_is_told_in_one_sentence(tmp_path: Path) -> None:
    instance = stored(tmp_path, too_long_rle_file())
    with pytest.raises(
        UndecodableFrameError,
        match=r"^The instance: \(7FE0,0010\) Pixel Data cannot be decoded \(index [^;]*\); the image is",
    ):
        read_frames(instance, [1], as_stored=False)


def test_a_frame_is_sent_once_however_often_it_is_named(client: TestClient) -> None:
    (item,) = listed(client, "instances")
    (url,) = item["00081190"]["Value"]
    assert client.get(f"{url}/frames/1,1").status_code == 400
