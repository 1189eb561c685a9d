"""What a viewer with windows alone cannot show reaches it as display values; everything else as it is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from fastapi import FastAPI
from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForProcessing
from requests_toolbelt import MultipartDecoder

from mammosynth.dicom.bounded import MAX_ELEMENTS
from mammosynth.dicom.read import read_mammogram
from mammosynth.dicom.write import to_stored_values
from monailabel_app.dicom_json import value_of
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.presentation import display_frame, is_shown_wrongly
from tests.support.archives import ARCHIVES, archive_of
from tests.support.asgi import AsgiClient, as_asked_by
from tests.support.bombs import EXPLICIT, beginning_of_file
from tests.support.instances import as_file, breast_values, build_instance, build_raw_instance, lut_item
from tests.support.odd_archives import fixed, odd_archive

SQUARED = np.rint(np.arange(4096) ** 2 / 4095).astype("<u2").tobytes()  # a VOI LUT that no window equals
STUDY = "1.2.3"
FRAME_TYPE = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


def with_voi_lut(**attributes: Any) -> Dataset:
    return build_instance(VOILUTSequence=[lut_item(4096, 0, 12, SQUARED)], **attributes)


def path_of(series: int, what: str) -> str:
    return f"/proxy/dicom/wado/studies/{STUDY}/series/{STUDY}.{series}/instances/{STUDY}.{series}.1{what}"


def uids(series: int) -> dict[str, str]:
    return {"SeriesInstanceUID": f"{STUDY}.{series}", "SOPInstanceUID": f"{STUDY}.{series}.1"}


SOURCES = {
    1: with_voi_lut(**uids(1), PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    2: build_instance(**uids(2)),
    3: with_voi_lut(**uids(3), NumberOfFrames="2", PixelData=breast_values().tobytes() * 2),
}


@pytest.fixture(scope="module", params=ARCHIVES)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    """A gateway over three instances: with a VOI LUT, with a window, with a VOI LUT for two frames."""
    folder = tmp_path_factory.mktemp(request.param)
    with archive_of(request.param, folder) as url:
        app = as_asked_by(create_gateway(url, None, folder))
        parts = b"".join(
            b"--end\r\nContent-Type: application/dicom\r\n\r\n" + as_file(source).getvalue() + b"\r\n"
            for source in SOURCES.values()
        )
        stored = AsgiClient(app).post(
            "/proxy/dicom/stow/studies",
            content=parts + b"--end--\r\n",
            headers={"content-type": 'multipart/related; type="application/dicom"; boundary=end'},
        )
        assert stored.status_code == 200, stored.text
        yield app


def parts_of(gateway: FastAPI, path: str, accept: str = FRAME_TYPE) -> list[Any]:
    answer = AsgiClient(gateway).get(path, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    return list(MultipartDecoder(answer.content, answer.headers["content-type"]).parts)


def metadata_of(gateway: FastAPI, series: int) -> dict[str, Any]:
    answer = AsgiClient(gateway).get(path_of(series, "/metadata"), headers={"accept": "application/dicom+json"})
    assert answer.status_code == 200, answer.text
    return answer.json()[0]


def test_a_frame_with_a_voi_lut_holds_the_values_that_models_see(gateway: FastAPI) -> None:
    (part,) = parts_of(gateway, path_of(1, "/frames/1"))
    expected = to_stored_values(read_mammogram(SOURCES[1]).pixels)
    np.testing.assert_array_equal(np.frombuffer(part.content, "<u2").reshape(expected.shape), expected)
    assert part.headers[b"Content-Type"] == b"application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


def test_the_metadata_describe_that_frame_and_nothing_else_changes(gateway: FastAPI) -> None:
    found = metadata_of(gateway, 1)
    described = {
        **{"00280004": "MONOCHROME2", "00280100": 16, "00280101": 16, "00280102": 15, "00280103": 0},
        **{"00281050": 32768, "00281051": 65536, "00281052": 0, "00281053": 1, "20500020": "IDENTITY"},
    }
    assert {tag: value_of(found, tag) for tag in described} == described
    assert not {"00283010", "00281056", "7FE00010"} & found.keys()
    kept = {"00100020": "P1", "00200062": "L", "00280010": 48, "0020000D": STUDY, "00180060": 28}
    assert {tag: value_of(found, tag) for tag in kept} == kept
    assert not is_shown_wrongly(found)


def test_what_is_stored_is_retrieved_as_it_was_stored(gateway: FastAPI) -> None:
    (part,) = parts_of(gateway, path_of(1, ""), 'multipart/related; type="application/dicom"; transfer-syntax=*')
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(part.content))
    assert dataset.PixelData == SOURCES[1].PixelData
    assert len(dataset.VOILUTSequence) == 1


@pytest.mark.parametrize("series", [2, 3])
def test_a_frame_of_other_images_passes_as_it_is_stored(gateway: FastAPI, series: int) -> None:
    (part,) = parts_of(gateway, path_of(series, "/frames/1"))
    assert part.content == breast_values().tobytes()
    assert value_of(metadata_of(gateway, series), "00280101") == 12


def test_a_client_without_multipart_gets_the_bytes_alone(gateway: FastAPI) -> None:
    answer = AsgiClient(gateway).get(path_of(1, "/frames/1"), headers={"accept": "application/octet-stream"})
    assert answer.content == parts_of(gateway, path_of(1, "/frames/1"))[0].content


def test_a_second_frame_is_refused_in_words(gateway: FastAPI) -> None:
    answer = AsgiClient(gateway).get(path_of(1, "/frames/2"))
    assert answer.status_code == 404
    assert answer.json() == {"detail": "frame 2 of an image that has one; ask for frame 1"}


def test_an_instance_that_the_archive_does_not_have_is_not_found(gateway: FastAPI) -> None:
    assert AsgiClient(gateway).get(path_of(9, "/frames/1")).status_code == 404


def test_an_archive_that_does_not_answer_is_told_in_words(tmp_path: Path) -> None:
    app = as_asked_by(create_gateway("http://127.0.0.1:9/dicom-web", None, tmp_path))
    answer = AsgiClient(app).get(path_of(1, "/frames/1"))
    assert answer.status_code == 502
    assert "the archive does not answer" in answer.json()["detail"]


PADDED = {"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, False),
        ({"VOILUTFunction": "SIGMOID"}, False),
        ({"PhotometricInterpretation": "MONOCHROME1"}, False),
        ({"PixelPaddingValue": 0}, False),  # black anyway
        ({"PixelPaddingValue": 4095}, True),
        ({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 900}, True),
        (PADDED, True),  # would be white
        ({**PADDED, "PixelPaddingValue": 4095}, False),
        ({"WindowCenter": None, "WindowWidth": None}, True),
        ({"WindowWidth": "0"}, True),
        ({"VOILUTSequence": [lut_item(4096, 0, 12, SQUARED)]}, True),
        ({"VOILUTSequence": [lut_item(4096, 0, 12, SQUARED)], "NumberOfFrames": "50"}, False),
        ({"ModalityLUTSequence": [lut_item(4096, 0, 16, SQUARED)]}, True),
        ({"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "WindowCenter": None}, False),
        ({"PhotometricInterpretation": "RGB", "WindowCenter": None}, False),
    ],
)
def test_which_images_a_window_cannot_show(attributes: dict[str, Any], expected: bool) -> None:
    assert is_shown_wrongly(build_instance(**attributes).to_json_dict()) is expected


def test_numbers_that_are_none_do_not_stop_the_study() -> None:
    attributes = build_instance().to_json_dict()
    attributes["00281050"]["Value"] = ["about 2000"]
    assert is_shown_wrongly(attributes)


def test_counts_of_a_detector_are_shown_as_attenuation() -> None:
    raw = build_raw_instance(np.rint(12000 * np.exp(breast_values() / -2000.0)).astype(np.uint16))
    shown = np.frombuffer(display_frame(raw), "<u2").reshape(48, 40)
    np.testing.assert_array_equal(shown, to_stored_values(read_mammogram(raw).pixels))
    assert shown[24, 20] > shown[0, 39]  # breast brighter than air


def test_a_hostile_instance_is_told_in_words_and_never_parsed(tmp_path: Path) -> None:
    tiny = beginning_of_file(EXPLICIT) + b"\x11\0\x01\x10LO\0\0" * (MAX_ELEMENTS + 1)
    headers = json.dumps([SOURCES[1].to_json_dict()]).encode()

    def answer(request: Any) -> None:
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + tiny + b"\r\n--b--"
        is_metadata = request.path.endswith("/metadata")
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        fixed(200, *(headers,) if is_metadata else (body, kind))(request)

    with odd_archive(answer) as url:
        got = AsgiClient(as_asked_by(create_gateway(url, None, tmp_path))).get(path_of(1, "/frames/1"))
    assert (got.status_code, f"more than {MAX_ELEMENTS} elements" in got.json()["detail"]) == (502, True)
