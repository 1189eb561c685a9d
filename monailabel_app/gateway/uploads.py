"""Files that a client sends along with a request."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import UploadFile


@contextmanager
def uploaded_file(file: UploadFile) -> Iterator[Path]:
    """An uploaded file on disk, under the client's own file name (without its folders) in a folder of its own."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", Path(file.filename or "").name).lstrip(".") or "image"
    with TemporaryDirectory(prefix="mammosynth-upload-") as folder:
        path = Path(folder) / name[-100:]
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy)
        yield path
