"""What was generated in a study, over the embedded archive and over Orthanc."""

import pytest

from tests.support.server import find_series, made

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def _history(server, study):
    return server.get(f"/studies/{study}/synthesized").raise_for_status().json()["series"]


def _series(server, study):
    return {item["0020000E"]["Value"][0] for item in server.get(f"/proxy/dicom/qido/studies/{study}/series").json()}


def test_history_tells_what_made_every_series_newest_first(server):
    study, series = find_series(server, "P004")["L CC low energy"]
    first, second = (server.synthesize(study, series, parameters={"seed": seed})["result"] for seed in (1, 2))
    entries = _history(server, study)
    assert [entry["series_instance_uid"] for entry in entries] == [
        made(second)["series_instance_uid"],
        made(first)["series_instance_uid"],
    ]
    newest, provenance = entries[0], second["provenance"][0]
    for name in ("task", "bundle", "bundle_version", "weights_sha256", "software_version", "rendering", "seed"):
        assert newest[name] == provenance[name], name
    assert (newest["parameters"], newest["created"]) == (provenance["parameters"], provenance["created"])
    assert newest["source_series_instance_uid"] == series
    assert newest["source_sop_instance_uids"] == [made(second)["source_sop_instance_uid"]]
    assert [source["role"] for source in newest["sources"]] == ["source"]
    assert (newest["role"], newest["removable"]) == ("image", True)


def test_a_generated_series_is_deleted_and_can_be_made_again(server):
    study, series = find_series(server, "P004")["R CC low energy"]
    uid = made(server.synthesize(study, series)["result"])["series_instance_uid"]
    before = _series(server, study)
    answer = server.request("DELETE", f"/studies/{study}/synthesized/{uid}")
    assert (answer.status_code, answer.json()) == (200, {"deleted": uid})
    assert _series(server, study) == before - {uid}
    assert uid not in {entry["series_instance_uid"] for entry in _history(server, study)}
    assert server.request("DELETE", f"/studies/{study}/synthesized/{uid}").status_code == 404
    assert made(server.synthesize(study, series)["result"])["series_instance_uid"] == uid
    assert _series(server, study) == before


def test_an_acquired_series_is_never_deleted(server):
    study, series = find_series(server, "P004")["L MLO low energy"]
    answer = server.request("DELETE", f"/studies/{study}/synthesized/{series}")
    assert answer.status_code == 409
    assert "never deleted" in answer.json()["detail"]
    assert series in _series(server, study)


def test_a_study_that_is_not_there_has_no_history(server):
    answer = server.get("/studies/1.2.3/synthesized")
    assert answer.status_code == 404
    assert "no study 1.2.3" in answer.json()["detail"]
