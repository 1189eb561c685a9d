"""One generic adapter from MONAI Label's training interface to the trainer of a bundle's task."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import signal
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask

from mammosynth.bundle import Bundle, find_bundles
from mammosynth.dicom.contrast_enhanced import Exposure, exposure_of
from mammosynth.errors import BundleError, DataError, InvalidParameterError, MammoSynthError
from mammosynth.mammogram import Mammogram
from mammosynth.phantom.clinic.read import is_phantom_folder, read_phantoms
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm
from mammosynth.tasks.contrast.preflight import read_splits
from mammosynth.terms import PresentationIntentType
from mammosynth.training.recipe import TrainingRecipe
from mammosynth.training.template import Template
from mammosynth.training.train import train_contrast
from monailabel_app.dicom_json import value_of
from monailabel_app.options import AppOptions
from monailabel_app.studies import DicomWebStudies, Studies, ViewRequest

logger = logging.getLogger(__name__)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Chosen by the operator of the server, not by a client.
_NOT_FOR_CLIENTS = TrainingRecipe.OF_THE_MACHINE
_OWN = ("name", "bundle", "initial_weights")
_VALIDATION_FRACTION = 0.2
_FOR_PROCESSING = PresentationIntentType.FOR_PROCESSING


class BundleTrainTask(TrainTask):
    """Trains a new bundle for the task of a served one, from the datastore's own pairs.

    One process, one device: the server's. MONAI Label's fields for several GPUs are not taken; train with `torchrun`
    and the command line for that.
    """

    def __init__(self, bundle: Bundle, studies: Studies, root: str, options: AppOptions) -> None:
        super().__init__(f"Trains a bundle for {bundle.task} from low-energy and recombined pairs of the datastore")
        self._task = str(bundle.task)
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
        accepted = [*_OWN, *(f.name for f in fields(template.recipe_class) if f.name not in _NOT_FOR_CLIENTS)]
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
        ours = {*_OWN, *(f.name for f in fields(template.recipe_class)), *self.config()} - _NOT_FOR_CLIENTS
        chosen = self.parse({key: value for key, value in request.items() if key in ours})
        name = chosen.get("name") or f"breast_cem_{self._task}_{datetime.now():%Y%m%d_%H%M%S}"
        recipe = {key: value for key, value in chosen.items() if key not in _OWN}
        training, validation = self._pairs()
        logger.warning("training %s on %d pairs, validating on %d", name, len(training), len(validation))

        def progress(fraction: float, message: str, values: dict[str, float]) -> None:
            # MONAI Label shows the last lines of this process to the client as `details`.
            logger.warning("%s", json.dumps({"progress": round(fraction, 4), "message": message, **values}))

        result = train_contrast(
            training,
            validation,
            output=self._options.trained_models / name,
            recipe=template.recipe({**recipe, "device": self._options.device}),
            template=template,
            initial_weights=self._folder(chosen["initial_weights"]) if chosen.get("initial_weights") else None,
            progress=progress,
            should_stop=stop.is_set,
        )
        return {"bundle": name, "stopped": not result.completed, "reason": result.reason, "val": result.val}

    def _template(self, name: str) -> Template:
        return Template.find(self._folder(name))

    def _folder(self, name: Any) -> Path:
        """Of a bundle of this server; a client names no other folder."""
        trained = self._options.trained_models
        known = find_bundles(*self._options.model_zoo, *([trained] if trained.is_dir() else []))
        if name not in known:
            raise InvalidParameterError(f"no bundle {str(name)[:64]!r}, expected one of {', '.join(known)}")
        return known[name]

    def _pairs(self) -> tuple[list[ContrastPair], list[ContrastPair]]:
        if isinstance(self._studies, DicomWebStudies):
            return split_by_patient(pairs_from_archive(self._studies))
        folder = Path(self._root)
        if is_phantom_folder(folder):
            return read_splits(partial(read_phantoms, folder))
        if not (folder / "pairs.csv").is_file():
            raise DataError(
                f"{folder.name}: pairs.csv is missing; training from a folder needs the layout of CDD-CESM "
                "(pairs.csv, 512/images, 512/masks) or phantoms (manifest.json), training from DICOM needs an archive"
            )
        return read_splits(partial(read_cdd_cesm, folder))


def pairs_from_archive(archive: DicomWebStudies) -> list[ContrastPair]:
    """Low-energy and recombined views of the same study, side and view.

    Both come from one exposure under one compression, so they lie on each other as stored. Where an archive keeps the
    images For Processing, too, those For Presentation are used.

    Raises:
        DataError: If any view cannot be read, or no pair is found; every problem is listed.
    """
    views: dict[tuple[str, str, str], dict[Exposure, Mammogram]] = defaultdict(dict)
    problems: list[str] = []
    for item in archive.mammography_series():
        for address in archive.instances(value_of(item, "0020000E")):
            try:
                view = archive.view(address, ViewRequest())
            except MammoSynthError as error:
                problems.append(str(error))
                continue
            exposure = exposure_of(view.header) if view.header is not None else None
            if exposure in (Exposure.LOW_ENERGY, Exposure.RECOMBINED) and view.view_position and view.image_laterality:
                key = (address.study_instance_uid, str(view.image_laterality), str(view.view_position))
                if exposure not in views[key] or view.presentation_intent_type is not _FOR_PROCESSING:
                    views[key][exposure] = view
    if problems:
        raise DataError(
            f"{len(problems)} images of the archive cannot be used for training:\n  " + "\n  ".join(problems)
        )
    pairs = [
        ContrastPair(
            low_energy=both[Exposure.LOW_ENERGY],
            recombined=both[Exposure.RECOMBINED].pixels,
            patient_id=_patient(both[Exposure.LOW_ENERGY], study),
        )
        for (study, _, _), both in sorted(views.items())
        if len(both) == 2
    ]
    if not pairs:
        raise DataError(
            "the archive holds no pairs: expected, for one study, side and view, an image whose Image Type or Series "
            "Description says LOW ENERGY and one that says RECOMBINED"
        )
    return pairs


def split_by_patient(pairs: list[ContrastPair]) -> tuple[list[ContrastPair], list[ContrastPair]]:
    """A fifth of the patients, at least one, for validation; the same ones whatever the order.

    Raises:
        DataError: If there is only one patient.
    """
    patients = sorted({pair.patient_id for pair in pairs}, key=lambda p: hashlib.sha256(p.encode()).hexdigest())
    if len(patients) < 2:
        raise DataError(
            "the archive holds pairs of one patient only; training needs two or more, to validate on others"
        )
    held = set(patients[: max(1, round(_VALIDATION_FRACTION * len(patients)))])
    return [p for p in pairs if p.patient_id not in held], [p for p in pairs if p.patient_id in held]


def _patient(view: Mammogram, study: str) -> str:
    patient = str(view.header.get("PatientID", "")) if view.header is not None else ""
    return hashlib.sha256((patient or study).encode()).hexdigest()[:16]
