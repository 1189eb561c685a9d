"""What was generated in a study, over the embedded archive and over Orthanc."""

import pytest

from tests.support.server import find_series

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
        second["series_instance_uid"],
        first["series_instance_uid"],
    ]
    made = second["provenance"][0]
    for name in ("task", "bundle", "bundle_version", "weights_sha256", "software_version", "seed", "parameters"):
        assert entries[0][name] == made[name], name
    assert entries[0]["created"] == made["created"]
    assert entries[0]["source_series_instance_uid"] == series
    assert entries[0]["source_sop_instance_uids"] == [made["sources"][0]["sop_instance_uid"]]
    assert (entries[0]["role"], entries[0]["rendering"]) == ("image", "expected")
    assert entries[0]["removable"] is True


def test_a_generated_series_is_deleted_and_can_be_made_again(server):
    study, series = find_series(server, "P004")["R CC low energy"]
    made = server.synthesize(study, series)["result"]["series_instance_uid"]
    before = _series(server, study)
    answer = server.request("DELETE", f"/studies/{study}/synthesized/{made}")
    assert (answer.status_code, answer.json()) == (200, {"deleted": made})
    assert _series(server, study) == before - {made}
    assert made not in {entry["series_instance_uid"] for entry in _history(server, study)}
    assert server.request("DELETE", f"/studies/{study}/synthesized/{made}").status_code == 404
    assert server.synthesize(study, series)["result"]["series_instance_uid"] == made
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
