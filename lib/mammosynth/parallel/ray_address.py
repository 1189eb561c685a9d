"""Where a Ray cluster is, without Ray: whether anybody listens there, and what to say if not."""

from __future__ import annotations

import socket

from mammosynth.errors import InvalidParameterError

_PATIENCE_S = 5.0


def check_answers(address: str) -> None:
    """Refuse an address where nobody listens at once; Ray itself would ask for minutes.

    Args:
        address: HOST:PORT; words such as "auto" pass, since Ray looks them up.

    Raises:
        InvalidParameterError: With what to do.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        raise not_there(address, error) from error


def not_there(address: str, error: Exception) -> InvalidParameterError:
    """That no cluster answers at an address, and what to do."""
    return InvalidParameterError(
        f"--ray-address {address}: no Ray cluster answers there ({str(error).splitlines()[0]}); give the one that `ray "
        "start --head` tells, and run on one of its machines"
    )
