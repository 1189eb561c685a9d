"""What may go into the log: little of a kind, and no value of an image's header."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pythonjsonlogger.json import JsonFormatter

logger = logging.getLogger(__name__)
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_JSON = "%(asctime)s %(levelname)s %(name)s %(message)s"
_JSON_NAMES = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "exception"}
_SAY_LESS = ("monailabel", "dicomweb_client", "httpx")
_SAY_VALUES = ("pydicom",)  # repeat what a header holds; what is wrong with a file is said by our own errors


def configure_logging(*, as_json: bool = False) -> None:
    """Write warnings and worse to the terminal, few of a kind.

    Args:
        as_json: A line of JSON for each: time, level, logger, message, exception.
    """
    logging.basicConfig(level=logging.WARNING, format=_FORMAT)
    for handler in logging.getLogger().handlers:
        handler.addFilter(FewOfAKind())
        handler.setFormatter(_JsonPlacesOnly(_JSON, rename_fields=_JSON_NAMES) if as_json else PlacesOnly(_FORMAT))
    for name in _SAY_LESS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _SAY_VALUES:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def warnings_without_values() -> Iterator[None]:
    """Log of Python's warnings their kind and place alone: pydicom's repeat the value that they are about.

    For the whole process, all its threads included.
    """
    before = warnings.showwarning
    warnings.showwarning = _show_place
    try:
        yield
    finally:
        warnings.showwarning = before


def _show_place(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    logger.warning("%s in %s, line %d", category.__name__, "/".join(Path(filename).parts[-2:]), lineno)


class PlacesOnly(logging.Formatter):
    """Tells of an exception where it was raised and its class: what it says may quote a value of a header."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        """The traceback of an exception and of those that it came from, the first one first."""
        return "".join(_places(ei[1], set())).rstrip()


class _JsonPlacesOnly(PlacesOnly, JsonFormatter):
    """The same as a line of JSON."""


def _places(error: BaseException | None, told: set[int]) -> Iterator[str]:
    if error is None or id(error) in told:
        return
    told.add(id(error))
    yield from _places(error.__cause__ or (None if error.__suppress_context__ else error.__context__), told)
    for member in error.exceptions if isinstance(error, BaseExceptionGroup) else ():
        yield from _places(member, told)
    yield from traceback.format_tb(error.__traceback__)
    reason = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    yield f"{type(error).__module__}.{type(error).__qualname__}{reason}\n"


class FewOfAKind(logging.Filter):
    """Lets some records of a kind pass in every interval, and says with the next one how many did not.

    A kind is a logger and a message before its arguments are put in.

    Args:
        most: Records of a kind in an interval.
        interval_s: Its length.
    """

    def __init__(self, most: int = 20, interval_s: float = 60.0) -> None:
        super().__init__()
        self._most = most
        self._interval_s = interval_s
        self._seen: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0, 0])

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if len(self._seen) > 1000:
            self._seen.clear()
        kind = record.name, str(record.msg)[:200]
        begun, passed, left_out = self._seen[kind]
        if record.created - begun >= self._interval_s:
            if left_out:
                record.msg = f"{record.msg} ({left_out:.0f} more like this were left out)"
            begun, passed, left_out = record.created, 0, 0
        is_written = passed < self._most
        self._seen[kind] = [begun, passed + 1, left_out] if is_written else [begun, passed, left_out + 1]
        return is_written
