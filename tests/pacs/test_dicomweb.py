"""What any PACS of ours must do, asked by dicomweb_client: of the embedded store and of a real Orthanc."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np
import pydicom
import pytest
import requests
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from mammosynth.dicom.compress import compress_instance
from tests.support.archives import ARCHIVES, archive_of
from tests.support.images import as_file, mammogram
from tests.support.instances import as_file as instance_file
from tests.support.instances import breast_values, build_instance


@pytest.fixture(scope="module", params=ARCHIVES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with archive_of(request.param, tmp_path_factory.mktemp(request.param)) as root:
        yield root


@pytest.fixture
def client(url: str) -> DICOMwebClient:
    return DICOMwebClient(url)


def stored_study(client: DICOMwebClient, patient_id: str) -> list[Dataset]:
    """Two views in two series."""
    study = generate_uid()
    images = [
        mammogram(1, patient_id=patient_id, study=study, laterality="R", SeriesNumber=1),
        mammogram(2, patient_id=patient_id, study=study, laterality="L", SeriesNumber=2),
    ]
    client.store_instances(images)
    return images


def uids(image: Dataset) -> tuple[str, str, str]:
    return image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID


def frames_of(client: DICOMwebClient, image: Dataset) -> list[bytes]:
    # Orthanc 1.10.1 does not know the type "*/*" that dicomweb_client asks for by default
    return client.retrieve_instance_frames(*uids(image), [1], media_types=("application/octet-stream",))


def test_a_stored_image_comes_back_bit_exact(client: DICOMwebClient) -> None:
    image = mammogram(3)
    answer = client.store_instances([image])
    assert [item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence] == [image.SOPInstanceUID]
    back = client.retrieve_instance(*uids(image))
    assert as_file(back) == as_file(image)


def test_a_study_is_found_by_patient_and_described(client: DICOMwebClient) -> None:
    images = stored_study(client, "QIDO1")
    stored_study(client, "QIDO2")
    (found,) = client.search_for_studies(search_filters={"PatientID": "QIDO1"})
    study = Dataset.from_json(found)
    assert study.StudyInstanceUID == images[0].StudyInstanceUID
    assert study.PatientName == "PHANTOM^QIDO1"
    assert study.ModalitiesInStudy == "MG"
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 2)
    assert study.RetrieveURL.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ("PatientName=*WILD1", 1),
        ("00100020=WILD?", 1),
        ("StudyDate=20260101-20260131&PatientID=WILD1", 1),
        ("StudyDate=-20251231&PatientID=WILD1", 0),
        ("ModalitiesInStudy=MG&PatientID=WILD1", 1),
        ("PatientID=nobody", 0),
    ],
)
def test_queries_match_by_keyword_tag_wildcard_and_range(client: DICOMwebClient, filters: str, count: int) -> None:
    if not client.search_for_studies(search_filters={"PatientID": "WILD1"}):
        stored_study(client, "WILD1")
    # Orthanc 1.10.1 does not decode %2A, which dicomweb_client makes of *
    assert len(requests.get(f"{client.base_url}/studies?{filters}", timeout=10).json()) == count


def test_a_list_of_uids_matches_each(client: DICOMwebClient) -> None:
    wanted = [stored_study(client, f"LIST{n}")[0].StudyInstanceUID for n in range(2)]
    found = client.search_for_studies(search_filters={"StudyInstanceUID": ",".join(wanted)})
    assert sorted(study["0020000D"]["Value"][0] for study in found) == sorted(wanted)


def test_series_and_instances_are_listed_with_their_numbers(client: DICOMwebClient) -> None:
    images = stored_study(client, "LEVELS")
    series = client.search_for_series(images[0].StudyInstanceUID, fields=["SeriesDescription"])
    assert sorted(s["0008103E"]["Value"][0] for s in series) == ["L CC", "R CC"]
    assert [s["00201209"]["Value"] for s in series] == [[1], [1]]
    (instance,) = client.search_for_instances(*uids(images[1])[:2])
    assert instance["00080018"]["Value"] == [images[1].SOPInstanceUID]
    assert instance["00280010"]["Value"] == [24]


def test_limit_and_offset_walk_through_all_studies_once(client: DICOMwebClient) -> None:
    for n in range(3):
        stored_study(client, f"PAGE{n}")
    pages = [
        requests.get(f"{client.base_url}/studies?PatientID=PAGE*&limit=1&offset={n}", timeout=10).json()
        for n in range(4)
    ]
    assert [len(page) for page in pages] == [1, 1, 1, 0]
    assert len({page[0]["0020000D"]["Value"][0] for page in pages[:3]}) == 3


def test_metadata_hold_the_header_and_no_pixels(client: DICOMwebClient) -> None:
    images = stored_study(client, "META")
    (header,) = client.retrieve_series_metadata(*uids(images[0])[:2])
    assert header["00200062"]["Value"] == ["R"]
    assert "InlineBinary" not in header.get("7FE00010", {})
    assert len(client.retrieve_study_metadata(images[0].StudyInstanceUID)) == 2


def test_a_whole_study_is_retrieved(client: DICOMwebClient) -> None:
    images = stored_study(client, "WHOLE")
    back = client.retrieve_study(images[0].StudyInstanceUID)
    assert {b.SOPInstanceUID for b in back} == {i.SOPInstanceUID for i in images}


def test_frames_are_the_stored_pixels(client: DICOMwebClient) -> None:
    image = stored_study(client, "FRAMES")[0]
    assert frames_of(client, image) == [image.PixelData]


def test_frames_of_a_compressed_result_are_its_pixels(client: DICOMwebClient) -> None:
    plain = build_instance(breast_values(bits=16), bits=16, PatientID="JPEGLS")
    compressed = pydicom.dcmread(instance_file(compress_instance(plain)))
    client.store_instances([compressed])
    explicit = "1.2.840.10008.1.2.1"
    (frame,) = client.retrieve_instance_frames(*uids(plain), [1], media_types=(("application/octet-stream", explicit),))
    assert frame == plain.PixelData


def test_a_rendered_image_shows_the_pixels(client: DICOMwebClient) -> None:
    image = stored_study(client, "RENDER")[0]
    png = client.retrieve_instance_rendered(*uids(image), media_types=("image/png",))
    shown = np.asarray(Image.open(io.BytesIO(png)).convert("L"), dtype=float)
    assert shown.shape == (24, 16)
    assert np.corrcoef(shown.ravel(), image.pixel_array.ravel())[0, 1] > 0.999


def test_an_unknown_instance_is_not_found(client: DICOMwebClient) -> None:
    with pytest.raises(requests.HTTPError, match="404"):
        client.retrieve_instance(generate_uid(), generate_uid(), generate_uid())


def test_an_image_of_another_study_is_refused(client: DICOMwebClient) -> None:
    image = mammogram(4, patient_id="WRONGSTUDY")
    with pytest.raises(requests.HTTPError, match="40"):
        client.store_instances([image], study_instance_uid=generate_uid())
    assert client.search_for_studies(search_filters={"PatientID": "WRONGSTUDY"}) == []


def test_storing_the_same_image_twice_changes_nothing(client: DICOMwebClient) -> None:
    image = mammogram(5, patient_id="TWICE")
    for _ in range(2):
        answer = client.store_instances([image])
        assert len(answer.ReferencedSOPSequence) == 1
    assert len(client.search_for_instances(search_filters={"PatientID": "TWICE"})) == 1


def test_an_acquired_image_is_never_replaced_by_another_with_its_uid(client: DICOMwebClient) -> None:
    image = mammogram(6, patient_id="KEEP")
    client.store_instances([image])
    changed = mammogram(7, patient_id="KEEP", study=image.StudyInstanceUID, series=image.SeriesInstanceUID)
    changed.SOPInstanceUID = changed.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    with contextlib.suppress(requests.HTTPError):  # Orthanc answers that it has the instance, we that it differs
        client.store_instances([changed])
    assert frames_of(client, image) == [image.PixelData]
