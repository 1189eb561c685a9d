"""Drawing over HTTP: the same behaviour over the embedded archive and over Orthanc."""

import gzip
import io
import json
import zlib

import numpy as np
import pytest

from tests.support.server import find_series, retrieve

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _image(server, view):
    """Study, series and instance of a view of P001, and its matrix."""
    study, series = find_series(server, "P001")[f"{view} low energy"]
    (item,) = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    return study, series, item["00080018"]["Value"][0], (item["00280010"]["Value"][0], item["00280011"]["Value"][0])


def _labels(shape):
    labels = np.zeros(shape, np.uint8)
    labels[40:60, 10:20], labels[70:75, 20:24] = 1, 2
    return labels


def _save(server, study, instance, labels):
    description = {
        "sop_instance_uid": instance,
        "segments": [
            {"number": 1, "label": "Lesion 1", "lesion_class": "malignant"},
            {"number": 2, "label": "Lesion 2", "lesion_class": "benign"},
        ],
    }
    files = {"mask": ("mask.gz", gzip.compress(labels.tobytes()), "application/octet-stream")}
    return server.post(f"/studies/{study}/segmentations", data={"description": json.dumps(description)}, files=files)


def _listed(server, study):
    return server.get(f"/studies/{study}/segmentations").raise_for_status().json()["segmentations"]


def test_a_drawing_is_stored_given_back_bit_exact_and_deleted(server):
    study, series, instance, shape = _image(server, "L CC")
    answer = _save(server, study, instance, _labels(shape))
    assert answer.status_code == 201, answer.text
    saved = answer.json()
    assert saved in _listed(server, study)
    assert [(s["lesion_class"], s["area_mm2"]) for s in saved["segments"]] == [
        ("malignant", pytest.approx(200 * 1.8**2)),
        ("benign", pytest.approx(20 * 1.8**2)),
    ]
    assert (saved["source_series_instance_uid"], saved["source_sop_instance_uid"]) == (series, instance)
    mask = server.get(f"/studies/{study}/segmentations/{saved['sop_instance_uid']}/mask")
    np.testing.assert_array_equal(np.frombuffer(mask.content, np.uint8).reshape(shape), _labels(shape))
    stored = retrieve(server, study, saved["series_instance_uid"], saved["sop_instance_uid"])
    assert (stored.Modality, stored.PatientID, stored.Manufacturer) == ("SEG", "P001", "MammoSynth")
    removed = server.request("DELETE", f"/studies/{study}/segmentations/{saved['sop_instance_uid']}")
    assert removed.status_code == 200, removed.text
    assert saved not in _listed(server, study)


def test_a_segmentation_that_was_made_elsewhere_is_uploaded(server):
    study, _, instance, shape = _image(server, "R MLO")
    saved = _save(server, study, instance, _labels(shape)).json()
    dataset = retrieve(server, study, saved["series_instance_uid"], saved["sop_instance_uid"])
    dataset.Manufacturer, dataset.SeriesInstanceUID = "Vendor", "2.25.1234"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.1234.1"
    file = io.BytesIO()
    dataset.save_as(file, write_like_original=False)
    path = f"/studies/{study}/segmentations"
    answer = server.post(f"{path}/file", content=file.getvalue(), headers={"content-type": "application/dicom"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["segments"] == saved["segments"]
    assert answer.json() in _listed(server, study)
    kept = server.request("DELETE", f"{path}/2.25.1234.1")
    assert kept.status_code == 409
    assert "never deleted" in kept.json()["detail"]
    other_study, _ = find_series(server, "P002")["all views low energy"]
    refused = server.post(
        f"/studies/{other_study}/segmentations/file",
        content=file.getvalue(),
        headers={"content-type": "application/dicom"},
    )
    assert refused.status_code == 422
    assert "refers to no image of this study" in refused.json()["detail"]


def test_a_mask_of_the_wrong_size_is_refused_without_unpacking_it(server):
    study, _, instance, shape = _image(server, "L CC")
    small = _save(server, study, instance, np.ones((4, 4), np.uint8))
    assert small.status_code == 422
    assert f"does not unpack to {shape[0] * shape[1]} bytes" in small.json()["detail"]
    bomb = zlib.compressobj(wbits=31)
    content = b"".join(bomb.compress(bytes(1 << 20)) for _ in range(2000)) + bomb.flush()  # 2 GB in 2 MB
    answer = server.post(
        f"/studies/{study}/segmentations",
        data={"description": json.dumps({"sop_instance_uid": instance, "segments": [{"number": 1, "label": "a"}]})},
        files={"mask": content},
    )
    assert answer.status_code == 422
    assert f"does not unpack to {shape[0] * shape[1]} bytes" in answer.json()["detail"]


def test_an_image_is_no_segmentation_and_is_never_deleted_as_one(server):
    study, _, instance, _ = _image(server, "L CC")
    answer = server.request("DELETE", f"/studies/{study}/segmentations/{instance}")
    assert answer.status_code == 409
    assert "never deleted" in answer.json()["detail"]
    assert server.get(f"/studies/{study}/segmentations/{instance}/mask").status_code == 422
    assert server.get("/studies/not-a-uid/segmentations").status_code == 422
    assert server.get("/studies/1.2.3/segmentations").status_code == 404
