"""Where reader studies are stored: each kind of database in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mammosynth.reading.store import StudyStore
from tests.support.postgresql import empty_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """An empty database."""
    if request.param == "sqlite":
        yield tmp_path / "studies.sqlite"
        return
    with empty_database() as url:
        yield url


@pytest.fixture
def store(place: Path | str) -> Iterator[StudyStore]:
    """An empty store."""
    store = StudyStore(place)
    yield store
    store.close()
