"""The main job over HTTP: the same behaviour over the embedded archive and over Orthanc."""

import shutil
import signal

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from sqlalchemy import text

from mammosynth.database import Database
from mammosynth.dicom.read import read_mammogram
from mammosynth.errors import UnsupportedImageError
from monailabel_app.database import LAYOUTS
from tests.support.phantom_views import left_cc
from tests.support.real_data import REAL_DICOM
from tests.support.server import find_series, made, order, retrieve, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_job_stores_a_marked_series_in_the_study_of_its_source(server):
    study, series = find_series(server, "P001")["L CC low energy"]
    status = server.synthesize(study, series, parameters={"seed": 11})
    result = status["result"]
    output = made(result)
    derived = retrieve(server, study, output["series_instance_uid"], output["sop_instance_uid"])
    assert status["progress"] == 1.0
    assert derived.StudyInstanceUID == study
    assert derived.PatientID == "P001"
    assert derived.SeriesDescription.startswith("SYNTHETIC")
    assert derived[0x0008, 0x001C].value == "YES"
    assert derived.ImageLaterality == "L"
    assert derived.ViewPosition == "CC"
    assert derived.pixel_array.dtype == np.uint16
    assert result["provenance"][0]["sources"][0]["series_instance_uid"] == series
    assert result["viewer_url"].startswith("/ohif/synthesis?StudyInstanceUIDs=" + study)


def test_the_same_job_again_adds_no_second_image(server):
    study, series = find_series(server, "P001")["R CC low energy"]
    first = server.synthesize(study, series)["result"]
    again = server.synthesize(study, series)["result"]
    assert again["outputs"] == first["outputs"]
    uid = made(first)["series_instance_uid"]
    assert len(server.get(f"/proxy/dicom/qido/studies/{study}/series/{uid}/instances").json()) == 1


def test_a_job_that_waits_is_cancelled_over_http(server):
    study, series = find_series(server, "P001")["L CC low energy"]
    body = order(study, series)
    jobs = [
        server.post("/synthesis", json={**body, "parameters": {"seed": 100 + n}}).json()["job_id"] for n in range(6)
    ]
    answer = server.request("DELETE", f"/synthesis/{jobs[-1]}")
    assert answer.status_code == 200
    assert server.wait(jobs[-1], "cancelled")["result"] is None
    server.wait(jobs[0], "done")
    done = server.request("DELETE", f"/synthesis/{jobs[0]}")
    assert done.status_code == 409
    assert "cannot be cancelled" in done.json()["detail"]
    assert server.get("/synthesis/nonsense").status_code == 404


def test_every_view_of_a_series_is_synthesized_into_one_new_series(server):
    study, series = find_series(server, "P002")["all views low energy"]
    result = server.synthesize(study, series)["result"]
    uid = made(result)["series_instance_uid"]
    assert {output["series_instance_uid"] for output in result["outputs"]} == {uid}
    instances = {output["sop_instance_uid"] for output in result["outputs"]}
    assert len(instances) == 4
    description = "SYNTHETIC contrast expected breast_cem_residual 0.5.0"  # of no view, since it holds several
    assert description in find_series(server, "P002")
    metadata = server.get(f"/proxy/dicom/wado/studies/{study}/series/{uid}/metadata").json()
    assert {item["0008103E"]["Value"][0] for item in metadata} == {description}
    assert {item["00080018"]["Value"][0] for item in metadata} == instances
    assert sorted(item["00200013"]["Value"][0] for item in metadata) == [1, 2, 3, 4]


def test_one_view_of_a_series_can_be_chosen(server):
    study, series = find_series(server, "P002")["all views low energy"]
    instances = server.get(f"/proxy/dicom/qido/studies/{study}/series/{series}/instances").json()
    chosen = instances[1]["00080018"]["Value"][0]
    result = server.synthesize(study, series, sop_instance_uid=chosen, parameters={"seed": 7})["result"]
    assert [p["sources"][0]["sop_instance_uid"] for p in result["provenance"]] == [chosen]


def test_a_synthesized_series_is_refused_as_a_source(server):
    study, series = find_series(server, "P001")["L CC low energy"]
    derived = made(server.synthesize(study, series)["result"])
    body = order(study, derived["series_instance_uid"])
    status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "failed")
    assert "SYNTHETIC" in status["message"].upper()
    answer = server.post(f"/infer/contrast?image={derived['series_instance_uid']}&output=json")
    assert answer.status_code == 422
    with pytest.raises(UnsupportedImageError):
        read_mammogram(
            retrieve(server, study, derived["series_instance_uid"], derived["sop_instance_uid"]),
        )


def test_synthesized_series_are_no_candidates_for_the_next_sample(server):
    study, series = find_series(server, "P001")["L CC low energy"]
    derived = made(server.synthesize(study, series)["result"])["series_instance_uid"]
    images = server.get("/datastore/?output=all").json()["objects"]
    assert series in images
    assert derived not in images


def test_recombined_series_are_no_candidates_for_the_next_sample(server):
    images = server.get("/datastore/?output=all").json()["objects"]
    series = find_series(server, "P003")
    assert series["L CC low energy"][1] in images
    assert series["L CC recombined"][1] not in images


def test_a_series_of_another_study_is_refused(server):
    series = find_series(server, "P001")["L CC low energy"][1]
    other_study, _ = find_series(server, "P002")["all views low energy"]
    body = order(other_study, series)
    status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "failed")
    assert "is not part of study" in status["message"]


def test_an_unknown_series_fails_with_a_sentence(server):
    body = order("1.2.3", "1.2.3.4")
    status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "failed")
    assert "no series or instance 1.2.3.4" in status["message"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "nonsense"}, "expected one of contrast"),
        ({"inputs": order("1.2.3", "../../etc")["inputs"]}, "inputs.source.series_instance_uid: "),
        ({"inputs": {}}, "input 'source' is missing"),
        ({"inputs": {"image": "1.2"}}, "input 'image' is unknown, expected source"),
        ({"parameters": {"device": "cuda"}}, "parameter 'device' is unknown"),
        ({"parameters": {"seed": -1}}, "parameter 'seed' is '-1'"),
        ({"parameters": {"seed": "1; rm"}}, "parameter 'seed' is '1; rm', expected integer"),
        ({"parameters": {"burned_in_mark": "no"}}, "expected boolean"),
        ({"parameters": {"view_position": "XCCL"}}, "'view_position' is 'XCCL', expected 'CC' or 'MLO'"),
        ({"parameters": {"rendering": "painted"}}, "'rendering' is 'painted', expected 'expected' or 'sampled'"),
        ({"image": "/etc/passwd"}, "image"),
    ],
)
def test_bad_requests_are_refused_in_words(server, body, words):
    base = order("1.2.3", "1.2.3.4")
    answer = server.post("/synthesis", json={**base, **body})
    assert 400 <= answer.status_code < 500
    assert words in answer.json()["detail"]


def test_infer_returns_a_16_bit_nrrd_with_the_geometry_of_the_source(server, tmp_path):
    series = find_series(server, "P001")["L MLO low energy"][1]
    source = server.get("/datastore/image", params={"image": series})
    answer = server.post(f"/infer/contrast?image={series}&output=image")
    images = []
    for name, content in (("source", source.content), ("result", answer.content)):
        (tmp_path / f"{name}.nrrd").write_bytes(content)
        images.append(sitk.ReadImage(str(tmp_path / f"{name}.nrrd")))
    assert images[1].GetPixelID() == sitk.sitkUInt16
    assert images[1].GetSize() == images[0].GetSize()
    assert images[1].GetSpacing() == images[0].GetSpacing()
    assert images[1].GetOrigin() == images[0].GetOrigin()
    assert images[1].GetDirection() == images[0].GetDirection()
    assert sitk.GetArrayFromImage(images[1]).std() > 100


def test_infer_returns_the_provenance_as_json(server):
    series = find_series(server, "P001")["R MLO low energy"][1]
    answer = server.post(f"/infer/contrast?image={series}&output=json", data={"params": '{"seed": 3}'})
    provenance = answer.json()["provenance"]
    assert provenance["task"] == "contrast"
    assert provenance["seed"] == 3
    assert provenance["sources"][0]["series_instance_uid"] == series
    assert len(provenance["weights_sha256"]) == 64


def test_the_mark_is_burned_in_unless_a_blinded_study_asks_for_none(server, tmp_path):
    series = find_series(server, "P001")["L CC low energy"][1]
    pixels = []
    for mark in ("true", "false"):
        answer = server.post(
            f"/infer/contrast?image={series}&output=image", data={"params": f'{{"burned_in_mark": {mark}}}'}
        )
        (tmp_path / "result.nrrd").write_bytes(answer.content)
        pixels.append(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "result.nrrd"))))
    changed = (pixels[0] != pixels[1]).mean()
    assert 0.001 < changed < 0.1
    assert pixels[0].max() == 65535


def test_a_body_that_is_none_and_a_source_that_is_no_object_are_told_in_words(server):
    assert server.post("/synthesis").json()["detail"] == "the body: Field required"
    answer = server.post("/synthesis", json={"model": "contrast", "inputs": {"source": "1.2.3"}})
    assert answer.status_code == 422
    assert "inputs.source is a JSON str, expected an object of study_instance_uid, series" in answer.json()["detail"]


def test_infer_asks_which_view_is_meant_and_takes_the_answer(server):
    _, series = find_series(server, "P002")["all views low energy"]
    answer = server.post(f"/infer/contrast?image={series}&output=json")
    assert answer.status_code == 422
    assert "holds 4 images" in answer.json()["detail"]
    assert "L MLO" in answer.json()["detail"]
    download = server.get("/datastore/image", params={"image": series})
    assert (download.status_code, "holds 4 images" in download.json()["detail"]) == (422, True)
    chosen = answer.json()["detail"].split("holds 4 images: ")[1].split(" ")[0]
    answer = server.post(f"/infer/contrast?image={chosen}&output=json")
    assert answer.json()["provenance"]["sources"][0]["sop_instance_uid"] == chosen


@pytest.mark.parametrize(
    ("query", "params", "status", "words"),
    [
        ("image=/etc/passwd", "{}", 422, "not a path"),
        ("image=..%2F..%2Fsecret", "{}", 422, "not a path"),
        ("image=1.2.3.4", "{}", 404, "no series or instance"),
        ("", "{}", 422, "image is missing"),
        ("image=1.2.3.4", '{"image": "/etc/passwd"}', 422, "'image' is unknown"),
        ("image=1.2.3.4", '{"model": "other"}', 422, "'model' is unknown"),
        ("image=1.2.3.4", '{"result_dtype": "uint8"}', 422, "uint16"),
        ("image=1.2.3.4", '{"path": "/etc/passwd"}', 422, "'path' is unknown"),
        ("", '{"inputs": {"source": "/etc/passwd"}}', 422, "not a path"),
        ("", '{"inputs": {"source": {"path": "/etc/passwd"}}}', 422, "not a path"),
        ("", '{"inputs": ["/etc/passwd"]}', 422, "inputs is a JSON list, expected an object"),
        ("image=1.2.3.4", "not json", 422, "no valid JSON"),
        ("image=1.2.3.4", "[1]", 422, "expected an object"),
        ("image=1.2.3.4&output=dicom_seg", "{}", 422, "dicom_seg"),
    ],
)
def test_infer_refuses_in_words(server, query, params, status, words):
    answer = server.post(f"/infer/contrast?{query}", data={"params": params})
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text


def test_an_unknown_model_is_answered_with_the_known_ones(server):
    answer = server.post("/infer/nonsense?image=1.2.3")
    assert answer.status_code == 404
    assert "expected one of contrast" in answer.json()["detail"]


def test_the_proxy_keeps_the_query_so_that_no_other_patient_is_shown(server):
    found = server.get("/proxy/dicom/qido/studies", params={"PatientID": "P001"}).json()
    assert [item["00100020"]["Value"] for item in found] == [["P001"]]


def test_what_an_archive_says_of_bulk_data_leads_through_the_proxy(server):
    study, series = find_series(server, "P001")["L CC low energy"]
    metadata = server.get(f"/proxy/dicom/wado/studies/{study}/series/{series}/metadata")
    assert metadata.status_code == 200
    assert b"127.0.0.1" not in metadata.content


@pytest.mark.parametrize(
    "path", ["instances/../../system", "system", "tools/execute-script", "studies/%2e%2e/system", "modalities"]
)
def test_the_proxy_reaches_nothing_but_dicomweb(server, path):
    assert server.get(f"/proxy/dicom/{path}").status_code in (400, 404)
    assert server.post(f"/proxy/dicom/{path}", content=b"x").status_code in (400, 404, 415)


@pytest.mark.parametrize(
    "path", ["/logs/", "/session/", "/model/contrast", "/reload", "/login", "/static/ohif/index.html"]
)
def test_the_platforms_dangerous_routes_are_closed(server, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        assert server.request(method, path).status_code in (404, 405)


def test_the_server_answers_while_it_infers(server):
    import threading
    import time

    series = find_series(server, "P001")["L CC low energy"][1]
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(server.post(f"/infer/contrast?image={series}&output=json")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    started = time.monotonic()
    waits = []
    while any(thread.is_alive() for thread in threads):
        before = time.monotonic()
        server.get("/health")
        waits.append(time.monotonic() - before)
    took = time.monotonic() - started
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(waits) > 3, f"/health was answered {len(waits)} times in {took:.1f} s"


def test_jobs_and_images_survive_a_restart(exams, tmp_path):
    data_dir = tmp_path / "data"
    with running(data_dir, "--studies", str(exams / "P001")) as server:
        study, series = find_series(server, "P001")["L CC low energy"]
        body = order(study, series)
        job = server.post("/synthesis", json=body).json()["job_id"]
        server.process.kill()
        server.process.wait()
    with running(data_dir, "--studies", str(exams / "P001")) as server:
        result = server.wait(job, "done")["result"]
        uid = made(result)["series_instance_uid"]
        stored = server.get(f"/proxy/dicom/qido/studies/{study}/series/{uid}/instances")
        assert len(stored.json()) == 1
    assert server.process.returncode == 0
    assert server.lines[-1] == "Stopped."


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_stops_cleanly_when_asked_to(tmp_path, number):
    with running(tmp_path / "data") as server:
        server.process.send_signal(number)
        assert server.process.wait(30) == 0
    assert server.lines[-1] == "Stopped."


def test_two_servers_do_not_share_a_data_folder(tmp_path):
    with (
        running(tmp_path / "data"),
        pytest.raises(RuntimeError, match="in use by another server"),
        running(tmp_path / "data"),
    ):
        pass


def test_jobs_of_a_newer_version_are_refused_in_a_sentence(tmp_path):
    database = Database(tmp_path / "data" / "jobs.sqlite", LAYOUTS)
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    newer = "a newer version of MammoSynth wrote this database"
    with pytest.raises(RuntimeError, match=newer) as refused, running(tmp_path / "data"):
        pass
    assert "Traceback" not in str(refused.value)


def test_a_token_is_asked_for_everywhere_but_by_who_asks_whether_it_lives(exams, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("0123456789abcdefghij")
    token_file.chmod(0o600)
    with running(tmp_path / "data", "--studies", str(exams / "P001"), "--token-file", str(token_file)) as server:
        for path in ("/info/", "/ohif/", "/proxy/dicom/qido/studies", "/metrics"):
            assert server.get(path).status_code == 401
        assert server.get("/health").json() == {"status": "ok"}, "whoever watches over it has no token"
        assert server.get("/info/", headers={"authorization": "Bearer 0123456789abcdefghij"}).status_code == 200


def test_a_folder_of_images_is_served_for_inference(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    view = left_cc(5, pixel_mm=1.8)
    image = sitk.GetImageFromArray((view.low_energy * 65535).astype(np.uint16))
    image.SetSpacing((0.1, 0.2))
    image.SetOrigin((5.0, -7.0))
    sitk.WriteImage(image, str(folder / "case1_L_CC.nrrd"))
    with running(tmp_path / "data", "--studies", str(folder)) as server:
        answer = server.post("/infer/contrast?image=case1_L_CC&output=image")
        assert answer.status_code == 200, answer.text
        (tmp_path / "result.nrrd").write_bytes(answer.content)
        body = order("1.2.3", "1.2.3.4")
        refused = server.post("/synthesis", json=body)
        assert refused.status_code == 409
        assert server.post("/infer/contrast?image=nonsense&output=image").status_code == 404
        label = {"label": ("label.nrrd", (folder / "case1_L_CC.nrrd").read_bytes())}
        refused = server.request("PUT", "/datastore/label?image=case1_L_CC", files=label)
        assert (refused.status_code, "a folder of image files" in refused.json()["detail"]) == (409, True)
    result = sitk.ReadImage(str(tmp_path / "result.nrrd"))
    assert result.GetSize()[:2] == image.GetSize()
    assert result.GetSpacing()[:2] == (0.1, 0.2)
    assert result.GetOrigin()[:2] == (5.0, -7.0)


def test_contrast_is_not_made_from_an_image_that_has_it(server):
    study, series = find_series(server, "P003")["L CC recombined"]
    body = order(study, series)
    status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "failed")
    assert "expected low energy" in status["message"]


def test_the_main_job_runs_on_real_mammograms_and_refuses_a_tomosynthesis(tmp_path):
    files = sorted(REAL_DICOM.glob("*.dcm"))
    if not files:
        pytest.skip("no folder of real DICOM files: set MAMMOSYNTH_TEST_DICOM; the main job is not run on a real one")
    studies = tmp_path / "studies"
    studies.mkdir()
    for file in files:
        shutil.copy(file, studies)
    outcomes = {}
    with running(tmp_path / "data", "--studies", str(studies)) as server:
        for item in server.get("/proxy/dicom/qido/series").json():
            body = order(item["0020000D"]["Value"][0], item["0020000E"]["Value"][0])
            status = server.wait(server.post("/synthesis", json=body).json()["job_id"], "done", "failed")
            outcomes.setdefault(status["state"], []).append(status["message"])
        derived = [path for path in studies.rglob("*.dcm") if path.parent != studies]
    assert "done" in outcomes
    assert all("tomosynthesis" in message for message in outcomes.get("failed", []))
    for path in derived:
        dataset = pydicom.dcmread(path)
        assert dataset[0x0008, 0x001C].value == "YES"
        source = dataset.SourceImageSequence[0].ReferencedSOPInstanceUID
        original = next(d for d in map(pydicom.dcmread, files) if source == d.SOPInstanceUID)
        assert (dataset.Rows, dataset.Columns) == (original.Rows, original.Columns)
        assert dataset.PatientID == original.PatientID
