"""`mammosynth token`: who may sign in to a server that asks for tokens."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from monailabel_app.identity import Identity, Role

_DEFAULT_FILE = Path("mammosynth-data/tokens.json")


def add(commands: Any) -> None:
    """Declare the command."""
    description = (
        "Make, list and remove the tokens by which people sign in to `mammosynth serve --token-file FILE`. "
        "A running server knows of a change at once."
    )
    parser = commands.add_parser("token", help="who may sign in to the server", description=description)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    added = actions.add_parser("add", help="make a token and print it, once: only its hash is kept")
    added.add_argument("name", metavar="NAME", help="of the person; goes into the audit log and into segmentations")
    added.add_argument(
        "--role",
        choices=[str(role) for role in Role],
        default=str(Role.USER),
        help="owner: runs the server; user: works with every study; reader: sees only what a reader study shows "
        "(default: %(default)s)",
    )
    added.set_defaults(run=_add)
    actions.add_parser("list", help="name, role and date of every token").set_defaults(run=_list)
    remove = actions.add_parser("remove", help="sign somebody out for good")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_remove)
    for action in actions.choices.values():
        action.add_argument(
            "--token-file", type=Path, default=_DEFAULT_FILE, metavar="FILE", help="(default: %(default)s)"
        )


def _add(args: argparse.Namespace) -> int:
    from monailabel_app.tokens import add_token

    token = add_token(args.token_file, Identity(args.name, Role(args.role)))
    sys.stderr.write(
        f"The token of {args.name} ({args.role}), which is shown only now; keep it like a password. "
        f"It counts where --token-file {args.token_file} is served.\n"
    )
    sys.stdout.write(f"{token}\n")
    return 0


def _list(args: argparse.Namespace) -> int:
    from monailabel_app.tokens import read_tokens

    for each in read_tokens(args.token_file):
        sys.stdout.write(f"{each.role:6}  {each.created}  {each.name}\n")
    return 0


def _remove(args: argparse.Namespace) -> int:
    from monailabel_app.tokens import remove_token

    remove_token(args.token_file, args.name)
    sys.stderr.write(f"{args.name} cannot sign in any more.\n")
    return 0
