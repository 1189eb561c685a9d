"""Errors that only a server knows, and the HTTP status of every error that is meant for a person."""

from pydantic import ValidationError

from mammosynth.errors import (
    BundleError,
    ConflictError,
    InvalidParameterError,
    MammoSynthError,
    MissingAttributeError,
    NotFoundError,
    OutputError,
    ProtocolError,
    UnreadableImageError,
    UnsupportedImageError,
)
from mammosynth.parallel.pool_errors import PoolError


class PacsError(MammoSynthError):
    """The DICOMweb archive does not answer, or refuses."""


class OptionsError(MammoSynthError):
    """A command-line or environment setting cannot be used."""


_STATUS: tuple[tuple[type[MammoSynthError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (PacsError, 502),
    (BundleError, 503),
    (PoolError, 503),
    (OutputError, 507),
    (InvalidParameterError, 422),
    (ProtocolError, 422),
    (MissingAttributeError, 422),
    (UnsupportedImageError, 422),
    (UnreadableImageError, 422),
)


def http_status(error: MammoSynthError) -> int:
    """The HTTP status that fits the error; 400 for kinds without one of their own."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 400)


def field_problems(error: ValidationError, *within: str) -> str:
    """What is wrong with which fields, each by its whole path.

    Args:
        error: What pydantic found.
        within: Where the value lies in the request, from outside.
    """
    return "; ".join(f"{'.'.join(map(str, (*within, *each['loc'])))}: {each['msg']}" for each in error.errors())
