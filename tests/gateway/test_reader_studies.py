"""An owner runs a reader study over HTTP; nobody else hears anything of it, and open studies tell no answers."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import httpx
import pytest

from mammosynth.reading.new_protocol import new_protocol
from mammosynth.reading.store import StudyStore
from monailabel_app.gateway.app import create_gateway
from monailabel_app.gateway.audit import Audit
from monailabel_app.gateway.guard import Guard
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import TokenBook, add_token
from tests.support.asgi import AsgiClient

DATA = Path(__file__).parents[1] / "reading" / "data"
HOST = "127.0.0.1:8000"


class People:
    """A gateway behind its guard, asked by people of each role."""

    def __init__(self, folder: Path) -> None:
        self.tokens = {role: add_token(folder / "tokens", Identity(f"the {role}", role)) for role in Role}
        self.store = folder / "studies.sqlite"
        self.log = folder / "audit.log"
        guard = Guard(create_gateway(None, None, folder), hosts=[HOST], tokens=TokenBook(folder / "tokens"))
        self.client = AsgiClient(Audit(guard, self.log))

    def ask(self, method: str, path: str, role: Role = Role.OWNER, **kwargs: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}"}
        return self.client.request(method, path, headers=headers, **kwargs)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_a_study_from_protocol_to_results(people: People) -> None:
    assert people.ask("GET", "/reading/studies").json() == {"studies": []}
    text = new_protocol("bpe-agreement", name="http", readers=["ann", "bob"])
    checked = people.ask("POST", "/reading/check", content=text).json()
    assert (checked["cases"], checked["readers"]) == (36, 2)
    opened = people.ask("POST", "/reading/studies", content=text)
    assert (opened.status_code, opened.json()["protocol_sha256"]) == (201, checked["protocol_sha256"])
    assert people.ask("POST", "/reading/studies", content=text).status_code == 409
    body = {"auc": {"clinical": 0.9, "synthesized": 0.9}}
    assert people.ask("POST", "/reading/studies/http/simulate", json=body).json()["readings"] == 168
    status = people.ask("GET", "/reading/studies/http").json()
    assert (status["state"], status["done"]) == ("open", status["readings"])
    for path in ("results", "export", "backup"):
        refused = people.ask("GET", f"/reading/studies/http/{path}")
        assert refused.status_code == 409
        assert "http is open" in refused.json()["detail"]
    closed = people.ask("POST", "/reading/studies/http/close", json={})
    assert closed.json()["number"] == status["records"] + 1
    verification = people.ask("GET", f"/reading/studies/http/verification?head={status['head']}").json()
    assert verification == {"problems": [], "records": status["records"] + 1, "head": closed.json()["sha256"]}
    results = people.ask("GET", "/reading/studies/http/results").json()
    assert results["is_simulated"]
    assert 0.3 < results["endpoints"]["arms"]["arms"]["synthesized"]["mean"]["value"] < 1
    assert packed_in(people.ask("GET", "/reading/studies/http/export")) == ["answers.csv", "records.csv"]
    report = packed_in(people.ask("GET", "/reading/studies/http/report"))
    assert report == ["answers.csv", "records.csv", "report.html", "report.pdf", "results.json"]
    backup = people.ask("GET", "/reading/studies/http/backup").content
    assert len(json.loads(backup)["records"]) == verification["records"]
    assert people.ask("POST", "/reading/restore", content=backup).status_code == 409
    damaged = people.ask("POST", "/reading/restore", content=backup.replace(b'"ann"', b'"eve"', 1))
    assert "body does not verify" in damaged.json()["detail"]
    lines = [json.loads(line) for line in people.log.read_text().splitlines()]
    assert ("the owner", "reader study closed", "http") in {
        (line["name"], line["action"], line.get("reader_study")) for line in lines
    }


def packed_in(answer: httpx.Response) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(answer.content)).namelist()


def test_power_templates_and_ratings_are_answered(people: People) -> None:
    text = people.ask("GET", "/reading/templates/cem-s3").text
    assert text == new_protocol("cem-s3")
    assert people.ask("GET", "/reading/templates/none").status_code == 422
    assert people.ask("POST", "/reading/power", content=text).json()["power"] == pytest.approx(0.613, abs=5e-4)
    rows = (DATA / "van_dyke.csv").read_bytes()
    found = people.ask("POST", "/reading/mrmc", content=rows).json()
    assert found["test"]["f"] == pytest.approx(4.456319, abs=1e-6)
    unequal = people.ask("POST", "/reading/mrmc", content=rows.rsplit(b"\n", 2)[0])
    assert unequal.status_code == 400
    assert "no rating of case" in unequal.json()["detail"]


def test_a_wrong_protocol_is_answered_with_its_lines(people: People) -> None:
    text = new_protocol("realism").replace("sessions: 1", "sessions: 0")
    answer = people.ask("POST", "/reading/check", content=text)
    assert answer.status_code == 422
    assert "design.sessions is 0, expected greater than or equal to 1" in answer.json()["detail"]
    assert people.ask("POST", "/reading/check", content=b"\xff\xfe").status_code == 422


def test_a_wash_out_is_overridden_by_an_owner_whose_name_is_kept(people: People) -> None:
    text = new_protocol("cem-s3", name="override")
    people.ask("POST", "/reading/studies", content=text)
    body = {"reader": "reader-1", "session": 2, "reason": "on leave from tomorrow"}
    assert people.ask("POST", "/reading/studies/override/override", json=body).json()["number"] == 2
    assert people.ask("POST", "/reading/studies/override/override", json=body | {"reason": ""}).status_code == 422
    assert people.ask("POST", "/reading/studies/override/override", json=body | {"session": 9}).status_code == 404
    store = StudyStore(people.store)
    kept = json.loads(store.content("override")["records"][1]["content"])
    store.close()
    assert kept == {"by": "the owner", "reason": "on leave from tomorrow"}


def test_between_requests_the_file_alone_holds_everything(people: People, tmp_path: Path) -> None:
    opened = people.ask("POST", "/reading/studies", content=new_protocol("realism", name="copied")).json()
    shutil.copy(people.store, tmp_path / "copy.sqlite")
    store = StudyStore(tmp_path / "copy.sqlite")
    assert store.study("copied").head == opened["sha256"]
    store.close()


@pytest.mark.parametrize("role", [Role.USER, Role.READER])
@pytest.mark.parametrize("path", ["/reading/studies", "/reading/studies/override", "/reading/studies/none/results"])
def test_nobody_but_owners_hears_of_reader_studies(people: People, role: Role, path: str) -> None:
    assert people.ask("GET", path, role).status_code == 403
