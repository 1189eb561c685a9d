"""MONAI Label's own Python client against the live server."""

import json
import time
from pathlib import Path

import pytest
import SimpleITK as sitk
from monailabel.client import MONAILabelClient

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
    assert {p["name"] for p in contrast["parameters"]} >= {"seed", "sop_instance_uid", "view_position"}
    assert all({"name", "type", "default", "unit", "description"} <= set(p) for p in contrast["parameters"])
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
