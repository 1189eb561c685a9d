"""Drawn lesions become a DICOM SEG of the study and come back as the same label map, on any archive."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import DeflatedExplicitVRLittleEndian, SecondaryCaptureImageStorage, SegmentationStorage

from mammosynth.dicom.attributes import code_of, coded
from mammosynth.dicom.bounded import MAX_ELEMENTS
from mammosynth.dicom.breast_codes import FIBROGLANDULAR_TISSUE
from mammosynth.dicom.generated import phantom_uid
from mammosynth.dicom.segmentation import Segment, draw_segmentation
from monailabel_app.gateway.refusals import answer_errors
from monailabel_app.gateway.segmentations import create_segmentations
from monailabel_app.identity import LOCAL, Identity, Role
from monailabel_app.studies import DicomWebStudies
from tests.support.asgi import as_asked_by
from tests.support.bombs import DEFLATED, EXPLICIT, beginning_of_file, packed_zeros
from tests.support.images import as_file, mammogram

SHAPE = (24, 16)


@pytest.fixture
def client(any_archive: DicomWebStudies) -> Iterator[Client]:
    with Client(any_archive) as it:
        yield it


class Client:
    """The routes alone, with the gateway's way to tell errors."""

    def __init__(self, archive: DicomWebStudies, identity: Identity = LOCAL) -> None:
        app = FastAPI()
        app.include_router(create_segmentations(lambda: archive))
        answer_errors(app)
        self.client = TestClient(as_asked_by(app, identity))
        self.image = mammogram(1, laterality="R", ImagerPixelSpacing=[0.1, 0.1], SeriesNumber=4)
        archive.store(self.image)
        self._archive = archive
        self.root = f"/studies/{self.image.StudyInstanceUID}/segmentations"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def save(self, mask: bytes, segments: list[dict[str, Any]] | None = None, **more: Any) -> Any:
        description = {
            "sop_instance_uid": self.image.SOPInstanceUID,
            "segments": segments or [{"number": 1, "label": "Lesion 1", "lesion_class": None}],
            **more,
        }
        return self.client.post(self.root, data={"description": json.dumps(description)}, files={"mask": mask})

    def stored(self) -> Dataset:
        """The only segmentation, as the archive holds it."""
        found = self._archive.study(self.image.StudyInstanceUID)
        (address,) = (each for each in found if each.sop_class_uid == SegmentationStorage)
        return self._archive.retrieve(address)

    def upload(self, dataset: Dataset) -> Any:
        return self.client.post(
            f"{self.root}/file", content=as_file(dataset), headers={"content-type": "application/dicom"}
        )

    def listed(self) -> list[dict[str, Any]]:
        return self.client.get(self.root).json()["segmentations"]


def labels() -> np.ndarray:
    drawn = np.zeros(SHAPE, np.uint8)
    drawn[2:6, 3:8], drawn[20:24, 10:16] = 1, 2
    return drawn


def packed(values: np.ndarray) -> bytes:
    return gzip.compress(values.tobytes())


def foreign(client: Client, **attributes: Any) -> Dataset:
    """A segmentation that another maker's tool has drawn on the image."""
    dataset = draw_segmentation([Segment(1, "Mass", labels() == 1)], client.image, software_version="9")
    dataset.Manufacturer = "Vendor"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_drawn_mask_is_stored_listed_given_back_and_deleted(client: Client) -> None:
    segments = [
        {"number": 1, "label": "Lesion 1", "lesion_class": "malignant"},
        {"number": 2, "label": "Läsion 2", "lesion_class": None},
    ]
    answer = client.save(packed(labels()), segments, series_description="First look")
    assert answer.status_code == 201, answer.text
    saved = answer.json()
    assert saved["segments"] == [
        {
            "number": 1,
            "label": "Lesion 1",
            "lesion_class": "malignant",
            "is_lesion": True,
            "area_mm2": 0.2,
        },  # 20 pixels of 0.01 mm2
        {"number": 2, "label": "Läsion 2", "lesion_class": None, "is_lesion": True, "area_mm2": 0.24},
    ]
    assert (saved["rows"], saved["columns"], saved["series_description"]) == (*SHAPE, "First look")
    assert saved["source_sop_instance_uid"] == client.image.SOPInstanceUID
    assert saved["source_series_instance_uid"] == client.image.SeriesInstanceUID
    assert saved["creator"] == "MammoSynth"
    assert (saved["is_lesions"], saved["removable"]) == (True, True)
    assert client.listed() == [saved]
    mask = client.client.get(f"{client.root}/{saved['sop_instance_uid']}/mask")
    assert mask.headers["content-encoding"] == "gzip"
    np.testing.assert_array_equal(np.frombuffer(mask.content, np.uint8).reshape(SHAPE), labels())
    removed = client.client.delete(f"{client.root}/{saved['sop_instance_uid']}")
    assert (removed.status_code, removed.json()) == (200, {"deleted": saved["sop_instance_uid"]})
    assert client.listed() == []


def test_a_segmentation_carries_the_name_of_who_has_drawn_it(any_archive: DicomWebStudies) -> None:
    with Client(any_archive, Identity("Anna Müller", Role.USER)) as client:
        saved = client.save(packed(labels() == 1)).json()
        assert saved["creator"] == "Anna Müller"
        assert client.listed() == [saved]


def test_tissues_are_no_lesions_whatever_they_are_called(client: Client) -> None:
    tissues = foreign(client)
    item = tissues.SegmentSequence[0]
    assert client.upload(tissues).json()["is_lesions"]
    tissues.SOPInstanceUID, item.SegmentLabel = f"{tissues.SOPInstanceUID}.1", "Lesion 1"
    item.SegmentedPropertyCategoryCodeSequence = [coded(codes.SCT.Tissue)]
    item.SegmentedPropertyTypeCodeSequence = [coded(Code("89749009", "SCT", "Fatty tissue of breast"))]
    assert not client.upload(tissues).json()["is_lesions"]


def test_parts_of_the_breast_are_stored_by_their_codes_and_are_no_lesions(client: Client) -> None:
    parts = {"number": 1, "label": "fibroglandular", "is_lesion": False}
    saved = client.save(packed(labels()), [parts, {"number": 2, "label": "calcification"}]).json()
    assert [each["is_lesion"] for each in saved["segments"]] == [False, True]
    assert (saved["is_lesions"], saved["series_description"]) == (False, "Label map R CC")
    gland, calcification = client.stored().SegmentSequence
    assert code_of(gland.SegmentedPropertyTypeCodeSequence[0]) == FIBROGLANDULAR_TISSUE
    assert code_of(calcification.SegmentedPropertyTypeCodeSequence[0]) == codes.SCT.CalcificationOfBreast
    named = client.save(packed(labels() == 1), [{"number": 1, "label": "skin"}]).json()
    assert named["segments"][0]["is_lesion"], "a lesion stays one, whatever it is called"


def test_the_truth_about_a_phantom_shows_its_lesions_and_cannot_be_removed(client: Client) -> None:
    truth = foreign(client, Manufacturer="MammoSynth", SOPInstanceUID=phantom_uid("truth"))
    answer = client.upload(truth).json()
    assert (answer["is_lesions"], answer["removable"]) == (True, False)


def test_the_newest_is_listed_first(client: Client) -> None:
    saved = [client.save(packed(labels() == 1)).json()["sop_instance_uid"] for _ in range(2)]
    assert [entry["sop_instance_uid"] for entry in client.listed()] == saved[::-1]


def test_an_uploaded_segmentation_is_listed_but_not_deleted(client: Client) -> None:
    dataset = foreign(client)
    answer = client.upload(dataset)
    assert answer.status_code == 201, answer.text
    assert client.listed() == [answer.json()]
    removed = client.client.delete(f"{client.root}/{dataset.SOPInstanceUID}")
    assert removed.status_code == 409
    assert "never deleted" in removed.json()["detail"]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"PatientID": "SOMEBODY ELSE"}, "another (0010,0020) Patient ID"),
        ({"StudyInstanceUID": "1.2.3"}, "another (0020,000D) Study Instance UID"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "expected a DICOM Segmentation"),
    ],
)
def test_a_file_that_is_no_segmentation_of_the_study_is_refused(
    client: Client, attributes: dict[str, str], reason: str
) -> None:
    answer = client.upload(foreign(client, **attributes))
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert client.listed() == []


def test_a_segmentation_of_another_matrix_or_image_is_refused(client: Client) -> None:
    other = mammogram(2, patient_id="P2")
    stranger = draw_segmentation([Segment(1, "Mass", labels() == 1)], other, software_version="9")
    assert "refers to no image of this study" in client.upload(stranger).json()["detail"]
    smaller = mammogram(3, Rows=8, Columns=8)
    smaller.SOPInstanceUID, smaller.StudyInstanceUID = client.image.SOPInstanceUID, client.image.StudyInstanceUID
    segment = Segment(1, "Mass", np.ones((8, 8), bool))
    answer = client.upload(draw_segmentation([segment], smaller, software_version="9"))
    assert answer.status_code == 422
    assert "8 x 8 pixels, the image 24 x 16" in answer.json()["detail"]


def test_a_segmentation_of_a_tomosynthesis_is_refused(client: Client, any_archive: DicomWebStudies) -> None:
    image = mammogram(4, study=client.image.StudyInstanceUID)
    dataset = draw_segmentation([Segment(1, "Mass", labels() == 1)], image, software_version="9")
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.13.1.3"
    any_archive.store(image)
    answer = client.upload(dataset)
    assert answer.status_code == 422
    assert "no image of this study that is a mammogram" in answer.json()["detail"]


def test_what_was_drawn_on_an_image_that_models_do_not_take_is_not_stored(
    client: Client, any_archive: DicomWebStudies
) -> None:
    image = mammogram(5, study=client.image.StudyInstanceUID)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    any_archive.store(image)
    answer = client.save(packed(labels() == 1), sop_instance_uid=image.SOPInstanceUID)
    assert answer.status_code == 422
    assert "no image of this study that is a mammogram" in answer.json()["detail"]
    assert len(any_archive.study(client.image.StudyInstanceUID)) == 2


def test_an_uploaded_segmentation_takes_the_place_of_nothing(client: Client, any_archive: DicomWebStudies) -> None:
    dataset = foreign(client)
    assert client.upload(dataset).status_code == 201
    before = client.listed()
    dataset.SegmentSequence[0].SegmentLabel = "Changed"
    image = foreign(
        client, SOPInstanceUID=client.image.SOPInstanceUID, SeriesInstanceUID=client.image.SeriesInstanceUID
    )
    for each in (dataset, image):
        answer = client.upload(each)
        assert answer.status_code == 409
        assert "give a changed segmentation a UID of its own" in answer.json()["detail"]
    assert client.listed() == before
    assert len(any_archive.study(client.image.StudyInstanceUID)) == 2


def test_a_deflated_file_is_stored_and_listed(client: Client) -> None:
    dataset = foreign(client)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert client.upload(dataset).status_code == 201
    assert [entry["sop_instance_uid"] for entry in client.listed()] == [dataset.SOPInstanceUID]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"not DICOM", "bytes 128 to 131 are b'', expected b'DICM' as in a DICOM file (PS3.10); it is damaged"),
        (
            lambda: beginning_of_file(EXPLICIT) + b"\x11\0\x01\x10LO\0\0" * (MAX_ELEMENTS + 1),
            f"more than {MAX_ELEMENTS}",
        ),
        (lambda: beginning_of_file(DEFLATED) + packed_zeros(1 << 28, -zlib.MAX_WBITS), "inflates to more than 128 MiB"),
    ],
    ids=["something else", "tiny elements", "bomb"],
)
def test_a_hostile_upload_is_refused_in_one_sentence_before_it_is_parsed(
    client: Client, make: Callable[[], bytes], reason: str
) -> None:
    answer = client.client.post(f"{client.root}/file", content=make(), headers={"content-type": "application/dicom"})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"the uploaded file: {reason}")


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (b"no gzip", "mask is no gzip"),
        (packed(np.ones(SHAPE[0] * SHAPE[1] - 1, np.uint8)), "does not unpack to 384 bytes"),
        (packed(np.ones(1 << 20, np.uint8)), "does not unpack to 384 bytes"),
        (packed(np.ones(SHAPE, np.uint8))[:-3], "does not unpack to 384 bytes"),
        (packed(np.full(SHAPE, 3, np.uint8)), "mask has the value 3"),
        (packed(np.zeros(SHAPE, np.uint8)), "mask is empty"),
    ],
    ids=["no gzip", "too short", "too long", "cut off", "not described", "empty"],
)
def test_a_mask_that_does_not_fit_is_refused(client: Client, mask: bytes, reason: str) -> None:
    answer = client.save(mask)
    assert answer.status_code == 422
    assert reason in answer.json()["detail"]
    assert client.listed() == []


@pytest.mark.parametrize(
    "description",
    [
        {"sop_instance_uid": "../1"},
        {"segments": [{"number": 256, "label": "a"}]},
        {"segments": [{"number": 1, "label": "a", "lesion_class": "unclear"}]},
        {"segments": [{"number": 1, "label": "a\\b"}]},
        {"unknown": 1},
    ],
)
def test_a_description_that_cannot_be_used_is_refused_by_name(client: Client, description: dict[str, Any]) -> None:
    answer = client.save(packed(labels()), **description)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"description.{next(iter(description))}")


def test_a_description_that_is_no_json_is_told_in_one_sentence(client: Client) -> None:
    answer = client.client.post(client.root, data={"description": "{lesion"}, files={"mask": b""})
    assert (answer.status_code, answer.json()["detail"][:26]) == (422, "description: Invalid JSON:")


def test_an_acquired_image_is_neither_a_segmentation_nor_deleted(client: Client) -> None:
    path = f"{client.root}/{client.image.SOPInstanceUID}"
    assert client.client.delete(path).status_code == 409
    assert client.client.get(f"{path}/mask").status_code == 422
    assert client.client.get(f"{client.root}/1.2.3/mask").status_code == 404
    assert client.client.get("/studies/1.2.3/segmentations").status_code == 404
    assert client.save(packed(labels()), sop_instance_uid="1.2.3").status_code == 404
