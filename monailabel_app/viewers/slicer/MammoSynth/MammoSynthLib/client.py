"""The server's interface: what it offers, its archive, synthesis and lesion masks.

Uses requests and dicomweb-client, which are part of Slicer.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

import numpy as np
import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from MammoSynthLib.background import Progress, Stopped, until_stopped

_ASK_AGAIN_S = 0.3
_TIMEOUT_S = 60.0  # of every answer but that of /infer, which comes when the image is done
_INFER_TIMEOUT_S = 3600.0


class ServerError(Exception):
    """What went wrong, in a sentence for the user."""


@dataclass(frozen=True)
class Study:
    """A study of the archive, and how it is called in a list."""

    study_instance_uid: str
    label: str


@dataclass(frozen=True)
class Image:
    """An image of the archive, and how it is called in a list."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    label: str


class Client:
    """A MammoSynth server. Its methods wait for the answer: call them from `background`."""

    def __init__(self, address: str, token: str = "") -> None:
        self.address = address.rstrip("/")
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._archive = DICOMwebClient(f"{self.address}/proxy/dicom", session=self._session)
        self._archive.host = urlsplit(self.address).netloc  # dicomweb_client 0.60 sends Host without the port
        self._archive.set_http_retry_params(retry=False)

    def info(self) -> dict[str, Any]:
        """Name, version and `models` of the server.

        Raises:
            ServerError: If none answers there, it wants a token, or it is no MammoSynth server.
        """
        answer = self._json("GET", "/info/")
        ours = {name: model for name, model in answer.get("models", {}).items() if "slots" in model}
        if not ours:
            raise ServerError(f"{self.address} offers no synthesis model; check that it is a MammoSynth server")
        return {**answer, "models": ours}

    def studies(self) -> list[Study]:
        """The mammography studies of the archive, newest first."""
        fields = ["PatientName", "PatientID", "StudyDate", "StudyDescription"]
        with self._in_words():
            found = self._archive.search_for_studies(fields=fields, search_filters={"ModalitiesInStudy": "MG"})
        headers = sorted(map(Dataset.from_json, found), key=lambda h: str(h.get("StudyDate", "")), reverse=True)
        return [
            Study(str(header.StudyInstanceUID), _text(header, "StudyDate", *fields[:2], fields[3]))
            for header in headers
        ]

    def images(self, study: str) -> list[Image]:
        """The acquired mammograms of a study; what was synthesized is no source and is left out."""
        made = {series["series_instance_uid"] for series in self.synthesized(study)}
        images: list[Image] = []
        with self._in_words():
            for item in self._archive.search_for_series(
                study, fields=["SeriesDescription"], search_filters={"Modality": "MG"}
            ):
                series = Dataset.from_json(item)
                if series.SeriesInstanceUID in made:
                    continue
                found = self._archive.search_for_instances(
                    study, series.SeriesInstanceUID, fields=["ImageLaterality", "ViewPosition", "InstanceNumber"]
                )
                for image in map(Dataset.from_json, found):
                    label = " ".join(
                        (_text(image, "ImageLaterality", "ViewPosition"), _text(series, "SeriesDescription"))
                    )
                    images.append(Image(study, str(series.SeriesInstanceUID), str(image.SOPInstanceUID), label.strip()))
        return images

    def holds(self, study: str, series: str, image: str) -> bool:
        """Whether the archive has this image."""
        if not (study and series and image):
            return False
        with self._in_words():
            found = self._archive.search_for_instances(study, series, search_filters={"SOPInstanceUID": image})
        return bool(found)

    def store(self, file: Path) -> None:
        """Send a DICOM file to the archive."""
        with self._in_words():
            answer = self._archive.store_instances([pydicom.dcmread(file)])
        if answer.get("FailedSOPSequence"):  # Orthanc sends it empty when all is well
            raise ServerError(f"{file.name}: the archive refused it; see the server's log")

    def fetch_source(self, image: Image, folder: Path) -> Path:
        """An image as the server shows it: 16-bit NRRD, window and polarity already applied."""
        answer = self._request("GET", "/datastore/image", params={"image": image.sop_instance_uid})
        path = folder / f"{image.sop_instance_uid}.nrrd"
        path.write_bytes(answer.content)
        return path

    def fetch_dicom(self, study: str, series: str, image: str, folder: Path) -> Path:
        """An image as DICOM file."""
        with self._in_words():
            dataset = self._archive.retrieve_instance(study, series, image)
        path = folder / f"{image}.dcm"
        dataset.save_as(path)
        return path

    def synthesized(self, study: str) -> list[dict[str, Any]]:
        """What was synthesized in a study, newest first, with its provenance."""
        return self._json("GET", f"/studies/{study}/synthesized")["series"]

    def synthesize(
        self, order: Mapping[str, Any], progress: Progress, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Queue a synthesis whose result is stored in the study, and wait for it.

        Args:
            order: Body of POST /synthesis: model, inputs by role, parameters.
            progress: Told what the server says.
            should_stop: Asked between; the job is then cancelled.

        Raises:
            ServerError: If it failed, with the server's reason.
            Stopped: If it was cancelled.
        """
        job = f"/synthesis/{self._json('POST', '/synthesis', json=dict(order))['job_id']}"
        asked = False
        while True:
            status = self._json("GET", job)
            progress(status["progress"], status["message"])
            if status["state"] == "done":
                return status["result"]
            if status["state"] == "cancelled":
                raise Stopped
            if status["state"] == "failed":
                raise ServerError(status["message"])
            if should_stop() and not asked:
                asked = True
                with suppress(ServerError):  # too late if it has just ended; the next answer tells
                    self._request("DELETE", job)
            time.sleep(_ASK_AGAIN_S)

    def infer(
        self,
        model: str,
        values: Mapping[str, Any],
        inputs: Mapping[str, Any],
        file: Path | None,
        should_stop: Callable[[], bool],
    ) -> tuple[bytes, dict[str, Any]]:
        """Synthesize one image now; nothing is stored.

        Args:
            model: Name of the model.
            values: Its parameters.
            inputs: What it starts from, by role: the SOP Instance UID of an image or a segmentation, JSON values.
            file: To send as its first image or label map, which is then not among the inputs; None if there is none.
            should_stop: Asked while waiting; the server's own work then ends unheard.

        Returns:
            A 16-bit NRRD, and what is said of it: `provenance`, and `remarks` on inputs that left it as it is.

        Raises:
            ServerError: If it failed, with the server's reason.
            Stopped: If it was cancelled.
        """
        params = json.dumps({**values, "inputs": dict(inputs)})
        sent: dict[str, Any] = {"params": {"output": "all"}, "data": {"params": params}}
        if file is not None:
            sent["files"] = {"file": (file.name, file.read_bytes(), "application/octet-stream")}
        answer = until_stopped(
            lambda: self._request("POST", f"/infer/{model}", timeout=_INFER_TIMEOUT_S, **sent), should_stop
        )
        parts = _parts(answer)
        return parts["image"], json.loads(parts["params"])

    def save_segmentation(
        self, study: str, image: str, mask: np.ndarray, segments: list[dict[str, Any]], name: str
    ) -> dict[str, Any]:
        """Store a drawing as a DICOM SEG in the study.

        Args:
            study: Of the image.
            image: SOP Instance UID of the image that was drawn on.
            mask: (H, W) uint8 of that image: 0, or the number of a segment.
            segments: number, label, lesion_class (malignant, benign or None) and is_lesion of each.
            name: Series Description.

        Returns:
            The new SEG: sop_instance_uid, series_instance_uid, segments with their area.
        """
        description = {"sop_instance_uid": image, "series_description": name, "segments": segments}
        packed = gzip.compress(np.ascontiguousarray(mask, np.uint8).tobytes())
        return self._json(
            "POST",
            f"/studies/{study}/segmentations",
            data={"description": json.dumps(description)},
            files={"mask": ("mask.gz", packed, "application/gzip")},
        )

    def segmentations(self, study: str) -> list[dict[str, Any]]:
        """The SEGs of a study, newest first."""
        return self._json("GET", f"/studies/{study}/segmentations")["segmentations"]

    def segmentation_mask(self, study: str, segmentation: Mapping[str, Any]) -> np.ndarray:
        """(H, W) uint8 with the number of the segment at each pixel of the image that was drawn on.

        Args:
            study: Of the SEG.
            segmentation: One of `segmentations`.
        """
        answer = self._request("GET", f"/studies/{study}/segmentations/{segmentation['sop_instance_uid']}/mask")
        return np.frombuffer(answer.content, np.uint8).reshape(segmentation["rows"], segmentation["columns"])

    def _json(self, method: str, path: str, **sent: Any) -> Any:
        answer = self._request(method, path, **sent)
        try:
            return answer.json()
        except ValueError:
            raise ServerError(
                f"{self.address} is no MammoSynth server: {path} is not JSON; check the address"
            ) from None

    def _request(self, method: str, path: str, **sent: Any) -> requests.Response:
        sent.setdefault("timeout", _TIMEOUT_S)
        with self._in_words():
            answer = self._session.request(method, self.address + path, **sent)
            answer.raise_for_status()
        return answer

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except requests.HTTPError as error:
            raise ServerError(_reason(error, self.address)) from error
        except requests.Timeout as error:
            raise ServerError(f"{self.address} does not answer in time; look at the server's log") from error
        except requests.RequestException as error:
            message = f"{self.address}: no server answers there; check the address and that `mammosynth serve` runs"
            raise ServerError(message) from error


def _reason(error: requests.HTTPError, address: str) -> str:
    """The server's own sentence where it gives one."""
    response = error.response
    if response is None:
        return f"{address}: {error}"
    try:
        return str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{address} answered {response.status_code} {response.reason}; look at the server's log"


def _parts(answer: requests.Response) -> dict[str, bytes]:
    """The parts of a multipart/form-data answer by name; Python's email parser takes seconds for an image."""
    declared = Message()
    declared["content-type"] = answer.headers["content-type"]
    delimiter = b"\r\n--" + (declared.get_boundary() or "").encode()
    parts = {}
    for part in (b"\r\n" + answer.content).split(delimiter)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        parts[str(message_from_bytes(head.lstrip()).get_param("name", header="content-disposition"))] = body
    return parts


def _text(header: Dataset, *keywords: str) -> str:
    return " ".join(text for text in (str(header.get(keyword, "") or "") for keyword in keywords) if text)
