import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mammosynth.files.find import find_images

NOBODY = 65534
"""An account without rights."""


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    return path


def names(*inputs: Path, output: Path) -> list[str]:
    return [found.name.as_posix() for found in find_images(inputs, output)[0]]


def test_images_behind_a_linked_folder_are_found(tmp_path: Path) -> None:
    image(tmp_path / "elsewhere" / "deep" / "b.png")
    image(tmp_path / "in" / "z.png")
    (tmp_path / "in" / "a").symlink_to("../elsewhere")
    assert names(tmp_path / "in", output=tmp_path / "out") == ["z.png", "a/deep/b.png"]


def test_links_in_a_circle_and_twice_to_one_folder_are_walked_once(tmp_path: Path) -> None:
    image(tmp_path / "in" / "b" / "x.png")
    for link, target in (("in/a", "b"), ("in/c", "b"), ("in/b/up", "../.."), ("in/self", ".")):
        (tmp_path / link).symlink_to(target)
    assert names(tmp_path / "in", output=tmp_path / "out") == ["b/x.png"]


def test_a_link_to_the_output_is_not_searched(tmp_path: Path) -> None:
    image(tmp_path / "out" / "x_contrast.png")
    image(tmp_path / "in" / "x.png")
    (tmp_path / "in" / "results").symlink_to("../out")
    assert names(tmp_path / "in", output=tmp_path / "out") == ["x.png"]


def test_an_image_that_a_link_leads_nowhere_to_is_found_to_be_reported(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for link, target in (("gone.dcm", ".git/annex/x"), ("loop.png", "loop.png"), ("note", "nowhere")):
        (tmp_path / "in" / link).symlink_to(target)
    found, skipped = find_images([tmp_path / "in"], tmp_path / "out")
    assert ([each.name.name for each in found], skipped) == (["gone.dcm", "loop.png"], 1)
    assert names(tmp_path / "in" / "loop.png", output=tmp_path / "out") == ["loop.png"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account may enter; a test that changes the account has it back."""
    account = os.geteuid()
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)
        os.seteuid(account)


def test_a_closed_folder_is_found_to_be_reported(open_folder: Path) -> None:
    closed = image(open_folder / "in" / "closed" / "x.png").parent
    closed.chmod(0)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)  # nothing is closed to root
    assert names(open_folder / "in", output=open_folder / "out") == ["closed"]
