"""What is refused before a server generates or opens anything."""

import errno
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mammosynth.imports import OPTIONAL_TO_MONAI
from monailabel_app.errors import OptionsError
from monailabel_app.options import ServeOptions
from monailabel_app.ownership import own_files
from monailabel_app.serve import _close_to_others, _temporary_files, serve


def test_a_taken_port_is_told_before_anything_is_prepared(tmp_path: Path) -> None:
    prepared: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options = ServeOptions(studies=None, data_dir=tmp_path / "data", port=other.getsockname()[1])
        with pytest.raises(OptionsError, match="cannot listen on 127.0.0.1 port .* choose another --port"):
            serve(options, say=prepared.append, prepare=lambda: prepared.append("exam"))
    assert prepared == []


def test_what_is_written_while_serving_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        with own_files():
            (tmp_path / "folder").mkdir()
            (tmp_path / "file").touch()
        assert os.umask(0o022) == 0o022, "afterwards it is as it was"
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("folder", "file")] == [0o700, 0o600]


def test_a_data_folder_that_others_can_enter_is_closed_and_that_is_told(tmp_path: Path) -> None:
    folder, said = tmp_path / "data", []
    folder.mkdir()
    folder.chmod(0o755)
    for _ in range(2):
        _close_to_others(folder, said.append)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert said == [f"Other accounts of this machine could enter {folder}; from now on its owner alone can"]


def test_a_data_folder_that_cannot_be_closed_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    said: list[str] = []
    tmp_path.chmod(0o750)
    monkeypatch.setattr(Path, "chmod", refuse)
    _close_to_others(tmp_path, said.append)
    assert said == [
        f"Other accounts of this machine can enter {tmp_path}, which holds images of patients, and that cannot be "
        "changed (Operation not permitted); let its owner run chmod go-rwx on it"
    ]


def test_what_a_killed_server_left_of_uploads_is_gone_after_the_next_start(tmp_path: Path) -> None:
    folder, before = tmp_path / "tmp", tempfile.gettempdir()
    (folder / "mammosynth-upload-x").mkdir(parents=True)
    (folder / "mammosynth-upload-x" / "patient.dcm").write_bytes(b"DICM")
    with _temporary_files(folder):
        assert list(folder.iterdir()) == []
        assert tempfile.gettempdir() == str(folder)
        assert Path(tempfile.mkdtemp()).parent == folder
    assert not folder.exists()
    assert tempfile.gettempdir() == before


@pytest.mark.slow
def test_a_server_starts_without_packages_that_only_training_with_monai_needs_and_they_can_be_had_afterwards() -> None:
    program = f"""
import sys
from mammosynth.imports import import_monai
import_monai()
import monailabel_app.gateway.app
print([name for name in {OPTIONAL_TO_MONAI} if name in sys.modules])
import ignite.engine, pandas, matplotlib.pyplot
"""
    answer = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"
