"""MONAI Label's own Python client against the live server."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException

from tests.support.server import find_series

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def client(server, tmp_path):
    return MONAILabelClient(server.address, tmpdir=str(tmp_path))


def test_info_lists_the_task_as_something_stock_clients_do_not_show_as_a_label(client):
    info = client.info()
    contrast = info["models"]["contrast"]
    assert info["name"] == "MammoSynth"
    assert info["labels"] == []
    assert contrast["type"] == "others"
    assert contrast["labels"] == []
    properties = contrast["parameters"]["properties"]
    assert set(properties) >= {"seed", "rendering", "view_position"}
    assert all({"type", "default", "description"} <= set(each) for each in properties.values())
    assert [slot["role"] for slot in contrast["slots"]] == ["source", "lesions"]
    assert "steps" in info["trainers"]["contrast"]["config"]


def test_next_sample_gives_an_image_id_that_can_be_inferred_and_no_server_path(client, server):
    sample = client.next_sample("random", {})
    assert "path" not in sample
    file, params = client.infer("contrast", sample["id"], {"result_extension": ".nrrd", "result_dtype": "uint16"})
    assert sitk.ReadImage(file).GetPixelID() == sitk.sitkUInt16
    assert params["provenance"]["sources"][0]["sop_instance_uid"] == sample["SOPInstanceUID"]


def test_infer_takes_an_uploaded_file(client, exams):
    file = sorted((exams / "P001").rglob("*.dcm"))[0]
    result, params = client.infer("contrast", "", {}, file=str(file))
    assert sitk.ReadImage(result).GetSize() == sitk.ReadImage(str(file)).GetSize()
    assert params["provenance"]["task"] == "contrast"


def test_the_downloaded_source_lies_on_the_result(client, server, tmp_path):
    series = find_series(server, "P001")["R CC low energy"][1]
    source = tmp_path / "source.nrrd"
    source.write_bytes(server.get("/datastore/image", params={"image": series}).content)
    result, _ = client.infer("contrast", series, {})
    assert sitk.ReadImage(result).GetSize() == sitk.ReadImage(str(source)).GetSize()
    assert sitk.ReadImage(result).GetSpacing() == sitk.ReadImage(str(source)).GetSpacing()


def _image(server, view):
    """Study, series and instance of a view of P001, and rows and columns."""
    study, series = find_series(server, "P001")[f"{view} low energy"]
    (item,) = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    return study, series, item["00080018"]["Value"][0], (item["00280010"]["Value"][0], item["00280011"]["Value"][0])


def _drawn(shape, path, like=None):
    """A label map with two lesions, as a person saves it who has drawn on the downloaded image."""
    labels = np.zeros(shape, np.uint8)
    labels[40:60, 10:20], labels[70:75, 20:24] = 1, 3
    volume = sitk.GetImageFromArray(labels[None])
    if like is not None:
        volume.CopyInformation(like)
    sitk.WriteImage(volume, str(path))
    return labels


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
def test_a_label_is_stored_as_a_segmentation_of_its_image(client, server, tmp_path, ending):
    study, series, instance, shape = _image(server, "R CC")
    source = tmp_path / "source.nrrd"
    source.write_bytes(server.get("/datastore/image", params={"image": series}).content)
    labels = _drawn(shape, tmp_path / f"label{ending}", sitk.ReadImage(str(source)))
    info = [{"name": "Malignant", "idx": 1}, {"name": "Herd ő", "idx": 2}]
    saved = client.save_label(series, str(tmp_path / f"label{ending}"), tag="first", params={"label_info": info})
    assert saved["image"] == series
    listed = server.get(f"/studies/{study}/segmentations").json()["segmentations"]
    (entry,) = [each for each in listed if each["sop_instance_uid"] == saved["label"]]
    assert entry == saved["segmentation"]
    assert entry["source_sop_instance_uid"] == instance
    assert entry["series_description"] == "first"
    named = [(each["number"], each["label"], each["lesion_class"]) for each in entry["segments"]]
    assert named == [(1, "Malignant", "malignant"), (2, "Lesion 3", None)]
    mask = server.get(f"/studies/{study}/segmentations/{saved['label']}/mask").content
    np.testing.assert_array_equal(np.frombuffer(mask, np.uint8).reshape(shape), np.where(labels == 3, 2, labels))
    assert server.request("DELETE", f"/studies/{study}/segmentations/{saved['label']}").status_code == 200


def test_a_label_of_a_view_in_a_series_of_several_is_stored_by_the_instance(client, server, tmp_path):
    study, series = find_series(server, "P002")["all views low energy"]
    items = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata").json()
    instance = items[1]["00080018"]["Value"][0]
    _drawn((items[1]["00280010"]["Value"][0], items[1]["00280011"]["Value"][0]), tmp_path / "label.nrrd")
    saved = client.save_label(instance, str(tmp_path / "label.nrrd"))
    assert saved["segmentation"]["source_sop_instance_uid"] == instance
    assert [segment["label"] for segment in saved["segmentation"]["segments"]] == ["Lesion 1", "Lesion 3"]
    with pytest.raises(MONAILabelClientException, match="Status: 409.*holds 4 images; use the SOP Instance UID"):
        client.save_label(series, str(tmp_path / "label.nrrd"))


def test_a_label_that_does_not_lie_on_its_image_is_refused_in_words_and_not_stored(client, server, tmp_path):
    study, series, _, shape = _image(server, "L MLO")
    before = server.get(f"/studies/{study}/segmentations").json()
    file = tmp_path / "label.nrrd"
    _drawn(shape[::-1] if shape[0] > 80 else (100, 90), file)
    with pytest.raises(MONAILabelClientException, match="Status: 422.*as the image has; draw on the image itself"):
        client.save_label(series, str(file))
    file.write_bytes(b"no label")
    with pytest.raises(MONAILabelClientException, match="Status: 422.*neither NRRD nor NIfTI"):
        client.save_label(series, str(file))
    _drawn(shape, file)
    for tag, params, reason in (
        ("../../evil", None, "Status: 422.*tag"),
        ("", {"label_info": "x"}, "Status: 422.*params is not as expected"),
        ("", {"label_info": [{"name": "a\\b", "idx": 1}]}, "Status: 422.*label_info names value 1"),
    ):
        with pytest.raises(MONAILabelClientException, match=reason):
            client.save_label(series, str(file), tag=tag, params=params)
    with pytest.raises(MONAILabelClientException, match="Status: 422.*not a path"):
        client.save_label("../../evil", str(file))
    with pytest.raises(MONAILabelClientException, match="Status: 404"):
        client.save_label("1.2.3", str(file))
    assert server.get(f"/studies/{study}/segmentations").json() == before


def _status(client, timeout_s, *states):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = client.train_status()
        if status["status"] in states:
            return status
        time.sleep(0.5)
    pytest.fail(f"training is {status}, expected {states}")


def test_training_learns_from_the_pairs_of_the_archive_and_writes_a_bundle(client, server):
    tiny = {"steps": 3, "batch_size": 1, "validate_every": 2, "name": "tiny_contrast"}
    client.train_start("contrast", tiny)
    status = _status(client, 180, "DONE", "ERROR")
    assert status["status"] == "DONE", json.dumps(list(status["details"]), indent=1)
    bundle = Path(server.data_dir).rglob("tiny_contrast/configs/metadata.json")
    assert len(list(bundle)) == 1


def test_training_is_stopped_with_its_checkpoint_kept(client, server):
    long = {"steps": 100000, "batch_size": 1, "validate_every": 100000, "name": "stopped_contrast"}
    client.train_start("contrast", long)
    deadline = time.monotonic() + 120
    while "progress" not in json.dumps(list(client.train_status().get("details", []))):
        assert time.monotonic() < deadline, client.train_status()
        time.sleep(0.5)
    client.train_stop()
    assert _status(client, 60, "STOPPED", "DONE")["status"] == "STOPPED"
    kept = [path for path in Path(server.data_dir).rglob("stopped_contrast/**/*") if path.is_file()]
    assert kept


def test_unknown_training_parameters_are_refused(server):
    answer = server.post("/train/contrast", json={"bundle_path": "/tmp/evil"})
    assert answer.status_code == 422
    assert "'bundle_path' is no parameter" in answer.json()["detail"]
    answer = server.post("/train/contrast", json={"name": "../../evil"})
    assert answer.status_code == 422
