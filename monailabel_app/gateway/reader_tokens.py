"""Routes below /reading/tokens: an owner lets readers sign in, and no longer.

Readers' tokens only: an owner's are made and removed at the server's terminal (`mammosynth token`), so that nobody can
lock themselves out, or make another owner, from a browser that was left open.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request

from mammosynth.errors import ConflictError
from monailabel_app.errors import NotFoundError
from monailabel_app.gateway.guard import identity_of
from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import NamedToken, add_token, read_tokens, remove_token

_NO_TOKENS = "this server asks nobody for a token; start it with --token-file FILE to let readers sign in by name"


def create_reader_tokens(file: Path | None) -> APIRouter:
    """The routes.

    Args:
        file: Of the tokens by which people sign in; None: the server asks for none.
    """
    router = APIRouter(prefix="/reading/tokens")

    @router.get("")
    def tokens(request: Request) -> dict[str, Any]:
        """Who asks, and whose tokens there are."""
        found = read_tokens(file) if file else ()
        return {
            "you": identity_of(request).name,
            "asks_for_tokens": file is not None,
            "tokens": [{"name": each.name, "role": each.role, "created": each.created} for each in found],
        }

    @router.post("/{name}", status_code=201)
    def make(name: str) -> dict[str, str]:
        """A token for a reader, which is told only now."""
        if file is None:
            raise ConflictError(_NO_TOKENS)
        if _token_of(file, name):
            raise ConflictError(f"{name} has a token already; revoke it first if it was lost")
        return {"name": name, "token": add_token(file, Identity(name, Role.READER))}

    @router.delete("/{name}")
    def revoke(name: str) -> dict[str, str]:
        """Sign a reader out for good."""
        if file is None:
            raise ConflictError(_NO_TOKENS)
        token = _token_of(file, name)
        if token is None:
            raise NotFoundError(f"{name[:64]!r} has no token; GET /reading/tokens tells who has one")
        if token.role is not Role.READER:
            raise ConflictError(
                f"{name} is no reader but {token.role}; remove that token at the server: "
                "mammosynth token remove NAME --token-file FILE"
            )
        remove_token(file, name)
        return {"name": name}

    return router


def _token_of(file: Path, name: str) -> NamedToken | None:
    return next((each for each in read_tokens(file) if each.name == name), None)
