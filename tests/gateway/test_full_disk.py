"""The server on a full disk: told in words, nothing half there, and it goes on with space."""

from __future__ import annotations

import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from mammosynth.database import Database
from mammosynth.errors import DatabaseError, OutputError
from mammosynth.journey import Given
from monailabel_app import infers, serve
from monailabel_app.database import LAYOUTS
from monailabel_app.datastores import MammogramDatastore
from monailabel_app.errors import OptionsError, PacsError
from monailabel_app.gateway import app as gateway_app
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.audit import Audit
from monailabel_app.identity import Identity, Role
from monailabel_app.infers import BundleInferTask
from monailabel_app.studies import DicomWebStudies, ViewRequest
from monailabel_app.tokens import add_token, read_tokens
from tests.support.asgi import AsgiClient, as_asked_by
from tests.support.full_disk import full_disk
from tests.support.images import mammogram
from tests.support.models import Inverting, bundle_of

LARGE = 2 << 20  # bytes; more than is kept in memory of an upload


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("size", [1000, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("asked", ["PUT /datastore/label?image={}", "POST /infer/contrast"])
def test_an_upload_is_refused_in_words_and_leaves_nothing(
    archive: DicomWebStudies, temporary: Path, monkeypatch: pytest.MonkeyPatch, asked: str, size: int
) -> None:
    app = SimpleNamespace(source_studies=archive, task=lambda _: SimpleNamespace(parse=lambda _: None))
    monkeypatch.setattr(gateway_app, "app_instance", lambda: app)
    client = AsgiClient(as_asked_by(create_gateway(archive.url, None, temporary.parent)))
    image = archive.instances(next(iter(archive.mammography_series()))["0020000E"]["Value"][0])[0]
    method, path = asked.format(image.sop_instance_uid).split()
    files = {"label" if method == "PUT" else "file": ("a.nrrd", bytes(size))}
    with full_disk():
        full = client.request(method, path, files=files)
    assert full.status_code == 507, full.text
    reason = "the server's disk cannot be written on (File too large); make room, then try again"
    assert full.json()["detail"] == reason
    assert list(temporary.iterdir()) == []
    assert client.put(f"/datastore/label?image={image.sop_instance_uid}", files={"label": b""}).status_code == 422


def test_the_file_of_an_answer_is_whole_or_not_there(
    archive: DicomWebStudies, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = BundleInferTask(bundle_of(Inverting()))
    image = next(iter(archive.mammography_series()))["0020000E"]["Value"][0]
    source, _ = archive.source(image, ViewRequest())
    request: dict[str, Any] = {"order": task.parse({}), "source_path": None}
    request["inputs"] = {"source": Given("source", lambda _: source)}
    monkeypatch.setattr(infers, "to_nrrd_bytes", lambda *_: bytes(1000))
    with full_disk(600), pytest.raises(OSError, match="File too large"):
        task(request)
    assert list(temporary.iterdir()) == []
    assert Path(task(request)[0]).stat().st_size == 1000


def test_an_image_in_the_cache_is_whole_or_not_there(archive: DicomWebStudies, temporary: Path) -> None:
    datastore = MammogramDatastore(archive, str(temporary.parent / "cache"))
    image = next(iter(archive.mammography_series()))["0020000E"]["Value"][0]
    before = sorted(temporary.parent.rglob("*.nrrd"))
    with full_disk(600), pytest.raises(OutputError, match="cannot be written"):
        datastore.get_image_uri(image)
    assert sorted(temporary.parent.rglob("*.nrrd")) == before
    assert Path(datastore.get_image_uri(image)).is_file()


def test_a_result_that_the_archive_has_no_space_for_is_told_with_the_reason(archive: DicomWebStudies) -> None:
    image = mammogram()
    with full_disk(), pytest.raises(PacsError, match=r"refused to store the result \(.*rights and free space"):
        archive.store(image)
    assert archive.instances(str(next(iter(archive.mammography_series()))["0020000E"]["Value"][0]))
    archive.store(image)
    assert [each.sop_instance_uid for each in archive.study(image.StudyInstanceUID)] == [image.SOPInstanceUID]


def test_tokens_stay_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    add_token(file, Identity("Anna", Role.USER))
    with full_disk(), pytest.raises(OutputError, match=r"^tokens: cannot be written"):
        add_token(file, Identity("Ben", Role.USER))
    assert [each.name for each in read_tokens(file)] == ["Anna"]
    add_token(file, Identity("Ben", Role.USER))
    assert [each.name for each in read_tokens(file)] == ["Anna", "Ben"]


def _start_archive(folder: Path) -> AbstractContextManager[Any]:
    return serve._embedded_store(folder / "studies", folder / "index", lambda _: None)


def test_an_archive_that_cannot_be_opened_is_told_in_a_sentence(tmp_path: Path) -> None:
    with (
        full_disk(),
        pytest.raises(OptionsError, match=r"^the embedded archive over studies cannot be opened .*free space$"),
        _start_archive(tmp_path),
    ):
        pass
    with _start_archive(tmp_path):
        pass


def test_a_database_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(DatabaseError, match=r"jobs\.sqlite: .* that the disk has space"):
        Database(tmp_path / "jobs.sqlite", LAYOUTS)
    Database(tmp_path / "jobs.sqlite", LAYOUTS).close()


def test_a_line_of_the_audit_log_is_whole_or_in_the_other_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "audit.log"
    routes = [Route("/train/", lambda _: PlainTextResponse("stopped"), methods=["DELETE"])]
    client = AsgiClient(as_asked_by(Audit(Starlette(routes=routes), file)))
    assert client.request("DELETE", "/train/").status_code == 200
    before = file.read_text()
    with full_disk(len(before) + 20):
        assert client.request("DELETE", "/train/").status_code == 200
    assert file.read_text() == before
    assert "the audit log audit.log cannot be written" in caplog.text
    assert client.request("DELETE", "/train/").status_code == 200
    assert file.read_text().count("\n") == 2
