"""`Template`: a bundle that is trained anew: its objective, its recipe, its network with random weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from mammosynth.bundle import (
    INFERENCE,
    TRAIN,
    WEIGHTS,
    build_synthesizer,
    default_bundle,
    find_bundle,
    hash_file,
    read_config,
    task_of,
)
from mammosynth.errors import BundleError
from mammosynth.networks.ensemble import Ensemble
from mammosynth.networks.hypercolumn_head import HypercolumnHead
from mammosynth.task import TaskSpec
from mammosynth.training.ensemble import CALIBRATION, plain_ensemble
from mammosynth.training.objective import Objective, Training
from mammosynth.training.recipe import TrainingRecipe


@dataclass(frozen=True)
class Template:
    """See the module.

    Attributes:
        folder: Of the bundle.
        task: What is trained.
        objective: Name among the task's objectives.
        values: The recipe in its train.json, but for what belongs to the machine.
        member: Which network of an ensemble is trained.
    """

    folder: Path
    task: TaskSpec
    objective: str
    values: Mapping[str, Any]
    member: int = 0

    @classmethod
    def find(
        cls,
        task: TaskSpec,
        name: str | Path | None = None,
        *zoo: Path,
        member: int = 0,
        objective: str | None = None,
    ) -> Template:
        """The template in a folder, of that name, or of the task's default bundle.

        Args:
            task: What is trained.
            name: As for `find_bundle`; None: the default bundle.
            *zoo: Folders of bundles where names are looked up; without any, the default model zoo.
            member: Which network of an ensemble is trained, from 0.
            objective: Another way of training than the bundle's own, with the values that are usual there.

        Raises:
            BundleError: If there is none, it is of another task, it does not say how it is trained, or it has no such
                member.
        """
        folder = default_bundle(task.name, *zoo) if name is None else find_bundle(name, *zoo)
        if task_of(folder) is not task:
            raise BundleError(f"{folder.name}: synthesizes {task_of(folder).name}, expected {task.name}")
        config = read_config(folder, TRAIN)
        known = task.load("objectives")
        if objective is not None and objective not in known:
            raise BundleError(f"objective is {objective[:64]!r}, expected {' or '.join(known)}")
        own = objective in (None, config.get("objective"))
        objective, values = (config.get("objective"), config.get("recipe")) if own else (objective, {})
        if objective not in known or not isinstance(values, dict):
            raise BundleError(
                f"{folder.name}/{TRAIN.as_posix()}: objective is {objective!r} and recipe a {type(values).__name__}, "
                f"expected {' or '.join(known)} and an object; choose another bundle as template"
            )
        kept = {key: value for key, value in values.items() if key not in TrainingRecipe.OF_THE_MACHINE}
        _check_member(folder, member)
        return cls(folder, task, str(objective), kept, member)

    @property
    def training(self) -> Training:
        """Recipe and objective."""
        return self.task.load("objectives")[self.objective]

    @property
    def recipe_class(self) -> type[TrainingRecipe]:
        """What its recipe may say."""
        return self.training.recipe

    def recipe(self, changes: Mapping[str, Any] | None = None) -> TrainingRecipe:
        """Its recipe with other values.

        Raises:
            InvalidParameterError: With every name that is unknown and every value that is out of range.
        """
        return self.recipe_class(**{**self.values, **(changes or {})})

    def build_objective(self, *arguments: Any) -> Objective:
        """An objective from prepared training cases, prepared validation cases, network and recipe."""
        return self.training.objective(*arguments)

    def build(self, seed: int) -> Blank:
        """Network and preprocessing; of an ensemble, the one member, or all of it if more is fitted to it.

        What is frozen in a member has its published weights.

        Raises:
            BundleError: If inference.json is damaged, there is no ensemble where one is needed, or the package with the
                published weights is not installed.
        """
        torch.manual_seed(seed)
        if self.training.network:
            return self._build_whole()
        synthesizer = build_synthesizer(self.folder)
        inference, network = read_config(self.folder, INFERENCE), synthesizer.network
        inference["synthesizer"].pop(CALIBRATION, None)
        if isinstance(network, Ensemble):
            inference["network"] = plain_ensemble([inference["network"]["members"][self.member]])
            member = network.members[self.member]
            _load_trunk(member, self.folder)
            return Blank(member, "members.0.", synthesizer.preprocessing, inference)
        return Blank(network, "", synthesizer.preprocessing, inference)

    def _build_whole(self) -> Blank:
        inference = read_config(self.folder, INFERENCE)
        if not inference["network"].get("members"):
            raise BundleError(
                f"{self.folder.name}: its network is no ensemble, and objective {self.objective} is fitted to one; "
                "choose a bundle with members"
            )
        inference["network"]["_target_"] = self.training.network
        synthesizer = build_synthesizer(self.folder, inference)
        blank = Blank(synthesizer.network, "", synthesizer.preprocessing, inference)
        return replace(blank, initial=blank.load(self.folder, partly=True))


def _check_member(folder: Path, member: int) -> None:
    network = read_config(folder, INFERENCE).get("network")
    count = len(network.get("members", [0])) if isinstance(network, dict) else 1
    if not 0 <= member < count:
        raise BundleError(f"{folder.name}: member is {member}, expected 0 to {count - 1}: it has no more networks")


def _load_trunk(network: nn.Module, folder: Path) -> None:
    if isinstance(network, HypercolumnHead):
        try:
            network.load_trunk()
        except ModuleNotFoundError as error:
            raise BundleError(f"{folder.name}: the trunk of this member cannot be had: {error}") from error


@dataclass(frozen=True, eq=False)
class Blank:
    """What is trained, and how it is served.

    Attributes:
        network: The generator.
        prefix: Of its weights in the bundle's network.
        preprocessing: The bundle's own.
        inference: The inference.json of a bundle that holds this one generator.
        initial: Name and hash of the template's weights, where it starts from them.
    """

    network: nn.Module
    prefix: str
    preprocessing: Any
    inference: dict[str, Any]
    initial: dict[str, str] | None = None

    def load(self, bundle: Path, *, partly: bool = False) -> dict[str, str]:
        """Start from the weights of another bundle.

        Args:
            bundle: Its folder.
            partly: Whether it may lack some, which stay as they are.

        Returns:
            Its name and the hash of its weights.

        Raises:
            BundleError: If they are missing or do not fit.
        """
        name = bundle.resolve().name
        digest = hash_file(bundle / WEIGHTS, name)
        try:
            state = load_file(bundle / WEIGHTS)
            own = {k.removeprefix(self.prefix): v.float() for k, v in state.items() if k.startswith(self.prefix)}
            self.network.load_state_dict({**self.network.state_dict(), **own} if partly else own, strict=True)
        except (SafetensorError, RuntimeError) as error:
            raise BundleError(
                f"{name}/{WEIGHTS.as_posix()}: does not fit the network that is trained: {error}; give a bundle that "
                "was trained from the same template"
            ) from error
        return {"bundle": name, "sha256": digest}
