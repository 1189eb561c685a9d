"""A server that is killed while somebody reads: it starts again at the same case, with every answer it acknowledged."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from mammosynth.reading.blinding.copies import blind
from mammosynth.reading.store import StudyStore
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.blinded import blinded_protocol, read
from tests.support.reading_room import Reader
from tests.support.server import Server, running
from tests.support.studies import yes

pytestmark = pytest.mark.e2e


def test_a_killed_server_goes_on_at_the_same_case_with_all_that_it_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    store = StudyStore(data / "studies.sqlite")
    store.open_study(blinded_protocol(), "owner")
    blind(store, "small", data / "blinded", read)
    store.close()
    tokens = {name: add_token(tmp_path / "tokens", Identity(name, Role.READER)) for name in ("ann", "bob")}
    heard: dict[str, list[str]] = {name: [] for name in tokens}
    uids: dict[str, str] = {}

    def reader(server: Server, name: str) -> Reader:
        return Reader(server, {"authorization": f"Bearer {tokens[name]}"})

    for position in range(1, 5):
        with running(data, "--token-file", str(tmp_path / "tokens")) as server:
            for name in tokens:
                asked = reader(server, name)
                here = asked.start("small").json() if position == 1 else asked.current("small")
                assert here["position"] == position
                assert here["study_instance_uid"] == uids.get(name, here["study_instance_uid"])
                assert here["answers"] == {}
                assert asked.frame(here["images"][0], here["study_instance_uid"]).status_code == 200
                heard[name].append(asked.answer("small", 1, position, yes(position)).json()["receipts"][0]["sha256"])
                uids[name] = asked.show("small", 1, position + 1).json()["study_instance_uid"]
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
    store = StudyStore(data / "studies.sqlite")
    kept = {record["sha256"] for record in store.content("small")["records"]}
    store.close()
    assert all(set(receipts) <= kept and len(receipts) == 4 for receipts in heard.values())
