"""`mammosynth demo`: a demo exam, a server over it, one synthesis through the server, and the address that shows it."""

from __future__ import annotations

import argparse
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
from tqdm import tqdm

from mammosynth.phantom.clinic.exam import write_exam
from monailabel_app.dicom_json import value_of
from monailabel_app.identity import Identity, Role
from monailabel_app.serve import parse_options, serve
from monailabel_app.tokens import NamedToken

DEMO_SEED = 25  # a spiculated mass in the left breast, which enhances
_DEMO_VIEW = "L CC"
_DEMO_SERIES = f"SYNTHETIC PHANTOM {_DEMO_VIEW} low energy"


def run_demo(args: argparse.Namespace) -> int:
    """Do it.

    Returns:
        Exit status.
    """
    options = parse_options(args)
    own = options.data_dir / "studies" if options.studies is None else None

    def prepare() -> None:
        if own is not None and not any(own.rglob("*.dcm")):
            _write_exam(own, args.pixel_mm)

    token = secrets.token_urlsafe() if options.token_file else None
    if token:
        options = replace(options, more_tokens=(NamedToken.of(Identity("demo", Role.USER), token),))
    failures: list[str] = []

    def main_job(address: str, stop: Callable[[], None]) -> None:
        try:
            _synthesize_once(address, token, _say)
            if not args.once:
                _say("Serving until Ctrl-C.")
        except (httpx.HTTPError, RuntimeError) as error:
            failures.append(str(error))
            _say(f"The demo failed: {error}")
            stop()
        if args.once:
            stop()

    status = serve(options, say=_say, prepare=prepare, when_ready=main_job)
    return 1 if failures else status


def _write_exam(folder: Path, pixel_mm: float) -> None:
    """Write to the side first: a demo that was interrupted here starts over instead of showing half an exam."""
    with tqdm(total=1.0, desc="Generating the demo exam (about a minute)", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        part = folder.with_name("studies.part")
        write_exam(
            part,
            seed=DEMO_SEED,
            pixel_mm=pixel_mm,
            include_recombined=True,
            workers=None,
            progress=lambda fraction, _: bar.update(fraction - bar.n),
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir():
        folder.rmdir()
    part.rename(folder)


def _synthesize_once(address: str, token: str | None, say: Callable[[str], None]) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with httpx.Client(base_url=address, headers=headers, timeout=30.0) as client:
        found = client.get("/proxy/dicom/qido/series", params={"Modality": "MG", "includefield": "0008103E"})
        series = [item for item in found.raise_for_status().json() if value_of(item, "0008103E", "") == _DEMO_SERIES]
        if not series:
            raise RuntimeError(f"the archive holds no series described as {_DEMO_SERIES!r}")
        source = {
            "study_instance_uid": value_of(series[0], "0020000D"),
            "series_instance_uid": value_of(series[0], "0020000E"),
        }
        request = {"model": "contrast", "inputs": {"source": source}}
        started = time.monotonic()
        job = client.post("/synthesis", json=request).raise_for_status().json()["job_id"]
        with tqdm(
            total=1.0, desc=f"Synthesizing contrast of {_DEMO_VIEW}", bar_format="{l_bar}{bar}| {elapsed}"
        ) as bar:
            while True:
                status = client.get(f"/synthesis/{job}").raise_for_status().json()
                bar.update(status["progress"] - bar.n)
                if status["state"] not in ("queued", "running"):
                    break
                time.sleep(0.1)
        if status["state"] != "done":
            raise RuntimeError(status["message"])
        say(f"Synthesized in {time.monotonic() - started:.1f} s. Low energy and synthesized contrast side by side:")
        say(address + status["result"]["viewer_url"])


def _say(text: str) -> None:
    tqdm.write(text)
