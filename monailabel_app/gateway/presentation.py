"""What a viewer would show wrongly is given to it as it has to look.

OHIF 3.10 knows one window, linear or sigmoid, and inversion. It ignores VOI LUT Sequence and Modality LUT Sequence, and
does so silently; it gives padding a grey value, guesses a window where there is none, and shows counts of a detector
where an image is For Processing. Where a header asks for any of that, the frame that passes to the viewer holds display
values (`mammosynth.dicom.display`, which models see too) and the metadata describe that frame. So a source looks beside
its result as the model saw it, and a change of window works as on any other image. Whole instances pass unchanged.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio.to_thread
import httpx
import numpy as np
from fastapi.responses import Response
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
)

from mammosynth.dicom.display import WINDOWS, linear_window, padding_mask, presentation_display, processing_display
from mammosynth.dicom.stored import read_stored_values
from mammosynth.dicom.write import BITS_STORED, STORED_MAXIMUM, to_stored_values
from monailabel_app.archive_session import read_dicom_json
from monailabel_app.dicom_json import value_of
from monailabel_app.errors import NotFoundError, PacsError
from monailabel_app.studies import INSTANCE_TYPE, pacs_errors, read_retrieved

METADATA_TYPE = "application/dicom+json"
_FRAME_PATH = re.compile(r"(studies/[0-9.]+/series/[0-9.]+/instances/[0-9.]+)/frames/([0-9,]+)/?")
_KEPT_FRAMES = 4  # the views of an examination; 58 MB each for 4800 x 6000 pixels
_KEPT_ANSWERS = 10_000  # instances of which it is known whether they are shown rightly
_BLACK = 0.05  # padding that a window shows darker than this is left to the viewer; chosen
_STUDY, _SERIES, _INSTANCE = "0020000D", "0020000E", "00080018"
# What describes display values, in the words of PS3.18 annex F; the rest of the header stays.
_DESCRIPTION: dict[str, tuple[str, Any]] = {
    "00280004": ("CS", "MONOCHROME2"),
    "00280100": ("US", 16),
    "00280101": ("US", BITS_STORED),
    "00280102": ("US", BITS_STORED - 1),
    "00280103": ("US", 0),
    "00281050": ("DS", (STORED_MAXIMUM + 1) // 2),
    "00281051": ("DS", STORED_MAXIMUM + 1),
    "00281052": ("DS", 0),
    "00281053": ("DS", 1),
    "00281054": ("LO", "US"),
    "00281055": ("LO", "AS STATED BY THE SOURCE, APPLIED BY THE SERVER"),
    "20500020": ("CS", "IDENTITY"),
}
_UNTRUE = (
    *("00283000", "00283010", "00281056"),  # Modality LUT, VOI LUT, VOI LUT Function: applied
    *("00280106", "00280107", "00280120", "00280121"),  # smallest and largest value, padding: of the stored values
    *("00083002", "7FE00010"),  # Available Transfer Syntax UID; where the stored Pixel Data are
)


class Presentation:
    """Display values instead of stored ones, for the instances that need it; learns which from the headers that pass.

    Args:
        fetch: Asks the archive for a path below its DICOMweb root in a media type; gives the whole answer.
    """

    def __init__(self, fetch: Callable[[str, str], Awaitable[httpx.Response]]) -> None:
        self._fetch = fetch
        self._shown_wrongly: dict[str, bool] = {}
        self._frames: dict[str, bytes] = {}
        self._one_at_a_time = asyncio.Lock()  # decoding takes ten times the size of the frame

    def rewrite(self, metadata: bytes) -> bytes:
        """The answer to a WADO-RS metadata request as the frames will be; the same bytes if all is as stored.

        Raises:
            PacsError: If it is no such answer.
        """
        with pacs_errors("read headers"):
            instances = read_dicom_json(metadata)
            if not any([self._learn(attributes) for attributes in instances]):
                return metadata
            return json.dumps(
                [_described(each) if is_shown_wrongly(each) else each for each in instances], separators=(",", ":")
            ).encode()

    async def frame(self, path: str, accept: str) -> Response | None:
        """The answer to a WADO-RS request for frames; None if the path is something else, or the archive may answer.

        Raises:
            NotFoundError: If the instance has no such frame.
            PacsError: If the archive does not give the instance.
            UnreadableImageError, UnsupportedImageError: If it cannot be decoded.
        """
        asked = _FRAME_PATH.fullmatch(path)
        if asked is None or not await self._is_replaced(asked[1]):
            return None
        if asked[2] != "1":
            raise NotFoundError(f"frame {asked[2]} of an image that has one; ask for frame 1")
        async with self._one_at_a_time:
            content = self._frames.get(asked[1])
            if content is None:
                content = await self._display(asked[1])
                _keep(self._frames, asked[1], content, _KEPT_FRAMES)
        return frame_response(content, accept)

    async def _is_replaced(self, instance: str) -> bool:
        if instance not in self._shown_wrongly:  # after a restart of the server: ask what passed before
            answer = await self._fetch(f"{instance}/metadata", METADATA_TYPE)
            if answer.status_code != 200:
                return False  # the archive says why
            with pacs_errors("read the header of the image"):
                for attributes in read_dicom_json(answer.content):
                    self._learn(attributes)
        return self._shown_wrongly.get(instance, False)

    async def _display(self, instance: str) -> bytes:
        answer = await self._fetch(instance, INSTANCE_TYPE)
        if answer.status_code == 404:
            raise NotFoundError(f"there is no {instance.replace('/', ' ')} in the archive; open the study again")
        if answer.status_code != 200:
            raise PacsError(f"the archive answered {answer.status_code} when asked for {instance}; see its log")

        def display() -> bytes:
            uid = instance.rpartition("/")[2]
            return display_frame(read_retrieved(answer.content, answer.headers.get("content-type", ""), uid))

        return await anyio.to_thread.run_sync(display)

    def _learn(self, attributes: Mapping[str, Any]) -> bool:
        """Whether an instance is replaced; what was kept of it may be older than what has just passed."""
        study, series, instance = (value_of(attributes, tag) for tag in (_STUDY, _SERIES, _INSTANCE))
        path = f"studies/{study}/series/{series}/instances/{instance}"
        wrongly = is_shown_wrongly(attributes)
        self._frames.pop(path, None)
        _keep(self._shown_wrongly, path, wrongly, _KEPT_ANSWERS)
        return wrongly


def is_shown_wrongly(attributes: Mapping[str, Any]) -> bool:
    """Whether a viewer with windows alone would show a mammogram otherwise than its header says.

    Args:
        attributes: DICOM JSON (PS3.18 annex F) of an instance.
    """
    sop_class, photometric = value_of(attributes, "00080016"), value_of(attributes, "00280004")
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or (_number(attributes, "00280008") or 1) > 1:
        return False  # colour, tomosynthesis
    if sop_class == DigitalMammographyXRayImageStorageForProcessing:
        return True
    if sop_class != DigitalMammographyXRayImageStorageForPresentation:
        return False
    if any(value_of(attributes, table) for table in ("00283000", "00283010")):
        return True
    center, width = _number(attributes, "00281050"), _number(attributes, "00281051")
    if center is None or not width or width < 0:
        return True
    shown = _window_on_padding(attributes, center, width)
    return bool(np.max(1 - shown if photometric == "MONOCHROME1" else shown, initial=0.0) > _BLACK)


def display_frame(dataset: Dataset) -> bytes:
    """The pixels of an instance as it has to look: 16 bits little endian, 0 black, 65535 white, padding black."""
    name = f"instance {dataset.get('SOPInstanceUID', '')}"
    stored = read_stored_values(dataset, name)
    is_raw = dataset.get("SOPClassUID") == DigitalMammographyXRayImageStorageForProcessing
    display = processing_display if is_raw else presentation_display
    pixels, _ = display(stored, dataset, padding_mask(stored, dataset), name)
    return to_stored_values(pixels).astype("<u2").tobytes()


def _window_on_padding(attributes: Mapping[str, Any], center: float, width: float) -> np.ndarray:
    """What the first window makes of the lowest and the highest padding value, in [0, 1]; empty without padding."""
    padding = [value for tag in ("00280120", "00280121") if (value := _number(attributes, tag)) is not None]
    slope, intercept = _number(attributes, "00281053"), _number(attributes, "00281052")
    window = WINDOWS.get(value_of(attributes, "00281056", "LINEAR"), linear_window)
    return window(np.array(padding) * (slope or 1.0) + (intercept or 0.0), center, width)


def _number(attributes: Mapping[str, Any], tag: str) -> float | None:
    """The first value of an element as a number; None if there is none."""
    try:
        return float(value_of(attributes, tag))
    except (TypeError, ValueError):
        return None


def _described(attributes: Mapping[str, Any]) -> dict[str, Any]:
    kept = {tag: element for tag, element in attributes.items() if tag not in _UNTRUE}
    changed = {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in _DESCRIPTION.items()}
    return dict(sorted((kept | changed).items()))


def frame_response(content: bytes, accept: str, cache_control: str = "no-store") -> Response:
    """A frame of WADO-RS: one part of a multipart answer, or the bytes alone for a client that accepts no multipart.

    Args:
        content: Uncompressed pixels, little endian.
        accept: What the client accepts.
        cache_control: Whether it may keep them.
    """
    frame_type = f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    headers = {"cache-control": cache_control}
    if not re.search(r"multipart/related|\*/\*", accept or "*/*"):
        return Response(content, media_type=frame_type, headers=headers)
    boundary = uuid.uuid4().hex  # chance alone keeps it out of the pixels
    start = f"--{boundary}\r\nContent-Type: {frame_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    body = b"".join((start.encode(), content, f"\r\n--{boundary}--\r\n".encode()))
    media_type = f'multipart/related; type="application/octet-stream"; boundary={boundary}'
    return Response(body, media_type=media_type, headers=headers)


def _keep(kept: dict[str, Any], key: str, value: Any, most: int) -> None:
    """Remember a value; the oldest ones are forgotten."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)))
