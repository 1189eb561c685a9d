"""What is refused before a server generates or opens anything."""

import socket
from pathlib import Path

import pytest

from monailabel_app.errors import OptionsError
from monailabel_app.options import ServeOptions
from monailabel_app.serve import serve


def test_a_taken_port_is_told_before_anything_is_prepared(tmp_path: Path) -> None:
    prepared: list[str] = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        options = ServeOptions(studies=None, data_dir=tmp_path / "data", port=other.getsockname()[1])
        with pytest.raises(OptionsError, match="cannot listen on 127.0.0.1 port .* choose another --port"):
            serve(options, say=prepared.append, prepare=lambda: prepared.append("exam"))
    assert prepared == []
