"""Several whole servers over one archive and one queue of jobs: killed, updated, and asked by who tries again."""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.gateway.history import list_synthesized
from monailabel_app.studies import DicomWebStudies
from tests.support.archives import free_port, store_process
from tests.support.server import Server, order, running

_AGAIN_S = 0.2
_LOOK_S = 0.25
_THINK_S = 0.3
_GIVE_UP_S = 180.0
AGAIN = (429, 502, 503, 504)
"""What a client tries again by itself; beside answers that did not come."""


class Gateway:
    """`mammosynth serve` at an address that it keeps."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.address = f"http://127.0.0.1:{free_port()}"
        self._data_dir = data_dir
        self._arguments = (*arguments, "--port", self.address.rpartition(":")[2])
        self._open = ExitStack()
        self.server: Server

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.server = self._open.enter_context(running(self._data_dir, *self._arguments))

    def kill(self) -> None:
        """As a loss of power does."""
        self._end(signal.SIGKILL)

    def leave(self) -> int:
        """As whoever updates it does; its exit status."""
        self._end(signal.SIGTERM)
        return self.server.process.returncode

    def close(self) -> None:
        """Stop it if it runs."""
        self._open.close()

    def _end(self, by: signal.Signals) -> None:
        self.server.process.send_signal(by)
        self.server.process.wait(60)
        self.close()


@contextmanager
def gateways(folder: Path, count: int, jobs: str, *arguments: str) -> Iterator[tuple[list[Gateway], DicomWebStudies]]:
    """Servers that run, and their archive with one exam.

    Args:
        folder: For all that they write.
        count: Of servers.
        jobs: URL of the database of jobs.
        arguments: More of `mammosynth serve`.
    """
    write_exam(folder / "studies", seed=1, pixel_mm=3.6, patient_id="SHARED")
    with ExitStack() as stack:
        _, url = stack.enter_context(store_process(folder / "studies", index_folder=folder / "index"))
        made = [Gateway(folder / f"{n}", "--studies", url, "--jobs", jobs, *arguments) for n in range(count)]
        for gateway in made:
            stack.callback(gateway.close)
            gateway.start()
        yield made, DicomWebStudies(url)


@dataclass(frozen=True)
class TriedAgain:
    """A request that a server did not answer, or refused for the moment: when, which server, the error or status."""

    at: float
    address: str
    why: str


class Client:
    """Asks any of the servers, and another one if the answer does not come or says that it may come later.

    Attributes:
        tried_again: What was tried again.
    """

    def __init__(self, choose: Callable[[], str]) -> None:
        """Prepare.

        Args:
            choose: Gives the address for a request.
        """
        self._choose = choose
        self._client = httpx.Client(timeout=30)
        self.tried_again: list[TriedAgain] = []

    def ask(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """The answer that counts."""
        deadline = time.monotonic() + _GIVE_UP_S
        while True:
            address = self._choose()
            try:
                answer = self._client.request(method, address + path, **kwargs)
                if answer.status_code not in AGAIN or time.monotonic() > deadline:
                    return answer
                why = str(answer.status_code)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise
                why = type(error).__name__
            self.tried_again.append(TriedAgain(time.monotonic(), address, why))
            time.sleep(_AGAIN_S)

    def submit(self, order: dict[str, Any]) -> str:
        """The id of a new job."""
        answer = self.ask("POST", "/synthesis", json=order)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    def wait(self, job: str, within_s: float = 600.0) -> dict[str, Any]:
        """The status of a job that has ended."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            status = self.ask("GET", f"/synthesis/{job}").raise_for_status().json()
            if status["state"] in ("done", "failed", "cancelled"):
                return status
            time.sleep(_AGAIN_S)
        raise TimeoutError(f"job {job} is {status['state']} after {within_s} s")


class Balancer:
    """Knows which servers are ready, by asking each four times a second, as a load balancer does.

    Attributes:
        said_no: When a server first said that it is not ready, each time after it was.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = list(addresses)
        self._ready = set(addresses)
        self.said_no: list[tuple[str, float]] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(each,)) for each in addresses]

    def __enter__(self) -> Balancer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def choose(self) -> str:
        """The address of a server that is ready; of any, if none is."""
        return random.choice(sorted(self._ready) or self._addresses)

    def is_ready(self, address: str) -> bool:
        """Whether a server said so when it was last asked."""
        return address in self._ready

    def _watch(self, address: str) -> None:
        with httpx.Client(timeout=5) as client:
            while not self._done.wait(_LOOK_S):
                is_ready = False
                with suppress(httpx.TransportError):
                    is_ready = client.get(f"{address}/ready").status_code == 200
                if is_ready:
                    self._ready.add(address)
                elif address in self._ready:
                    self._ready.discard(address)
                    self.said_no.append((address, time.monotonic()))


@dataclass
class Rolling:
    """What 20 people saw while every server was restarted in turn.

    Attributes:
        requests: How many were made.
        failed: Answers that were neither good nor such as a client tries again by itself.
        tried_again: Those that were tried again.
        early: Refusals by a server before it had said that it is not ready.
        jobs: Ids of the jobs that were acknowledged.
        statuses: How they ended.
    """

    requests: int = 0
    failed: list[str] = field(default_factory=list)
    tried_again: list[TriedAgain] = field(default_factory=list)
    early: list[TriedAgain] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)


def restart_in_turn(servers: Sequence[Gateway], archive: DicomWebStudies, *, people: int, jobs_each: int) -> Rolling:
    """Restart every server, one after the other, while people ask for lists, models and jobs through a balancer."""
    seen, ends = Rolling(), threading.Event()
    study = next(iter(archive.mammography_series()))["0020000D"]["Value"][0]
    pages = ("/info/", f"/studies/{study}/sources?model=contrast", f"/studies/{study}/segmentations", "/health")
    wanted = orders(archive, people * jobs_each)

    def ask(person: int, balancer: Balancer) -> None:
        client, own = Client(balancer.choose), wanted[person::people]
        for number in itertools.count():
            if ends.is_set() and not own:
                break
            answer = client.ask("GET", pages[number % len(pages)])
            seen.requests += 1
            if answer.status_code != 200:
                seen.failed.append(f"{answer.status_code} to {answer.url}: {answer.text[:100]}")
            if own and number % 3 == 0:
                seen.requests += 1
                seen.jobs.append(client.submit(own.pop()))
            time.sleep(random.uniform(0, 2 * _THINK_S))
        seen.tried_again += client.tried_again

    with Balancer([each.address for each in servers]) as balancer, ThreadPoolExecutor(people) as pool:
        asking = [pool.submit(ask, person, balancer) for person in range(people)]
        try:
            for server in servers:
                time.sleep(1)
                assert server.leave() == 0
                server.start()
                while not balancer.is_ready(server.address):
                    time.sleep(_LOOK_S)
        finally:
            ends.set()
        for each in asking:
            each.result()
        client = Client(balancer.choose)
        seen.statuses = [client.wait(job) for job in seen.jobs]
    for refusal in seen.tried_again:
        if refusal.why != "429" and not any(
            address == refusal.address and at <= refusal.at for address, at in balancer.said_no
        ):
            seen.early.append(refusal)
    return seen


def orders(archive: DicomWebStudies, count: int) -> list[dict[str, Any]]:
    """Orders of as many different images: of each view in turn, each by a seed of its own."""
    sources = [
        item for series in archive.mammography_series() for item in archive.instances(series["0020000E"]["Value"][0])
    ]
    sources.sort(key=lambda each: each.sop_instance_uid)
    made = []
    for seed, source in zip(range(count), itertools.cycle(sources), strict=False):
        wanted = order(source.study_instance_uid, source.series_instance_uid)
        made.append({**wanted, "parameters": {"seed": seed}})
    return made


def synthesized_in(archive: DicomWebStudies) -> list[str]:
    """SOP Instance UIDs of all that was synthesized, as often as the archive lists them."""
    studies = {series["0020000D"]["Value"][0] for series in archive.mammography_series()}
    return [
        uid for study in studies for entry in list_synthesized(archive, study) for uid in entry["sop_instance_uids"]
    ]
