"""The archives behind the gateway, as processes of their own."""

from collections.abc import Iterator

import pytest

from monailabel_app.studies import DicomWebStudies
from tests.pacs.servers import embedded_store, find_orthanc, orthanc

NO_ORTHANC = "Orthanc is not installed (apt-get install orthanc orthanc-dicomweb): only the embedded store is tested"


@pytest.fixture(
    scope="package",
    params=["embedded", pytest.param("orthanc", marks=pytest.mark.skipif(not find_orthanc(), reason=NO_ORTHANC))],
)
def any_archive(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DicomWebStudies]:
    """Each kind of archive in turn, empty at first."""
    folder = tmp_path_factory.mktemp(request.param)
    server = orthanc(folder) if request.param == "orthanc" else embedded_store(folder / "d", index_folder=folder / "i")
    with server as url:
        yield DicomWebStudies(url)
