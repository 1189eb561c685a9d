"""The MONAI Label app: which tasks exist, wired from the bundles found in the model zoo."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from monailabel.config import settings
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.train import TrainTask

import mammosynth
from mammosynth.bundle import WEIGHTS, Bundle, find_bundles, load_bundle
from mammosynth.errors import BundleError
from mammosynth.files.formats import ENDINGS
from mammosynth.journey import Synthesize
from monailabel_app.datastores import MammogramDatastore
from monailabel_app.errors import NotFoundError
from monailabel_app.infers import BundleInferTask, synthesize_alone
from monailabel_app.inputs import request_inputs
from monailabel_app.options import AppOptions
from monailabel_app.strategies import STRATEGIES
from monailabel_app.studies import AnyStudies, DicomWebStudies, FolderStudies
from monailabel_app.trainers import BundleTrainTask

logger = logging.getLogger(__name__)


class MammoSynthApp(MONAILabelApp):
    """Synthesis tasks and their trainers, for a DICOMweb archive or a folder of images."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.options = AppOptions.from_conf(conf or {}, app_dir)
        self.bundles = load_bundles(self.options)
        self.source_studies: AnyStudies
        self.synthesize: Synthesize = synthesize_alone
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="MammoSynth",
            description="Synthesized mammograms for research; not for diagnosis",
            version=mammosynth.__version__,
            labels=[],
        )

    def init_datastore(self) -> Datastore:
        """An archive for a URL, a folder of files otherwise; both also become the source of synthesis."""
        if self.studies.startswith(("http://", "https://")):
            user, password = settings.MONAI_LABEL_DICOMWEB_USERNAME, settings.MONAI_LABEL_DICOMWEB_PASSWORD
            archive = DicomWebStudies(self.studies.rstrip("/"), (user, password) if user and password else None)
            self.source_studies = archive
            return MammogramDatastore(archive, settings.MONAI_LABEL_DICOMWEB_CACHE_PATH or None)
        store = LocalDatastore(
            self.studies,
            extensions=[f"*{ending}" for ending in ENDINGS],
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )
        self.source_studies = FolderStudies(store.get_image_uri)
        return store

    def init_infers(self) -> dict[str, InferTask]:
        """The default bundle of a task goes by the task's name, every other one by its own."""
        return {name: BundleInferTask(bundle) for name, bundle in self.bundles.items()}

    def init_trainers(self) -> dict[str, TrainTask]:
        """One trainer per default bundle, by the same name."""
        return {
            name: BundleTrainTask(bundle, self.source_studies, self.studies, self.options)
            for name, bundle in self.bundles.items()
            if name == bundle.task.name
        }

    def init_strategies(self) -> dict[str, Any]:
        """Random and in order."""
        return dict(STRATEGIES)

    def task(self, model: str) -> BundleInferTask:
        """The inference task of that name.

        Raises:
            NotFoundError: If there is none, with the names that exist.
        """
        return _named(self._infers, model, "model")

    def trainer(self, model: str) -> BundleTrainTask:
        """The trainer of that name.

        Raises:
            NotFoundError: If there is none, with the names that exist.
        """
        return _named(self._trainers, model, "trainer")

    def next_image(self, strategy: str) -> dict[str, Any]:
        """Id, study, series and instance of the next image; empty if there is none.

        Raises:
            NotFoundError: If there is no such strategy, with the names that exist.
        """
        choose = _named(self._strategies, strategy, "strategy")
        chosen = choose({"strategy": strategy}, self.datastore())
        return {"id": chosen["id"], **self.datastore().get_image_info(chosen["id"])} if chosen else {}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Synthesize one image; see `BundleInferTask`.

        Args:
            request: `model`; `image`, an image id, or `path`, an image file of the caller's, as the source; `inputs`,
                further references by role; and parameters.
            datastore: Not used: the app has one.
        """
        task = self.task(request["model"])
        ours = ("model", "image", "path", "inputs", "description", "device", "session")
        order = task.parse({name: value for name, value in request.items() if name not in ours})
        inputs, path = request_inputs(self.source_studies, order, request)
        file, params = task({"order": order, "inputs": inputs, "source_path": path, "synthesize": self.synthesize})
        return {"label": file, "file": file, "params": params}


def _named(things: Mapping[str, Any], name: str, kind: str) -> Any:
    if name not in things:
        raise NotFoundError(f"no {kind} {name[:64]!r}, expected one of {', '.join(things)}")
    return things[name]


def load_bundles(options: AppOptions) -> dict[str, Bundle]:
    """Every bundle that can be loaded, by the name under which it is served; a task's default first, by the task's.

    The default is the one that says so, of the model zoo before those that were trained or installed here; of a task
    for which none says so, the first one. A damaged bundle is logged and left out, so that the others can be used; so
    is one that was never trained.

    Raises:
        BundleError: If no bundle is left.
    """
    loaded: list[Bundle] = []
    in_zoo: dict[str, bool] = {}
    trained = [options.trained_models] if options.trained_models.is_dir() else []
    for name, folder in find_bundles(*options.model_zoo, *trained).items():
        if not (folder / WEIGHTS).is_file():
            logger.info("bundle %s has no weights and is not served; train it", name)
            continue
        try:
            loaded.append(load_bundle(folder, device=options.device))
        except BundleError as error:
            logger.error("bundle %s is not served: %s", name, error)
            continue
        in_zoo[name] = folder.parent in options.model_zoo
    if not loaded:
        folders = ", ".join(str(folder) for folder in options.model_zoo)
        raise BundleError(f"no usable bundle in {folders}; expected folders with configs/inference.json and models/")
    # Clients offer what comes first.
    loaded.sort(key=lambda b: (b.task.name, not (b.is_default and in_zoo[b.name]), not b.is_default, b.name))
    served: dict[str, Bundle] = {}
    for bundle in loaded:
        served[bundle.name if bundle.task.name in served else bundle.task.name] = bundle
    return served
