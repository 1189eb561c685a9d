"""A server reduced to its queue: it claims jobs, notes which it has worked on, and can be killed at any moment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from mammosynth.database import Database
from monailabel_app.database import LAYOUTS
from monailabel_app.gateway import jobs
from monailabel_app.gateway.jobs import JobRequest, JobStore
from monailabel_app.gateway.worker import Worker

LEASE_S, _RENEW_S = 1.0, 0.2


def start(url: str, name: str, file: Path, job_s: float) -> subprocess.Popen[str]:
    """A process of its own, that takes jobs already.

    Args:
        url: Of the database.
        name: Of the server.
        file: Where the `number` of each job goes that was worked on to its end.
        job_s: How long a job takes.
    """
    command = [sys.executable, "-m", __name__, url, name, str(file), str(job_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _serve(url: str, name: str, file: str, job_s: str) -> None:
    jobs.LEASE_S = LEASE_S

    def run(request: JobRequest, report: object) -> dict:
        time.sleep(float(job_s))
        with Path(file).open("a") as done:
            done.write(f"{request.parameters['number']}\n")
        return {}

    worker = Worker(JobStore(Database(url, LAYOUTS), holder=name), run, renew_s=_RENEW_S)
    worker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        worker.wake()
        time.sleep(0.02)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
