"""Many trained bundles in few files of bounded size: for a machine that gives back only that.

Weights of all bundles lie in `bundles-1.safetensors`, `bundles-2.safetensors`, ..., a large bundle in several of them;
the first one holds what else belongs to them (configuration, card, licence) as text in its header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save

from mammosynth.atomic import write_bytes
from mammosynth.bundle import METADATA, WEIGHTS, hash_file, read_config
from mammosynth.errors import BundleError

MOST_BYTES = 15 * 2**20
"""Of the tensors of a file: with its header it stays under 16 MiB."""
_FILES, _TEXTS = "bundles-*.safetensors", "texts"
_KEPT = ("configs/*.json", "docs/*.md", "docs/*.txt", "LICENSE")

State = dict[str, torch.Tensor]


def pack_bundles(bundles: Sequence[Path], folder: Path) -> list[Path]:
    """Write bundles of different names into one folder of files; those of before are replaced.

    Args:
        bundles: Folders that training wrote.
        folder: Of the files.

    Returns:
        The files.

    Raises:
        OutputError: If one cannot be written.
    """
    texts = {bundle.name: _texts(bundle) for bundle in bundles}
    written = []
    for number, state in enumerate(_split(bundles), start=1):
        header = {_TEXTS: json.dumps(texts)} if number == 1 else None
        written.append(folder / _FILES.replace("*", str(number)))
        write_bytes(written[-1], save(state, header))
    for path in set(folder.glob(_FILES)) - set(written):
        path.unlink()
    return written


def unpack_bundles(folder: Path, output: Path) -> list[Path]:
    """Write the bundles of a folder of files, each into a folder of its name.

    Args:
        folder: Of the files.
        output: Where the bundles' folders are made.

    Raises:
        BundleError: If files are missing or belong to different calls of `pack_bundles`.
    """
    texts: dict[str, Mapping[str, str]] = {}
    states: dict[str, State] = {}
    for path in sorted(folder.glob(_FILES)):
        with safe_open(path, "pt") as file:
            texts.update(json.loads((file.metadata() or {}).get(_TEXTS, "{}")))
        for key, value in load_file(path).items():
            name, _, own = key.partition("/")
            states.setdefault(name, {})[own] = value
    if not texts:
        raise BundleError(f"{folder.name}: holds no packed bundles, expected {_FILES.replace('*', '1')}")
    return [_write(output / name, texts[name], states.get(name, {})) for name in texts]


def _texts(bundle: Path) -> dict[str, str]:
    found = [path for pattern in _KEPT for path in sorted(bundle.glob(pattern))]
    return {path.relative_to(bundle).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _split(bundles: Sequence[Path]) -> list[State]:
    """All weights, in order, in states of bounded size."""
    states: list[State] = [{}]
    size = 0
    for bundle in bundles:
        for key, value in load_file(bundle / WEIGHTS).items():
            if states[-1] and size + value.nbytes > MOST_BYTES:
                states.append({})
                size = 0
            states[-1][f"{bundle.name}/{key}"] = value
            size += value.nbytes
    return states


def _write(bundle: Path, texts: Mapping[str, str], state: State) -> Path:
    write_bytes(bundle / WEIGHTS, save(state))
    for path, text in texts.items():
        write_bytes(bundle / path, text.encode())
    expected = read_config(bundle, METADATA)["mammosynth"].get("weights_sha256")
    if hash_file(bundle / WEIGHTS, bundle.name) != expected:
        raise BundleError(
            f"{bundle.name}: weights are missing from the files, or are of another time; get all files of one folder"
        )
    return bundle
