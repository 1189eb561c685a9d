"""One generic adapter from MONAI Label's training interface to the trainer of a bundle's task."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from pydicom.uid import SegmentationStorage

from mammosynth.bundle import Bundle, find_bundles
from mammosynth.counts import count_of
from mammosynth.errors import (
    BundleError,
    DataError,
    InvalidParameterError,
    MammoSynthError,
    UnsupportedImageError,
)
from mammosynth.label_map import LabelMap
from mammosynth.mammogram import Mammogram
from mammosynth.problems import Problems
from mammosynth.task import SlotKind, TaskSpec
from mammosynth.training.dataset import Cases, read_splits
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from monailabel_app.dicom_json import value_of
from monailabel_app.drawings import label_map_for
from monailabel_app.options import AppOptions
from monailabel_app.studies import AnyStudies, DicomWebStudies, ViewRequest

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Chosen by the operator of the server, not by a client.
_NOT_FOR_CLIENTS = TrainingRecipe.OF_THE_MACHINE
_OWN = ("name", "bundle", "initial_weights")
_VALIDATION_FRACTION = 0.2


class BundleTrainTask(TrainTask):
    """Trains a new bundle for the task of a served one, from the datastore's own pairs.

    One process, one device: the server's. MONAI Label's fields for several GPUs are not taken; train with `torchrun`
    and the command line for that.
    """

    def __init__(self, bundle: Bundle, studies: AnyStudies, root: str, options: AppOptions) -> None:
        super().__init__(f"Trains a bundle for {bundle.task.name} from what the datastore holds")
        self._task = bundle.task
        self._bundle = bundle.name
        self._studies = studies
        self._root = root
        self._options = options

    def config(self) -> dict[str, Any]:
        """Every parameter a client may send, with its default; another `bundle` has other parameters of its own."""
        common = {"name": "", "bundle": self._bundle, "initial_weights": ""}
        try:
            recipe = self._template(self._bundle).recipe().as_json()
        except BundleError as error:
            logger.warning("only other bundles can be trained: %s", error)
            recipe = {}
        return {**common, **{key: value for key, value in recipe.items() if key not in _NOT_FOR_CLIENTS}}

    def parse(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters, checked.

        Stock clients send back the whole of `config` with what was changed in it; of these, the changes count.

        Raises:
            BundleError: If the bundle cannot be trained.
            InvalidParameterError: If a name is unknown, a value out of range, or the bundle's name no plain word.
        """
        defaults = self.config()
        if set(defaults) <= set(parameters):
            parameters = {k: v for k, v in parameters.items() if k not in defaults or v != defaults[k]}
        template = self._template(parameters.get("bundle") or self._bundle)
        accepted = [*_OWN, *(name for name in template.recipe_class.model_fields if name not in _NOT_FOR_CLIENTS)]
        unknown = sorted(set(parameters) - set(accepted))
        if unknown:
            raise InvalidParameterError(
                f"{unknown[0][:64]!r} is no parameter of this trainer with bundle {template.folder.name}, expected "
                + ", ".join(accepted)
            )
        name = parameters.get("name") or ""
        if name and not (isinstance(name, str) and _NAME.fullmatch(name)):
            raise InvalidParameterError(
                f"name is {str(name)[:64]!r}, expected small letters, digits and '_' for a bundle"
            )
        if initial := parameters.get("initial_weights"):
            self._folder(initial)
        template.recipe({key: value for key, value in parameters.items() if key not in _OWN})
        return dict(parameters)

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train in this process, which MONAI Label starts for it; SIGTERM stops it after a checkpoint.

        The trained bundle is served at the next start of the server, under its own name.
        """
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
        template = self._template(request.get("bundle") or self._bundle)
        ours = {*_OWN, *template.recipe_class.model_fields, *self.config()} - _NOT_FOR_CLIENTS
        chosen = self.parse({key: value for key, value in request.items() if key in ours})
        name = chosen.get("name") or f"breast_{self._task.name}_{datetime.now():%Y%m%d_%H%M%S}"
        recipe = {key: value for key, value in chosen.items() if key not in _OWN}
        training, validation = self._cases()
        logger.warning("training %s on %d cases, validating on %d", name, len(training), len(validation))

        def progress(fraction: float, message: str, values: dict[str, float]) -> None:
            # MONAI Label shows the last lines of this process to the client as `details`.
            logger.warning("%s", json.dumps({"progress": round(fraction, 4), "message": message, **values}))

        result = train_model(
            training,
            validation,
            output=self._options.trained_models / name,
            template=template,
            recipe=template.recipe({**recipe, "device": self._options.device}),
            initial_weights=self._folder(chosen["initial_weights"]) if chosen.get("initial_weights") else None,
            progress=progress,
            should_stop=stop.is_set,
        )
        return {"bundle": name, "stopped": not result.completed, "reason": result.reason, "val": result.val}

    def _template(self, name: str) -> Template:
        return Template.find(self._task, self._folder(name))

    def _folder(self, name: Any) -> Path:
        """Of a bundle of this server; a client names no other folder."""
        trained = self._options.trained_models
        known = find_bundles(*self._options.model_zoo, *([trained] if trained.is_dir() else []))
        if name not in known:
            raise InvalidParameterError(f"no bundle {str(name)[:64]!r}, expected one of {', '.join(known)}")
        return known[name]

    def _cases(self) -> tuple[Cases, Cases]:
        if isinstance(self._studies, DicomWebStudies):
            return split_by_patient(cases_from_archive(self._studies, self._task))
        return read_splits(self._task.load("dataset"), Path(self._root))


def cases_from_archive(archive: DicomWebStudies, task: TaskSpec) -> Cases:
    """What a task can learn from the acquired images of an archive, and what is drawn on them.

    Raises:
        DataError: If an image cannot be read, or there are no cases; every problem is listed.
    """
    problems = Problems()
    drawings = list(_drawings(archive)) if any(slot.kind is SlotKind.LABEL_MAP for slot in task.slots) else []
    cases: Cases = ()
    missing: DataError | None = None
    try:
        cases = task.load("dataset").collect(_images(archive, problems), drawings)
    except DataError as error:
        missing = error
    problems.raise_if_any(f"{count_of(len(problems), 'image')} of the archive cannot be used for training:")
    if missing is not None:
        raise missing
    return cases


def _images(archive: DicomWebStudies, problems: Problems) -> Iterator[Mammogram]:
    for item in archive.mammography_series():
        for address in archive.instances(value_of(item, "0020000E")):
            view = None
            with problems.catching(MammoSynthError):
                view = archive.view(address, ViewRequest())
            if view is not None:
                yield view


def _drawings(archive: DicomWebStudies) -> Iterator[LabelMap]:
    studies = dict.fromkeys(str(value_of(item, "0020000D")) for item in archive.mammography_series())
    for study in studies:
        for address in archive.study(study):
            if address.sop_class_uid == SegmentationStorage:
                with suppress(UnsupportedImageError):  # of something else
                    yield label_map_for(archive, study, address.sop_instance_uid, None, {})


def split_by_patient(cases: Cases) -> tuple[Cases, Cases]:
    """A fifth of the patients, at least one, for validation; the same ones whatever the order.

    Raises:
        DataError: If there is only one patient.
    """
    patients = sorted({case.patient_id for case in cases}, key=lambda p: hashlib.sha256(p.encode()).hexdigest())
    if len(patients) < 2:
        raise DataError(
            "the archive holds cases of one patient only; training needs two or more, to validate on others"
        )
    held = set(patients[: max(1, round(_VALIDATION_FRACTION * len(patients)))])
    return [c for c in cases if c.patient_id not in held], [c for c in cases if c.patient_id in held]
