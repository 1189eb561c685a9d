"""What is particular to the embedded store: durability, the user's files, refusals."""

import contextlib
import errno
import io
import json
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from dicomweb_client import DICOMwebClient
from fastapi.testclient import TestClient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless, generate_uid
from requests_toolbelt import MultipartDecoder

from mammosynth.atomic import UNFINISHED
from monailabel_app.gateway import connections
from monailabel_app.gateway.connections import build_server
from monailabel_app.pacs import __main__ as pacs_main
from monailabel_app.pacs import create_store_app, index
from monailabel_app.pacs import store as store_module
from monailabel_app.pacs.store import FolderInUseError, RefusedInstanceError, Store
from tests.support.archives import ORTHANC_CONFIGURATION, embedded_store, free_port, store_process
from tests.support.bombs import EXPLICIT, beginning_of_file, nested_sequences
from tests.support.images import as_file, mammogram


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pacs") / "dicom"


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """Of a store that looks for new files twenty times as often, so that nobody waits a second for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "_SCAN_INTERVAL_S", 0.05)
        with embedded_store(folder, index_folder=folder.parent / "index") as root:
            yield root


def instance_url(url: str, image: Dataset) -> str:
    return f"{series_url(url, image)}/instances/{image.SOPInstanceUID}"


def series_url(url: str, image: Dataset) -> str:
    return f"{url}/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"


def stow(url: str, *files: bytes, study: str = "") -> requests.Response:
    parts = b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files)
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'}
    return requests.post(f"{url}/studies{study}", parts + b"--B--\r\n", headers=headers, timeout=30)


def sop_instance_uids(url: str) -> set[str]:
    return {i["00080018"]["Value"][0] for i in requests.get(f"{url}/instances", timeout=30).json()}


def wait_until_listed(url: str, patient_id: str, count: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = len(requests.get(f"{url}/instances?PatientID={patient_id}", timeout=10).json())
        if found == count:
            break
        time.sleep(0.02)
    return found


@pytest.mark.e2e
@pytest.mark.slow
def test_killing_the_store_while_it_stores_loses_nothing_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    sent: set[str] = set()
    for round_number in range(4):
        with store_process(tmp_path / "d", index_folder=tmp_path / "i") as (process, url):
            assert acknowledged <= sop_instance_uids(url) <= sent
            threading.Timer(0.15 + 0.1 * round_number, process.kill).start()
            with contextlib.suppress(requests.RequestException):
                while process.poll() is None:
                    image = mammogram(len(sent), Rows=256, Columns=256)
                    sent.add(image.SOPInstanceUID)
                    if stow(url, as_file(image)).status_code == 200:
                        acknowledged.add(image.SOPInstanceUID)
            assert process.wait(10) == -signal.SIGKILL
    with embedded_store(tmp_path / "d", index_folder=tmp_path / "i") as url:
        visible = sop_instance_uids(url)
        assert acknowledged
        assert acknowledged <= visible <= sent
        for study in DICOMwebClient(url).search_for_studies():
            (image,) = DICOMwebClient(url).retrieve_study(study["0020000D"]["Value"][0])
            assert image.pixel_array.shape == (256, 256)
    assert not [path for path in (tmp_path / "d").rglob("*") if path.name.startswith(UNFINISHED)]


def test_unfinished_files_are_invisible_and_removed_at_start(tmp_path: Path) -> None:
    image = mammogram()
    place = tmp_path / "d" / image.StudyInstanceUID / image.SeriesInstanceUID
    place.mkdir(parents=True)
    (place / f"{UNFINISHED}0123-a.dcm").write_bytes(as_file(image))
    with embedded_store(tmp_path / "d", index_folder=tmp_path / "i") as url:
        assert sop_instance_uids(url) == set()
    assert list(place.iterdir()) == []


@pytest.mark.slow
def test_the_index_is_built_again_after_loss_or_damage(tmp_path: Path) -> None:
    image = mammogram()
    with embedded_store(tmp_path / "d", index_folder=tmp_path / "i") as url:
        stow(url, as_file(image))
    (database,) = (tmp_path / "i").glob("*.sqlite")

    def damage_a_line() -> None:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE files SET instance = substr(instance, 1, 100)")
            connection.commit()

    for damage in (database.unlink, damage_a_line, lambda: database.write_bytes(b"no database" * 1000)):
        damage()
        with embedded_store(tmp_path / "d", index_folder=tmp_path / "i") as url:
            assert sop_instance_uids(url) == {image.SOPInstanceUID}
    assert sqlite3.connect(database).execute("SELECT count(*) FROM files").fetchone() == (1,)


def test_files_dropped_into_the_folder_appear_and_disappear(url: str, folder: Path) -> None:
    image = mammogram(patient_id="DROPPED")
    dropped = folder / "any place" / "IM0001"
    dropped.parent.mkdir()
    dropped.write_bytes(as_file(image))
    (dropped.parent / "notes.txt").write_text("not DICOM")
    assert wait_until_listed(url, "DROPPED", 1) == 1
    assert as_file(image) in requests.get(instance_url(url, image), timeout=10).content
    assert dropped.read_bytes() == as_file(image)
    dropped.unlink()
    assert wait_until_listed(url, "DROPPED", 0) == 0
    assert requests.get(instance_url(url, image), timeout=10).status_code == 404


@pytest.mark.parametrize("kept", [140, 700, -1, -300])
def test_a_file_that_is_still_being_copied_is_not_shown(url: str, folder: Path, kept: int) -> None:
    patient_id = f"PARTIAL{kept}".replace("-", "M")
    image = mammogram(patient_id=patient_id)
    (folder / f"{patient_id}.dcm").write_bytes(as_file(image)[:kept])
    (folder / f"{patient_id}-whole.dcm").write_bytes(as_file(mammogram(patient_id=patient_id)))
    assert wait_until_listed(url, patient_id, 1) == 1
    assert requests.get(instance_url(url, image), timeout=10).status_code == 404
    assert stow(url, as_file(image)[:kept]).status_code == 409


def test_a_retrieved_file_has_the_very_bytes_that_were_sent(url: str) -> None:
    content = as_file(mammogram())
    reference = stow(url, content).json()["00081199"]["Value"][0]
    answered = requests.get(reference["00081190"]["Value"][0], headers={"Accept": "application/dicom"}, timeout=10)
    assert answered.content == content


@pytest.mark.slow
def test_many_threads_store_and_query_at_once(url: str) -> None:
    study = generate_uid()
    images = [mammogram(n, patient_id="THREADS", study=study) for n in range(32)]
    statuses: list[int] = []

    def work(mine: list[Dataset]) -> None:
        for image in mine:
            statuses.append(stow(url, as_file(image)).status_code)
            statuses.append(requests.get(f"{url}/studies?PatientID=THREADS", timeout=30).status_code)

    threads = [threading.Thread(target=work, args=(images[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 64
    assert len(requests.get(f"{url}/studies/{study}/instances", timeout=30).json()) == 32


def test_a_mixed_request_stores_the_good_and_explains_the_bad(url: str) -> None:
    good, bad = mammogram(), mammogram()
    answer = stow(url, as_file(good), as_file(bad), study=f"/{good.StudyInstanceUID}")
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081155"]["Value"] == [good.SOPInstanceUID]
    failed = answer.json()["00081198"]["Value"][0]
    assert failed["00081155"]["Value"] == [bad.SOPInstanceUID]
    assert failed["00081197"]["Value"] == [0xA900]
    assert "belongs to study" in failed["0040A160"]["Value"][0]


def test_a_generated_image_may_be_replaced_and_its_series_removed(url: str) -> None:
    image = mammogram(1, generated=True)
    stow(url, as_file(image))
    image.PixelData = mammogram(2).PixelData
    assert stow(url, as_file(image)).status_code == 200
    assert as_file(image) in requests.get(instance_url(url, image), timeout=10).content
    assert requests.delete(series_url(url, image), timeout=10).status_code == 204
    assert requests.get(series_url(url, image), timeout=10).status_code == 404


@pytest.mark.parametrize("description", ["L CC", "SYNTHETIC 2D"], ids=["acquired", "vendor's own generated view"])
def test_what_was_not_synthesized_here_is_neither_replaced_nor_removed(url: str, description: str) -> None:
    image = mammogram(1, SeriesDescription=description)
    original = as_file(image)
    stow(url, original)
    image.PixelData = mammogram(2).PixelData
    answer = stow(url, as_file(image))
    assert answer.status_code == 409
    assert answer.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0111]
    assert requests.delete(series_url(url, image), timeout=10).status_code == 403
    assert original in requests.get(instance_url(url, image), timeout=10).content


def test_a_generated_file_of_the_user_is_not_removed(url: str, folder: Path) -> None:
    image = mammogram(generated=True, patient_id="USERS")
    (folder / "users.dcm").write_bytes(as_file(image))
    wait_until_listed(url, "USERS", 1)
    assert requests.delete(series_url(url, image), timeout=10).status_code == 403
    assert (folder / "users.dcm").is_file()


@pytest.mark.parametrize("study", ["..", "%2e%2e", "1.2%2f..%2f..", "1..2", "1.2.a", "1" * 65, "1.2%0a"])
def test_only_uids_are_accepted_in_a_url(url: str, study: str) -> None:
    prepared = requests.Request("GET", url).prepare()
    prepared.url = f"{url}/studies/{study}/metadata"  # as it is: requests would resolve the dots
    answer = requests.Session().send(prepared, timeout=10)
    assert answer.status_code in (400, 404)
    assert "detail" in answer.json()


def test_a_uid_that_is_a_path_is_not_stored(url: str, folder: Path) -> None:
    image = mammogram()
    good = as_file(image)
    evil = good.replace(image.SeriesInstanceUID.encode(), b"../../../evil".ljust(len(image.SeriesInstanceUID), b"x"))
    assert evil != good
    assert stow(url, evil).status_code == 409
    assert not list(folder.parent.rglob("evil*"))


def test_an_unknown_attribute_in_a_query_is_refused_not_ignored(url: str) -> None:
    answer = requests.get(f"{url}/studies?PatientIdentifier=P1", timeout=10)
    assert answer.status_code == 400
    assert "PatientIdentifier" in answer.json()["detail"]


@pytest.mark.parametrize("query", ["limit=-1", "limit=x", "StudyDate=yesterday", "Rows=many"])
def test_malformed_queries_are_explained(url: str, query: str) -> None:
    answer = requests.get(f"{url}/instances?{query}", timeout=10)
    assert answer.status_code == 400
    assert "expected" in answer.json()["detail"]


def test_includefield_all_shows_every_attribute(url: str) -> None:
    image = mammogram(patient_id="ALL")
    stow(url, as_file(image))
    (short,) = requests.get(f"{url}/instances?PatientID=ALL", timeout=10).json()
    (long,) = requests.get(f"{url}/instances?PatientID=ALL&includefield=all", timeout=10).json()
    assert "00185101" not in short
    assert long["00185101"]["Value"] == ["CC"]


@pytest.mark.parametrize("entries", [4096, 65536], ids=["kept in the index", "read from the file"])
def test_a_lookup_table_is_part_of_the_metadata(url: str, entries: int) -> None:
    table = Dataset()
    table.add_new(0x00283002, "US", [entries % 65536, 0, 16])
    table.add_new(0x00283006, "OW", np.arange(entries, dtype="<u2").tobytes())
    image = mammogram(VOILUTSequence=[table])
    stow(url, as_file(image))
    (header,) = DICOMwebClient(url).retrieve_series_metadata(image.StudyInstanceUID, image.SeriesInstanceUID)
    assert Dataset.from_json(header).VOILUTSequence[0].LUTData == table.LUTData


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_are_decoded_unless_asked_for_as_stored(url: str, syntax: str) -> None:
    image = mammogram()
    pixels = image.PixelData
    if syntax == RLELossless:
        image.compress(RLELossless)
    else:
        codestream = io.BytesIO()
        Image.fromarray(image.pixel_array).save(codestream, "JPEG2000", irreversible=False, no_jp2=True)
        image.BitsStored, image.HighBit = 16, 15
        image.PixelData = encapsulate([codestream.getvalue()])
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    assert stow(url, as_file(image)).status_code == 200
    frame = f"{instance_url(url, image)}/frames/1"
    viewer = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"}
    (part,) = MultipartDecoder.from_response(requests.get(frame, headers=viewer, timeout=10)).parts
    assert part.headers[b"content-type"] == b"application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    assert part.content == pixels
    single = requests.get(frame, headers={"Accept": "application/octet-stream"}, timeout=10)
    assert single.content == pixels
    media_type = "image/dicom-rle" if syntax == RLELossless else "image/jp2"
    stored = {"Accept": f'multipart/related; type="{media_type}"; transfer-syntax={syntax}'}
    (part,) = MultipartDecoder.from_response(requests.get(frame, headers=stored, timeout=10)).parts
    assert part.headers[b"content-type"] == f"{media_type}; transfer-syntax={syntax}".encode()
    assert part.content in as_file(image)


def test_the_rendered_image_follows_photometric_interpretation_window_and_viewport(url: str) -> None:
    def grey(image: Dataset, query: str = "") -> np.ndarray:
        address = f"{instance_url(url, image)}/rendered{query}"
        picture = requests.get(address, headers={"Accept": "image/png"}, timeout=10)
        return np.asarray(Image.open(io.BytesIO(picture.content)), dtype=int)

    plain, inverse = mammogram(9), mammogram(9, PhotometricInterpretation="MONOCHROME1")
    stow(url, as_file(plain), as_file(inverse))
    assert np.abs(grey(plain) + grey(inverse) - 255).max() <= 1
    assert set(np.unique(grey(plain, "?window=2048,1"))) == {0, 255}
    assert grey(plain, "?viewport=8,8").shape == (8, 5)
    missing = requests.get(f"{instance_url(url, plain)}/frames/2/rendered", timeout=10)
    assert (missing.status_code, "no other" in missing.json()["detail"]) == (404, True)


def test_other_hosts_and_origins_get_nothing(url: str) -> None:
    assert requests.get(f"{url}/studies", headers={"Host": "evil.example"}, timeout=10).status_code == 400
    answer = requests.get(f"{url}/studies", headers={"Origin": "http://evil.example"}, timeout=10)
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/related", 'multipart/related; type="application/dicom"; boundary=C']
)
def test_a_body_that_is_no_multipart_is_refused(url: str, content_type: str) -> None:
    answer = requests.post(f"{url}/studies", b"nothing", headers={"Content-Type": content_type}, timeout=10)
    assert answer.status_code == 415


@pytest.mark.e2e
@pytest.mark.slow
def test_with_credentials_nobody_else_gets_in(tmp_path: Path) -> None:
    with store_process(tmp_path / "d", index_folder=tmp_path / "i", credentials=("reader", "secret")) as (_, url):
        assert requests.get(f"{url}/studies", timeout=10).status_code == 401
        assert requests.get(f"{url}/studies", auth=("reader", "wrong"), timeout=10).status_code == 401
        assert requests.get(f"{url}/studies", auth=("reader", "secret"), timeout=10).json() == []


def test_a_second_store_over_the_same_folder_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = Store(tmp_path / "d", index_folder=tmp_path / "i")
    with pytest.raises(FolderInUseError, match="The folder d is in use by another server; stop that one"):
        Store(tmp_path / "d", index_folder=tmp_path / "other index")
    first.close()
    Store(tmp_path / "d", index_folder=tmp_path / "i").close()


@pytest.mark.e2e
@pytest.mark.slow
def test_a_second_server_over_the_same_folder_says_so_and_ends(tmp_path: Path) -> None:
    places = ["--folder", str(tmp_path / "d"), "--index-folder", str(tmp_path / "i2"), "--port", str(free_port())]
    with store_process(tmp_path / "d", index_folder=tmp_path / "i"):
        command = [sys.executable, "-m", "monailabel_app.pacs", *places]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "in use by another server" in second.stderr


@pytest.mark.slow
def test_the_archive_on_its_own_disconnects_who_does_not_finish_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, servers = free_port(), []
    places = ["--folder", str(tmp_path / "d"), "--index-folder", str(tmp_path / "i"), "--port", str(port)]
    monkeypatch.setattr(sys, "argv", ["pacs", *places])
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    monkeypatch.setattr(pacs_main, "configure_logging", lambda: None)
    monkeypatch.setattr(pacs_main, "build_server", lambda app: servers.append(build_server(app)) or servers[-1])
    thread = threading.Thread(target=pacs_main.main)
    thread.start()
    try:
        while not (servers and servers[0].started):
            assert thread.is_alive()
            time.sleep(0.01)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"GET /dicom")
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
    finally:
        for server in servers:
            server.should_exit = True
        thread.join()


def test_a_file_copied_in_a_moment_ago_is_not_overwritten(tmp_path: Path) -> None:
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    acquired, sent = mammogram(1), mammogram(2)
    sent.SOPInstanceUID = sent.file_meta.MediaStorageSOPInstanceUID = acquired.SOPInstanceUID
    sent.StudyInstanceUID, sent.SeriesInstanceUID = acquired.StudyInstanceUID, acquired.SeriesInstanceUID
    place = tmp_path / "d" / acquired.StudyInstanceUID / acquired.SeriesInstanceUID / f"{acquired.SOPInstanceUID}.dcm"
    place.parent.mkdir(parents=True)
    place.write_bytes(as_file(acquired))
    with pytest.raises(RefusedInstanceError, match="is not replaced") as refused:
        store.add(as_file(sent))
    assert refused.value.failure_reason == 0x0111
    assert place.read_bytes() == as_file(acquired)
    assert store.add(as_file(acquired)).path == place
    store.close()


@pytest.mark.parametrize("links", [True, False], ids=["with hard links", "without"])
def test_a_file_that_appears_while_the_store_writes_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    image, write = mammogram(1), store_module._write_durably

    def write_while_another_copies(path: Path, content: bytes) -> object:
        (path.parent / f"{image.SOPInstanceUID}.dcm").write_bytes(b"somebody's file")
        return write(path, content)

    def refuse_links(_: Path, __: Path) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(store_module, "_write_durably", write_while_another_copies)
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    with pytest.raises(RefusedInstanceError, match="is not replaced"):
        store.add(as_file(image))
    (file,) = (tmp_path / "d").rglob("*.dcm")
    assert file.read_bytes() == b"somebody's file"
    store.close()


def test_where_there_are_no_hard_links_images_are_stored_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_links(_: Path, __: Path) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse_links)
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    content = as_file(mammogram())
    assert store.add(content).path.read_bytes() == content
    store.close()


def test_only_the_owner_may_read_what_is_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    store.add(as_file(mammogram()))
    store.close()
    paths = [path for name in ("d", "i") for path in (tmp_path / name, *(tmp_path / name).rglob("*"))]
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in paths}
    assert modes == {True: 0o700, False: 0o600}
    assert len(paths) == 7  # folder, lock, study, series, instance; folder of the index, index


def test_reading_many_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "d").mkdir()
    for number in range(3):
        (tmp_path / "d" / f"{number}.dcm").write_bytes(as_file(mammogram()))
    monkeypatch.setattr(index, "_TELL_INTERVAL_S", 0)
    told: list[tuple[int, int]] = []
    Store(tmp_path / "d", index_folder=tmp_path / "i", progress=lambda done, total: told.append((done, total))).close()
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    Store(tmp_path / "d", index_folder=tmp_path / "i", progress=pytest.fail).close()


def test_a_slow_look_at_the_folder_keeps_no_query_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_store_app(tmp_path / "d", index_folder=tmp_path / "i")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        (tmp_path / "d" / "a.dcm").write_bytes(as_file(mammogram()))
        may_end, scan = threading.Event(), index._scan

        def slow_scan(prefix: str) -> Iterator[tuple[str, tuple[int, int]]]:
            may_end.wait(10)
            return scan(prefix)

        monkeypatch.setattr(index, "_scan", slow_scan)
        app.state.store.index._next_scan = 0.0
        assert client.get("/dicom-web/studies").json() == []
        may_end.set()
        app.state.store.index.refresh()
        assert len(client.get("/dicom-web/studies").json()) == 1


def test_a_full_disk_under_the_index_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    store.index._memory._database.execute("PRAGMA query_only = ON")  # SQLite refuses to write, as on a full disk
    image = mammogram(generated=True)
    store.add(as_file(image))
    image.ViewPosition = "MLO"
    store.add(as_file(image))
    (found,) = store.index.find()
    assert json.loads(store.index.metadata(found))["00185101"]["Value"] == ["MLO"]
    store.close()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda file: file[132:], r"'DICM' does not follow its first 128 bytes, so it is no DICOM file\."),
        (lambda file: file[:-50], r"its pixel data end at byte \d+, the file at \d+, so it is truncated\."),
        (
            lambda _: beginning_of_file(EXPLICIT) + nested_sequences(40, EXPLICIT, defined=False),
            r"its header: [^:.]*\.",
        ),
    ],
    ids=["something else", "truncated", "damaged"],
)
def test_what_cannot_be_read_is_refused_in_one_sentence(tmp_path: Path, damage: Any, reason: str) -> None:
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    with pytest.raises(RefusedInstanceError) as refused:
        store.add(damage(as_file(mammogram())))
    assert re.fullmatch(f"The part is not stored: {reason}", str(refused.value)), str(refused.value)


def test_a_request_above_the_limit_is_refused(tmp_path: Path) -> None:
    app = create_store_app(tmp_path / "d", index_folder=tmp_path / "i", max_body_bytes=1000)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.post("/dicom-web/studies", content=b"x" * 1001).status_code == 413


def test_a_request_of_too_many_parts_is_refused(tmp_path: Path) -> None:
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n\r\n" * 10_001 + b"--B--"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=B'}
    app = create_store_app(tmp_path / "d", index_folder=tmp_path / "i")
    with TestClient(app, base_url="http://127.0.0.1") as client:
        answer = client.post("/dicom-web/studies", content=body, headers=headers)
    assert (answer.status_code, "10000 parts" in answer.json()["detail"]) == (413, True)


def test_a_folder_that_cannot_be_written_is_served_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.dcm").write_bytes(as_file(mammogram()))
    store = Store(tmp_path / "d", index_folder=tmp_path / "i")
    blocked = mammogram()
    (tmp_path / "d" / blocked.StudyInstanceUID).write_text("a file where the folder should be")
    with pytest.raises(RefusedInstanceError, match="its rights and free space") as refused:
        store.add(as_file(blocked))
    assert refused.value.failure_reason == 0xA700
    assert len(store.index.find()) == 1
    store.close()


def test_the_shipped_orthanc_configuration_listens_only_to_this_machine() -> None:
    configuration = json.loads(ORTHANC_CONFIGURATION.read_text())
    assert configuration["RemoteAccessAllowed"] is False
    assert configuration["DicomServerEnabled"] is False
    assert re.fullmatch(rf"127\.0\.0\.1:{configuration['HttpPort']}", configuration["DicomWeb"]["Host"])
