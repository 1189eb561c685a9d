"""Whatever becomes of a file: an image or an error in words, in time; never another exception, never a crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mammosynth.errors import MammoSynthError
from mammosynth.files import read_image, read_label_map, read_labels
from tests.support.image_files import NAMES, image_file
from tests.support.instances import build_instance
from tests.support.mutants import mutants

SECONDS = 2.0  # for one file; most take 2 ms
MUTANTS = 20
MANY = 100  # of each of 16 kinds


@pytest.mark.parametrize("name", NAMES)
def test_the_file_itself_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(image_file(name))
    assert read_image(tmp_path / name).pixels.shape == (48, 40)


def check(read: Callable[[Path], Any], name: str, folder: Path, *, seed: int, count: int) -> None:
    path = folder / name
    for content in mutants(image_file(name), seed, count, head=2048 if name.endswith(".dcm") else 400):
        path.write_bytes(content)
        start = time.perf_counter()
        with suppress(MammoSynthError):
            read(path)
        assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_gives_an_image_or_an_error_in_words(name: str, tmp_path: Path) -> None:
    check(read_image, name, tmp_path, seed=12, count=MUTANTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_drawing_gives_a_label_map_or_an_error_in_words(name: str, tmp_path: Path) -> None:
    check(read_label_map, name, tmp_path, seed=13, count=MUTANTS // 2)
    check(lambda path: read_labels(path, build_instance()), name, tmp_path, seed=14, count=MUTANTS // 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_1600_damaged_files_give_images_or_errors_in_words(name: str, tmp_path: Path) -> None:
    check(read_image, name, tmp_path, seed=2026, count=MANY)
