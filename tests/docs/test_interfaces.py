"""What 1.0 promises to keep is as tests/interfaces says; `python -m docs.building.interfaces` records what is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.building.interfaces import INTERFACES, RECORD, differences, record, recorded

SLOW = {"dicom", "files"}  # make what they read
CHANGELOG = "# Changelog\n\n## 0.2.0 (unreleased)\n\n### Added\n\n- Colours.\n\n## 0.1.0\n\n- All.\n"


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in INTERFACES]
)
def test_an_interface_is_as_it_was_recorded(name: str) -> None:
    gone, new = differences(recorded(name), list(INTERFACES[name]()))
    told = [f"gone or changed: {line}" for line in gone] + [f"new: {line}" for line in new]
    how = "put back what is gone, or say why: python -m docs.building.interfaces --because REASON"
    assert not told, "\n".join([f"{name} is not as tests/interfaces/{name}.txt says; {how}", *told])


def test_every_record_is_of_an_interface() -> None:
    assert {file.stem for file in RECORD.iterdir()} == set(INTERFACES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    record({"rest": ["GET /a", "GET /b"]}, "", tmp_path / "record", tmp_path / "CHANGELOG.md")
    return tmp_path


def test_what_is_new_is_recorded_without_a_word(folder: Path) -> None:
    now = ["GET /a", "GET /b", "GET /c"]
    assert differences(recorded("rest", folder / "record"), now) == ([], ["GET /c"])
    assert record({"rest": now}, "", folder / "record", folder / "CHANGELOG.md") == []
    assert recorded("rest", folder / "record") == now
    assert (folder / "CHANGELOG.md").read_text() == CHANGELOG


def test_what_is_gone_or_changed_is_refused_without_a_reason(folder: Path) -> None:
    now = ["GET /a?x", "GET /c"]
    unsaid = record({"rest": now}, "", folder / "record", folder / "CHANGELOG.md")
    assert unsaid == ["rest: GET /a", "rest: GET /b"]
    assert recorded("rest", folder / "record") == ["GET /a", "GET /b"]


def test_the_reason_for_what_is_gone_is_in_the_changelog_of_what_is_not_released(folder: Path) -> None:
    place = folder / "record", folder / "CHANGELOG.md"
    assert record({"rest": ["GET /b"]}, "nobody asked for /a", *place) == []
    assert record({"rest": []}, "nor for /b", *place) == []
    broken = "### Broken interfaces\n\n- rest (1 line): nor for /b\n- rest (1 line): nobody asked for /a\n"
    heading = "## 0.2.0 (unreleased)\n"
    expected = CHANGELOG.replace(heading, f"{heading}\n{broken}")
    assert (folder / "CHANGELOG.md").read_text() == expected
