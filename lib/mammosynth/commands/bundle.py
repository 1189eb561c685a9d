"""`mammosynth bundle`: install a model where the server finds it, list those that are known, draw first weights."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from mammosynth.errors import BundleError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_DATA_DIR = Path("mammosynth-data")


def add(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser("bundle", help="install, list or begin models")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    install = actions.add_parser("install", help="copy a trained model to where the server serves it from")
    install.add_argument("folder", type=Path, metavar="FOLDER", help="for example what `mammosynth train` wrote")
    install.add_argument("--name", help="under which it is served (default: the folder's name)")
    install.add_argument("--replace", action="store_true", help="replace a model of that name")
    install.set_defaults(run=_install)
    known = actions.add_parser("list", help="name, task and version of every model")
    known.set_defaults(run=_list)
    for action in (install, known):
        action.add_argument(
            "--data-dir", type=Path, default=_DATA_DIR, help="of `mammosynth serve` (default: %(default)s)"
        )
    initialize = actions.add_parser("initialize", help="draw random weights for a bundle that has none")
    initialize.add_argument("folder", type=Path, metavar="FOLDER", help="holds configs/")
    initialize.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    initialize.set_defaults(run=_initialize)


def _install(args: argparse.Namespace) -> int:
    from mammosynth.bundle import find_bundle, load_bundle
    from mammosynth.installation import install_bundle

    folder = find_bundle(args.folder)
    name = args.name or folder.resolve().name
    if not _NAME.fullmatch(name):
        raise BundleError(f"--name is {name[:80]!r}, expected letters, digits and '_', beginning with a letter")
    bundle = load_bundle(folder)  # refuses what cannot be served
    target = args.data_dir / "model_zoo" / name
    install_bundle(folder, target, replace=args.replace)
    print(f"Installed {name}: {bundle.task.name}, version {bundle.version}.")
    print(f"It is served at the next start of: mammosynth serve --data-dir {args.data_dir}")
    print(f"Commands take it as: --bundle {target}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from mammosynth.bundle import METADATA, WEIGHTS, default_model_zoo, find_bundles, read_config

    installed = args.data_dir / "model_zoo"
    for name, folder in find_bundles(default_model_zoo(), *([installed] if installed.is_dir() else [])).items():
        metadata = read_config(folder, METADATA)
        ours = metadata.get("mammosynth") or {}
        marks = [
            *(["default"] if ours.get("default") else []),
            *(["without weights"] if not (folder / WEIGHTS).is_file() else []),
            *(["installed"] if folder.parent == installed else []),
        ]
        print(f"{name}  {ours.get('task')}  {metadata.get('version')}  {', '.join(marks)}".rstrip())
    return 0


def _initialize(args: argparse.Namespace) -> int:
    from mammosynth.installation import initialize_weights

    weights = initialize_weights(args.folder, args.seed)
    print(f"Wrote {weights}: random weights; train them")
    return 0
