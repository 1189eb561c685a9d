"""One training at a time, whoever asks in the moments in which it begins and ends."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from monailabel.utils.async_tasks import task as platform_task
from monailabel.utils.async_tasks import utils as platform

from monailabel_app.gateway import app as gateway_app
from monailabel_app.gateway.app import create_gateway
from tests.support.asgi import AsgiClient, as_asked_by

_BEGINS_AFTER_S = 0.1  # longer than a request takes


class Processes:
    """What the platform starts instead of a trainer, which takes seconds to load."""

    def __init__(self) -> None:
        self.begun: list[subprocess.Popen] = []
        self.may_be_noticed = threading.Event()
        self.may_be_noticed.set()

    def __call__(self, command: list[str], **options: Any) -> subprocess.Popen:
        threading.Event().wait(_BEGINS_AFTER_S)
        process = subprocess.Popen(["sleep", "60"], **options)
        lines = process.stdout
        assert lines is not None

        def readline() -> str:
            line = lines.readline()
            assert self.may_be_noticed.wait(10)
            return line

        process.stdout = SimpleNamespace(readline=readline, close=lines.close)  # type: ignore[assignment]
        self.begun.append(process)
        return process


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    processes = Processes()
    options = {name: getattr(subprocess, name) for name in ("STDOUT", "PIPE")}
    monkeypatch.setattr(platform, "subprocess", SimpleNamespace(Popen=processes, **options))
    monkeypatch.setenv("PYTHONPATH", "")
    for kept in ("background_tasks", "background_processes", "background_executors"):
        monkeypatch.setattr(platform, kept, {})
    yield processes
    for process in processes.begun:
        process.kill()
    for executor in platform.background_executors.values():
        executor.shutdown()


@pytest.fixture
def client(started: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsgiClient:
    trainer = SimpleNamespace(parse=lambda settings: settings)
    app = SimpleNamespace(trainer=lambda model: trainer, info=dict, bundle_path=lambda model: None)
    monkeypatch.setattr(gateway_app, "app_instance", lambda: app)
    monkeypatch.setattr(platform_task, "app_instance", lambda: app)
    return AsgiClient(as_asked_by(create_gateway(None, None, tmp_path)))


def test_of_two_that_are_asked_for_at_once_the_second_is_refused(client: AsgiClient, started: Processes) -> None:
    assert client.request("POST", "/train/contrast").json()["status"] == "RUNNING"
    refused = client.request("POST", "/train/contrast")
    assert refused.status_code == 409, refused.text
    assert "stop it by DELETE /train/" in refused.json()["detail"]
    assert len(started.begun) == 1


def test_one_that_was_asked_for_a_moment_ago_is_stopped(client: AsgiClient, started: Processes) -> None:
    client.request("POST", "/train/contrast")
    assert client.request("DELETE", "/train/").json()["status"] == "STOPPED"
    assert started.begun[0].poll() is not None


def test_one_whose_end_the_platform_has_not_noticed_yet_is_stopped(client: AsgiClient, started: Processes) -> None:
    started.may_be_noticed.clear()
    client.request("POST", "/train/contrast")
    stopped = client.request("DELETE", "/train/")
    started.may_be_noticed.set()
    assert (stopped.status_code, stopped.json()["status"]) == (200, "STOPPED")


def test_one_that_ends_while_it_is_asked_for_does_not_run(client: AsgiClient) -> None:
    class Ending(dict):
        """Has one when it is counted, and none when that is looked at."""

        def __len__(self) -> int:
            self.clear()
            return 1

    platform.background_processes["train"] = Ending(a=None)
    answer = client.request("GET", "/train/?check_if_running=true")
    assert (answer.status_code, answer.json()["detail"]) == (404, "No Train Tasks are currently Running")
