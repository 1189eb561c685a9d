"""`join_members`: several trained bundles as one bundle, whose members answer side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save

from mammosynth.atomic import write_bytes, write_json
from mammosynth.bundle import INFERENCE, METADATA, TRAIN, WEIGHTS, hash_file, read_config
from mammosynth.errors import BundleError
from mammosynth.networks.ensemble import Ensemble

PREFIX = "members."
CALIBRATION = "calibration"
"""What a synthesizer's configuration may say of all its networks together: no other network may inherit it."""


def join_members(bundles: Sequence[Path], output: Path) -> None:
    """Write an ensemble of the members of bundles that see the same input and learned from the same data.

    Args:
        bundles: Each an `Ensemble` of one or more members, as training writes them; of different seeds, for example, or
            of different networks.
        output: Folder of the new bundle; what it holds already besides weights and configuration stays.

    Raises:
        BundleError: If a bundle is no ensemble, or bundles differ in preprocessing, synthesizer or training data.
    """
    if not bundles:
        raise BundleError("no bundles to join, expected at least one")
    first = _description(bundles[0])
    for other in bundles[1:]:
        if differing := [key for key, value in _description(other).items() if value != first[key]]:
            raise BundleError(
                f"{other.name}: differs from {bundles[0].name} in {', '.join(differing)}; "
                "join bundles that see the same input and were trained on the same data"
            )
    members = [member for bundle in bundles for member in _members(bundle)]
    state = {f"{PREFIX}{index}.{key}": value for index, member in enumerate(members) for key, value in member.items()}
    write_bytes(output / WEIGHTS, save(state))
    inference = read_config(bundles[0], INFERENCE)
    inference["synthesizer"].pop(CALIBRATION, None)
    inference["network"] = plain_ensemble(
        [network for bundle in bundles for network in read_config(bundle, INFERENCE)["network"]["members"]]
    )
    write_json(output / INFERENCE, inference)
    write_json(output / TRAIN, read_config(bundles[0], TRAIN))
    if (bundles[0] / "LICENSE").is_file() and not (output / "LICENSE").exists():
        write_bytes(output / "LICENSE", (bundles[0] / "LICENSE").read_bytes())
    write_json(output / METADATA, _metadata(bundles, output))


def plain_ensemble(members: list[dict[str, Any]]) -> dict[str, Any]:
    """The network of an inference.json whose members are these, and which knows nothing but them."""
    return {"_target_": f"{Ensemble.__module__}.{Ensemble.__qualname__}", "members": members}


def _description(bundle: Path) -> dict[str, Any]:
    """What must be alike."""
    inference = read_config(bundle, INFERENCE)
    network = inference.get("network")
    if not isinstance(network, dict) or not network.get("members"):
        raise BundleError(f"{bundle.name}/{INFERENCE.as_posix()}: network is no ensemble; train it from an ensemble")
    training = _ours(bundle).get("training", {})
    return {
        "preprocessing": inference.get("preprocessing"),
        "synthesizer": {k: v for k, v in inference.get("synthesizer", {}).items() if k != CALIBRATION},
        "train_sha256": training.get("train_sha256"),
        "val_sha256": training.get("val_sha256"),
    }


def _members(bundle: Path) -> list[dict[str, Any]]:
    """The weights of each member."""
    members: dict[int, dict[str, Any]] = {}
    for key, value in load_file(bundle / WEIGHTS).items():
        if not key.startswith(PREFIX):
            continue  # what was fitted to an ensemble is not its members'
        index, _, name = key.removeprefix(PREFIX).partition(".")
        members.setdefault(int(index), {})[name] = value
    return [members[index] for index in sorted(members)]


def _metadata(bundles: Sequence[Path], output: Path) -> Mapping[str, Any]:
    metadata = read_config(bundles[0], METADATA)
    runs = [_ours(bundle) for bundle in bundles]
    metadata["mammosynth"] = {
        "task": runs[0]["task"],
        "default": False,
        "weights_sha256": hash_file(output / WEIGHTS, output.name),
        "training": {
            **{
                key: value
                for key, value in runs[0]["training"].items()
                if key not in ("recipe", "members", "val_in_frame")
            },
            "members": [member for run in runs for member in _known_members(run)],
        },
        "scores": {},
    }
    return metadata


def _known_members(run: Mapping[str, Any]) -> list[Any]:
    """What is known of the members of one bundle; it may be joined itself."""
    if "members" in run["training"]:
        return run["training"]["members"]
    return [
        {
            "recipe": run["training"]["recipe"],
            "weights_sha256": run["weights_sha256"],
            "val_in_frame": run["training"].get("val_in_frame", {}),
        }
    ]


def _ours(bundle: Path) -> dict[str, Any]:
    return read_config(bundle, METADATA)["mammosynth"]
