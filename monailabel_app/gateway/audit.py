"""The audit log: who did what to which study, and when. One line of JSON per action, and one place that writes it.

A line is put together from things that cannot name a patient: the name behind the token, an action of the table below,
the HTTP status, and UIDs. Nothing is copied from queries, bodies or headers of images.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monailabel_app.identity import SCOPE_KEY, Identity

logger = logging.getLogger(__name__)


class Action(StrEnum):
    """What is written down."""

    SIGN_IN = "sign-in"
    SIGN_IN_REFUSED = "sign-in refused"
    STUDY_OPENED = "study opened"
    IMAGE_DOWNLOADED = "image downloaded"
    SYNTHESIS_SUBMITTED = "synthesis submitted"
    SYNTHESIS_CANCELLED = "synthesis cancelled"
    INFERENCE = "inference"
    SEGMENTATION_STORED = "segmentation stored"
    UPLOAD = "upload"
    DELETION = "deletion"
    READER_STUDY_OPENED = "reader study opened"
    READER_STUDY_CLOSED = "reader study closed"
    READER_STUDY_BLINDED = "reader study blinded"
    WASH_OUT_OVERRIDDEN = "wash-out overridden"
    READER_TOKEN_MADE = "token of a reader made"
    READER_TOKEN_REVOKED = "token of a reader revoked"
    READING_SESSION_STARTED = "reading session started"
    ANSWERS_EXPORTED = "answers of a reader study exported"
    TRAINING_STARTED = "training started"
    TRAINING_STOPPED = "training stopped"


_UID = r"[0-9][0-9.]{0,63}"
_READER_STUDY = r"/reading/studies/(?P<reader_study>[A-Za-z0-9_.-]{1,64})"
_READING_ROOM = _READER_STUDY.replace("/reading/", "/reading-room/")
_ARCHIVE = r"/proxy/dicom/(?:(?:qido|wado|stow)/)?"
# Method, path, action; groups of the path are written, too. Opening: anything of a study that is no search in it.
_ACTIONS = tuple(
    (method, re.compile(path), action)
    for method, path, action in (
        ("GET", rf"{_ARCHIVE}studies/(?P<study>{_UID})(?!.*/(?:series|instances)/?$)(?:/.*)?", Action.STUDY_OPENED),
        ("GET", r"/datastore/image", Action.IMAGE_DOWNLOADED),
        ("POST", r"/synthesis/?", Action.SYNTHESIS_SUBMITTED),
        ("DELETE", r"/synthesis/(?P<job>[0-9a-f-]{36})", Action.SYNTHESIS_CANCELLED),
        ("POST", r"/infer/.*", Action.INFERENCE),
        ("POST", rf"/studies/(?P<study>{_UID})/segmentations(?:/file)?", Action.SEGMENTATION_STORED),
        ("PUT", r"/datastore/label", Action.SEGMENTATION_STORED),
        ("POST", rf"{_ARCHIVE}studies(?:/(?P<study>{_UID}))?/?", Action.UPLOAD),
        ("DELETE", rf"/studies/(?P<study>{_UID})/(?:synthesized|segmentations)/(?P<uid>{_UID})", Action.DELETION),
        ("POST", r"/reading/studies", Action.READER_STUDY_OPENED),
        ("POST", rf"{_READER_STUDY}/close", Action.READER_STUDY_CLOSED),
        ("POST", rf"{_READER_STUDY}/blind", Action.READER_STUDY_BLINDED),
        ("POST", rf"{_READER_STUDY}/override", Action.WASH_OUT_OVERRIDDEN),
        ("POST", rf"{_READING_ROOM}/sessions/[0-9]+", Action.READING_SESSION_STARTED),
        ("GET", rf"{_READER_STUDY}/(?:results|report|export|structured-reports|backup)", Action.ANSWERS_EXPORTED),
        ("POST", r"/reading/tokens/(?P<holder>[^/]+)", Action.READER_TOKEN_MADE),
        ("DELETE", r"/reading/tokens/(?P<holder>[^/]+)", Action.READER_TOKEN_REVOKED),
        ("POST", r"/train/.*", Action.TRAINING_STARTED),
        ("DELETE", r"/train/?", Action.TRAINING_STOPPED),
    )
)
_STUDIES = re.compile(rf'(?:"study_instance_uid": "|/studies/)({_UID})')
_JOB = re.compile(r'"job_id": "([0-9a-f-]{36})"')
_ACTION_KEY, _CONCERNS_KEY = "mammosynth.action", "mammosynth.concerns"
_SAME_OPENING_S = 600.0  # a viewer asks many times for a study that is opened once
_REFUSALS_APART_S = 1.0  # so that guessing cannot fill the disk; those between are counted
_KEPT_OPENINGS = 10_000


def note_action(scope: Scope, action: Action) -> None:
    """Say what a request is, where method and path do not."""
    scope[_ACTION_KEY] = action


def concerns(request: HTTPConnection, value: Any) -> None:
    """Say which studies, and which job, a request is about where its path does not.

    Args:
        request: The request.
        value: JSON values; UIDs are taken from every `study_instance_uid` and every DICOMweb address in it, and the job
            from a `job_id`. Nothing else of it is kept.
    """
    request.scope.setdefault(_CONCERNS_KEY, []).append(json.dumps(value, default=str))


class Audit:
    """ASGI middleware around the guard that appends a line for every action.

    Args:
        app: The guard with everything behind it.
        file: Where lines go; only the server's user may read it.
        now: A clock in seconds.
    """

    def __init__(self, app: ASGIApp, file: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._file = file
        self._now = now
        self._opened: dict[tuple[str, str], float] = {}
        self._last_refusal = -_REFUSALS_APART_S
        self._unwritten_refusals = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; the line is there before whoever asked hears of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_written = False

        async def noted(message: Message) -> None:
            nonlocal is_written
            if message["type"] == "http.response.start" and not is_written:
                is_written = True
                self._write(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if not is_written:
                self._write(scope, 500)

    def _write(self, scope: Scope, status: int) -> None:
        identity: Identity | None = scope.get(SCOPE_KEY)
        action, found = _action_of(scope)
        if action is None or (identity is None and action is not Action.SIGN_IN_REFUSED):
            return
        text = " ".join(scope.get(_CONCERNS_KEY, ()))
        studies = sorted({*_STUDIES.findall(text), *([found["study"]] if found.get("study") else [])})
        line: dict[str, Any] = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "name": identity.name if identity else None,
            "role": identity.role if identity else None,
            "action": action,
            "status": status,
            "studies": studies,
        }
        if job := found.get("job") or next(iter(_JOB.findall(text)), None):
            line["job"] = job
        if reader_study := found.get("reader_study"):
            line["reader_study"] = reader_study
        if (holder := found.get("holder")) and status < 300:  # otherwise it is any text, and nobody's name
            line["holder"] = holder
        if uid := found.get("uid"):
            line["uid"] = uid
        if action is Action.STUDY_OPENED and status < 400 and identity and self._is_open(identity.name, studies[0]):
            return
        if action is Action.SIGN_IN_REFUSED and not self._counts(line, scope):
            return
        self._append(line)

    def _is_open(self, name: str, study: str) -> bool:
        """Whether somebody has the study open already; otherwise it is from now on."""
        now, key = self._now(), (name, study)
        if now - self._opened.get(key, -_SAME_OPENING_S) < _SAME_OPENING_S:
            return True
        self._opened.pop(key, None)
        self._opened[key] = now
        if len(self._opened) > _KEPT_OPENINGS:
            self._opened.pop(next(iter(self._opened)))
        return False

    def _counts(self, line: MutableMapping[str, Any], scope: Scope) -> bool:
        """Whether a refusal gets a line, with where it came from and how many got none since the last."""
        if self._now() - self._last_refusal < _REFUSALS_APART_S:
            self._unwritten_refusals += 1
            return False
        line["from"] = (scope.get("client") or [None])[0]
        line["refused_before"] = self._unwritten_refusals
        self._last_refusal, self._unwritten_refusals = self._now(), 0
        return True

    def _append(self, line: MutableMapping[str, Any]) -> None:
        content = f"{json.dumps(line, ensure_ascii=False)}\n".encode()
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                written = os.write(descriptor, content)  # one call: lines of several requests do not mix
                if written < len(content):  # that is how a disk that has just become full says so
                    os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            logger.error(
                "the audit log %s cannot be written (%s): %s",
                self._file.name,
                error.strerror,
                content.decode().strip(),
            )


def _action_of(scope: Scope) -> tuple[Action | None, dict[str, str | None]]:
    """What a request is, and the groups of its path."""
    if _ACTION_KEY in scope:
        return scope[_ACTION_KEY], {}
    for method, path, action in _ACTIONS:
        if method == scope["method"] and (match := path.fullmatch(scope["path"])):
            return action, match.groupdict()
    return None, {}
