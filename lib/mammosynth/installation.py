"""Bundles where they are served from, and their first weights."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import torch
from safetensors.torch import save

from mammosynth.atomic import write_bytes, write_json
from mammosynth.bundle import METADATA, WEIGHTS, build_synthesizer, read_config
from mammosynth.errors import BundleError, OutputError

_OF_A_RUN = ("run",)
"""Folders of a training run: checkpoints and curves, which nobody serves."""
_OF_WEIGHTS = ("weights_sha256", "training", "scores")
"""What metadata tell of weights, and not of others: a copy would show the scores of its original."""


def install_bundle(folder: Path, target: Path, *, replace: bool = False) -> None:
    """Copy a bundle, whole or not at all.

    Args:
        folder: The bundle.
        target: Its folder to be; the name is that of the bundle.
        replace: Whether a bundle that is there already goes.

    Raises:
        BundleError: If there is one already and it is to stay.
        OutputError: If it cannot be written.
    """
    if target.exists() and not replace:
        raise BundleError(f"{target.name} is installed already; give another --name, or --replace")
    part = target.with_name(f".{uuid.uuid4().hex}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(
            folder, part, ignore=lambda at, names: _OF_A_RUN if Path(at) == folder else (), copy_function=_copy
        )
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except OSError as error:
        raise OutputError(
            f"{target.name}: cannot be written ({error.strerror or error}); check the folder, its rights and free space"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy(source: str, target: str) -> None:
    """One file; of `shutil`'s own function `copytree` would gather all errors, and tell whole paths."""
    write_bytes(Path(target), Path(source).read_bytes())


def initialize_weights(folder: Path, seed: int) -> Path:
    """Draw the weights of a bundle that has none; what its metadata say of others is taken out.

    Args:
        folder: Holds `configs/metadata.json` and `configs/inference.json`.
        seed: Of the weights.

    Returns:
        The file.

    Raises:
        BundleError: If it has weights already, or its configuration cannot be used.
        OutputError: If the file cannot be written.
    """
    weights = folder / WEIGHTS
    if weights.exists():
        raise BundleError(f"{folder.name}/{WEIGHTS.as_posix()} is there already; remove it first if it may go")
    torch.manual_seed(seed)
    network = build_synthesizer(folder).network
    metadata = read_config(folder, METADATA)
    kept = {key: value for key, value in metadata["mammosynth"].items() if key not in _OF_WEIGHTS or not value}
    if kept != metadata["mammosynth"]:
        write_json(folder / METADATA, {**metadata, "mammosynth": kept})
    write_bytes(weights, save({name: value.contiguous() for name, value in network.state_dict().items()}))
    return weights
