"""Model bundles: finding, checking, loading and running them. Adding a model adds a folder to `model_zoo`."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from safetensors import SafetensorError
from safetensors.torch import load_file

from mammosynth import __version__
from mammosynth.digests import file_sha256
from mammosynth.errors import BundleError, InvalidParameterError, UnsupportedImageError
from mammosynth.mammogram import Mammogram
from mammosynth.parameters import Parameters
from mammosynth.provenance import Provenance, Source
from mammosynth.synthesis.result import Result
from mammosynth.synthesis.synthesizer import Synthesizer, Teller
from mammosynth.task import (
    Remark,
    Rendering,
    Slot,
    SlotKind,
    TaskSpec,
    check_inputs,
    task_named,
    tasks,
    that_change_image,
)
from mammosynth.terms import ViewPosition

METADATA = Path("configs", "metadata.json")
INFERENCE = Path("configs", "inference.json")
TRAIN = Path("configs", "train.json")
WEIGHTS = Path("models", "model.safetensors")
TARGETS = ("mammosynth.preprocessing", "mammosynth.networks", "mammosynth.synthesis", "torch.nn", "monai.networks")
"""Packages whose classes a bundle may name, beside those of its task. A bundle may come from outside: it configures, it
does not program."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded model.

    Attributes:
        name: The folder's name.
        version: From its metadata.
        task: What it synthesizes.
        slots: What it is made from, and tells of: the task's, of which it may require more and accept fewer views.
        renderings: Those that it can; the first one is what is made unless another is asked for.
        description: One or two sentences for a person.
        metadata: All of metadata.json.
        weights_sha256: Hash of the weights that are loaded.
        is_default: Whether it is the model to offer first for its task.
        synthesizer: Preprocessing, network and way back.
    """

    name: str
    version: str
    task: TaskSpec
    slots: tuple[Slot, ...]
    renderings: tuple[Rendering, ...]
    description: str
    metadata: dict[str, Any]
    weights_sha256: str
    is_default: bool
    synthesizer: Synthesizer

    def synthesize(
        self,
        inputs: Mapping[str, Any],
        *,
        parameters: Mapping[str, Any] | Parameters | None = None,
        rendering: Rendering | None = None,
        seed: int = 0,
        progress: Callable[[float, str], None] | None = None,
        only_tell: bool = False,
    ) -> Result:
        """What the model makes of its inputs, where that comes from, and what it tells of those that change nothing.

        The same inputs, parameters, rendering and seed give the same pixels. May be called from several threads.

        Args:
            inputs: A `Mammogram`, a `LabelMap` or JSON values for each role of `slots`.
            parameters: The model's own; None for all defaults.
            rendering: None for the first one of `renderings`.
            seed: Of everything random.
            progress: Told a fraction in [0, 1] and what happens.
            only_tell: Make no outputs where there is an input to tell of: somebody has them.

        Raises:
            InvalidParameterError: If a parameter or an input is unknown or out of range, or the model lacks the
                rendering.
            MissingAttributeError: If an input is missing, or lacks an attribute that the model needs.
            UnsupportedImageError: If an input cannot be used for this task.
        """
        check_inputs(self.slots, inputs)
        made_from = that_change_image(self.slots, inputs)
        kind = self.synthesizer.parameters
        resolved = parameters if isinstance(parameters, kind) else kind(**dict(parameters or {}))
        chosen = self.rendering(rendering)
        remarks: tuple[Remark, ...] = ()
        if len(made_from) < len(inputs) and isinstance(self.synthesizer, Teller):
            outputs, remarks = self.synthesizer.make_and_tell(
                inputs, resolved, rendering=chosen, seed=seed, progress=progress, only_tell=only_tell
            )
        else:
            outputs = self.synthesizer(made_from, resolved, rendering=chosen, seed=seed, progress=progress)
        provenance = Provenance(
            task=self.task.name,
            bundle=self.name,
            bundle_version=self.version,
            weights_sha256=self.weights_sha256,
            software_version=__version__,
            rendering=str(chosen),
            seed=seed,
            parameters=resolved.as_json(),
            created=datetime.now().astimezone(),
            sources=tuple(Source.of(role, value) for role, value in made_from.items()),
            warnings=tuple(warning for value in made_from.values() for warning in getattr(value, "warnings", ())),
            changed=resolved.not_default(),
        )
        return Result(self.task, made_from, outputs, provenance, remarks)

    def rendering(self, asked: Rendering | str | None) -> Rendering:
        """The rendering that is made when this one is asked for; the first one where none is.

        Raises:
            InvalidParameterError: If the model lacks it.
        """
        if asked is None:
            return self.renderings[0]
        if asked not in self.renderings:
            raise InvalidParameterError(
                f"parameter 'rendering' is {str(asked)[:64]!r}, expected {' or '.join(self.renderings)}: model "
                f"{self.name} has no other"
            )
        return Rendering(asked)


def default_model_zoo() -> Path:
    """The bundles that come with this software: the checkout's `model_zoo`, or the installed copy.

    Raises:
        BundleError: If neither exists.
    """
    here = Path(__file__).resolve()
    for folder in (here.parents[2] / "model_zoo", here.parents[1] / "mammosynth_model_zoo"):
        if folder.is_dir():
            return folder
    raise BundleError("the model zoo that comes with this software is missing; reinstall it, or name a bundle folder")


def find_bundles(*folders: Path) -> dict[str, Path]:
    """Bundle folders by name, without loading them.

    Args:
        *folders: Bundles, or folders of bundles; without any, the default model zoo. Of one name the last counts.

    Returns:
        Name to folder, sorted by name.
    """
    found: dict[str, Path] = {}
    for folder in folders or (default_model_zoo(),):
        candidates = [folder, *sorted(folder.iterdir())] if folder.is_dir() else []
        found.update({path.resolve().name: path for path in candidates if (path / METADATA).is_file()})
    return dict(sorted(found.items()))


def find_bundle(name: str | Path, *folders: Path) -> Path:
    """The folder of one bundle, which a user named or gave as a path; no weights are read.

    A word that the model zoo knows is that bundle, whatever lies in the working directory. Everything else is a path:
    text with a separator in it (`./mine`), a word that the zoo does not know, and any `Path`.

    Args:
        name: Of a bundle, or where it lies.
        *folders: Where names are looked up, as for `find_bundles`.

    Raises:
        BundleError: If there is none; the known ones are named.
    """
    known = find_bundles(*folders)
    if isinstance(name, str) and name in known:
        return known[name]
    folder = Path(name)
    if not name or not (folder / METADATA).is_file():
        raise BundleError(
            f"no bundle {str(name)!r}, expected one of {', '.join(known) or 'none'}, or a folder that holds "
            f"{METADATA.as_posix()}"
        )
    return folder


def default_bundle(task: str, *folders: Path) -> Path:
    """The folder of the model to offer first for a task; no weights are read.

    Args:
        task: Name of what it synthesizes.
        *folders: As for `find_bundles`.

    Raises:
        BundleError: If there is none.
    """
    known = []
    for name, folder in find_bundles(*folders).items():
        ours = read_config(folder, METADATA).get("mammosynth")
        if isinstance(ours, dict) and ours.get("task") == task:
            known.append(name)
            if ours.get("default"):
                return folder
    raise BundleError(f"no default bundle for {task}; name one (--bundle): {', '.join([*known, 'a folder of yours'])}")


def load_bundle(folder: Path, device: str = "cpu") -> Bundle:
    """The model in a bundle folder, ready to synthesize.

    Args:
        folder: Holds `configs/metadata.json`, `configs/inference.json` and `models/model.safetensors`.
        device: A torch device.

    Raises:
        BundleError: If a file is missing or damaged, or the configuration names anything that a bundle may not.
    """
    name = folder.resolve().name
    metadata = read_config(folder, METADATA)
    task = task_of(folder)
    ours = metadata["mammosynth"]
    synthesizer = build_synthesizer(folder)
    weights = folder / WEIGHTS
    digest = hash_file(weights, name)
    if ours.get("weights_sha256") not in (None, digest):
        raise BundleError(
            f"{name}/{WEIGHTS.as_posix()}: its hash is not the one in metadata.json; fetch the file again, or take out "
            "weights_sha256 there if the weights are your own"
        )
    try:
        state = {key: value.float() for key, value in load_file(weights).items()}
        synthesizer.network.load_state_dict(state, strict=True)
    except (SafetensorError, RuntimeError) as error:
        raise BundleError(
            f"{name}/{WEIGHTS.as_posix()}: does not fit the network of inference.json: {error}"
        ) from error
    synthesizer.network.eval().requires_grad_(False)
    try:
        synthesizer.network.to(torch.device(device))
    except (RuntimeError, AssertionError) as error:
        raise BundleError(f"{name}: device '{device}' cannot be used: {error}; choose 'cpu'") from error
    return Bundle(
        name=name,
        version=str(metadata["version"]),
        task=task,
        slots=told(_seen(_slots(task, ours.get("requires", []), name), ours.get("views"), name), synthesizer),
        renderings=_renderings(ours.get("renderings", [Rendering.EXPECTED]), name),
        description=str(metadata.get("description", "")),
        metadata=metadata,
        weights_sha256=digest,
        is_default=bool(ours.get("default", False)),
        synthesizer=synthesizer,
    )


def task_of(folder: Path) -> TaskSpec:
    """What the bundle in a folder synthesizes, by its metadata.

    Raises:
        BundleError: If the metadata do not say it, or the task is not installed.
    """
    metadata = read_config(folder, METADATA)
    ours = metadata.get("mammosynth")
    if not isinstance(ours, dict) or "version" not in metadata or ours.get("task") not in tasks():
        raise BundleError(
            f"{folder.resolve().name}/{METADATA.as_posix()}: expected 'version' and 'mammosynth' with 'task' "
            f"({', '.join(tasks())}), found {_told(metadata)}; repair it, or install the package that has its task"
        )
    return task_named(ours["task"])


def _told(metadata: Mapping[str, Any]) -> str:
    """What of the metadata a message can hold."""
    ours = metadata.get("mammosynth")
    task = f"task {ours.get('task')!r}" if isinstance(ours, dict) else f"{str(ours)[:64]!r} for 'mammosynth'"
    return f"version {metadata.get('version')!r} and {task}"


def _slots(task: TaskSpec, required: Any, name: str) -> tuple[Slot, ...]:
    known = [slot.role for slot in task.slots]
    if not isinstance(required, list) or not set(required) <= set(known):
        raise BundleError(
            f"{name}/{METADATA.as_posix()}: 'requires' is {required!r}, expected a list of {', '.join(known)}"
        )
    return tuple(replace(slot, required=slot.required or slot.role in required) for slot in task.slots)


def told(slots: tuple[Slot, ...], synthesizer: Synthesizer) -> tuple[Slot, ...]:
    """The slots without those that would change nothing, unless the synthesizer tells something of them."""
    roles = synthesizer.tells_of if isinstance(synthesizer, Teller) else ()
    return tuple(slot for slot in slots if slot.changes_image or slot.role in roles)


def _seen(slots: tuple[Slot, ...], views: Any, name: str) -> tuple[Slot, ...]:
    """The slots, of which those for images accept only the views that a model knows."""
    if views is None:
        return slots
    if not isinstance(views, list) or not views or not set(views) <= set(ViewPosition):
        raise BundleError(
            f"{name}/{METADATA.as_posix()}: 'views' is {views!r}, expected a list of {', '.join(ViewPosition)}"
        )

    def narrowed(slot: Slot) -> Slot:
        def accept(source: Mammogram) -> None:
            if slot.accept is not None:
                slot.accept(source)
            if source.view_position is not None and source.view_position not in views:
                raise UnsupportedImageError(
                    f"{source.source_name}: is a view {source.view_position}, expected {' or '.join(views)}: model "
                    f"{name} knows no other; choose another image or model"
                )

        return replace(slot, accept=accept)

    return tuple(narrowed(slot) if slot.kind is SlotKind.IMAGE else slot for slot in slots)


def _renderings(given: Any, name: str) -> tuple[Rendering, ...]:
    if not isinstance(given, list) or not given or not set(given) <= set(Rendering):
        raise BundleError(
            f"{name}/{METADATA.as_posix()}: 'renderings' is {given!r}, expected a list of {', '.join(Rendering)}"
        )
    return tuple(Rendering(each) for each in given)


def build_synthesizer(folder: Path, inference: dict[str, Any] | None = None) -> Synthesizer:
    """What `configs/inference.json` describes, with random weights.

    Args:
        folder: Of the bundle.
        inference: Instead of that file's content.

    Raises:
        BundleError: If it cannot be built, or names a class that a bundle may not name.
    """
    name = folder.resolve().name
    task = task_of(folder)
    config = _renamed(read_config(folder, INFERENCE) if inference is None else inference, task.renamed)
    refuse_code(config, f"{name}/{INFERENCE.as_posix()}", (*TARGETS, *task.targets))
    try:
        # Targets are whole names, so MONAI need not be searched for short ones, which takes 40 ms.
        parser = ConfigParser(config, excludes="monai")
        synthesizer = parser.get_parsed_content("synthesizer", instantiate=True)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise BundleError(f"{name}/{INFERENCE.as_posix()}: cannot be built: {error}") from error
    if not isinstance(synthesizer, Synthesizer) or synthesizer.task != task.name:
        raise BundleError(
            f"{name}/{INFERENCE.as_posix()}: 'synthesizer' is a {type(synthesizer).__name__}, "
            f"expected a {Synthesizer.__name__} of task {task.name}"
        )
    return synthesizer


def _renamed(config: Any, names: Mapping[str, str]) -> Any:
    """The configuration with today's names of classes that had others when it was written."""
    if isinstance(config, dict):
        return {
            key: names.get(value, value) if key == "_target_" and isinstance(value, str) else _renamed(value, names)
            for key, value in config.items()
        }
    return [_renamed(value, names) for value in config] if isinstance(config, list) else config


def refuse_code(config: Any, where: str, accepted: Sequence[str]) -> None:
    """Refuse a configuration that could run code: expressions, macros, and classes of other packages.

    Args:
        config: JSON values.
        where: How messages name the file.
        accepted: Packages whose classes it may name.

    Raises:
        BundleError: With the offending value.
    """
    if isinstance(config, dict):
        for key, value in config.items():
            if key == "_target_":
                _refuse_target(value, where, accepted)
            elif key.startswith("_"):
                raise BundleError(f"{where}: key '{key}' is not accepted; use only '_target_' and plain values")
            else:
                refuse_code(value, where, accepted)
    elif isinstance(config, list):
        for value in config:
            refuse_code(value, where, accepted)
    elif isinstance(config, str) and config.startswith(("$", "%")):
        raise BundleError(f"{where}: '{config}' is code or a macro, which is not run; write the value itself")


def _refuse_target(target: Any, where: str, accepted: Sequence[str]) -> None:
    module, _, name = str(target).rpartition(".")
    refused = BundleError(f"{where}: _target_ '{target}' is refused; accepted are classes of {', '.join(accepted)}")
    if not _is_within(module, accepted):
        raise refused
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise BundleError(
            f"{where}: _target_ '{target}' does not exist; is the bundle made for another version?"
        ) from error
    # An imported name may lead anywhere, so the class itself must live there too.
    if not isinstance(found, type) or not _is_within(found.__module__, accepted):
        raise refused


def _is_within(module: str, accepted: Sequence[str]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in accepted)


def read_config(folder: Path, path: Path) -> dict[str, Any]:
    """One JSON file of a bundle.

    Raises:
        BundleError: If folder or file is missing, or is not a JSON object; known bundles are named.
    """
    where = f"{folder.name}/{path.as_posix()}"
    file = folder / path
    if not file.is_file():
        known = ", ".join(find_bundles(folder.parent)) or "none"
        raise BundleError(f"{where} is missing, so this is no model bundle; bundles beside it: {known}")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{where}: is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise BundleError(f"{where}: holds a {type(config).__name__}, expected an object")
    return config


def hash_file(path: Path, name: str) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        BundleError: If it is missing; `name` is the bundle's.
    """
    if not path.is_file():
        raise BundleError(
            f"{name} has no weights ({WEIGHTS.as_posix()} is missing); train it with `mammosynth train --bundle`, "
            "fetch the bundle again, or choose another one"
        )
    return file_sha256(path)
