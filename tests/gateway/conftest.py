"""The archives behind the gateway, as processes of their own."""

from collections.abc import Iterator

import pytest

from monailabel_app.studies import DicomWebStudies
from tests.support.archives import ARCHIVES, archive


@pytest.fixture(scope="package", params=ARCHIVES)
def any_archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebStudies]:
    """Each kind of archive in turn, empty at first."""
    with archive(request.param, tmp_path_factory.mktemp(request.param)) as url:
        yield DicomWebStudies(url)
