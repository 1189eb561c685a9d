"""The log never repeats a value of an image's header."""

import errno
import io
import logging
import warnings

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from monailabel_app.gateway.logs import configure_logging, warnings_without_values

PATIENT = "Muster^M"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the product's log writes."""
    stream = io.StringIO()
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(stream)])
    levels = {name: logging.getLogger(name).level for name in ("monailabel", "dicomweb_client", "httpx", "pydicom")}
    configure_logging()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    return stream


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise RuntimeError(f"no number: {text}") from error


def test_a_traceback_tells_places_and_kinds_but_no_value(written: io.StringIO) -> None:
    try:
        _number(PATIENT)
    except RuntimeError as error:
        with_group = ExceptionGroup(PATIENT, [error, OSError(errno.ENOSPC, "No space left", PATIENT)])
        logging.getLogger("a").error("job 7 failed", exc_info=with_group)
    text = written.getvalue()
    assert PATIENT not in text
    assert "job 7 failed\n" in text
    assert "test_logs.py" in text
    assert "return int(text)" in text
    kinds = [
        text.index(f"{kind}\n") for kind in ("ValueError", "RuntimeError", "OSError: No space left", "ExceptionGroup")
    ]
    assert kinds == sorted(kinds)


def test_exceptions_that_caused_each_other_end(written: io.StringIO) -> None:
    one, two = ValueError(PATIENT), KeyError(PATIENT)
    one.__cause__, two.__cause__ = two, one
    logging.getLogger("a").error("odd", exc_info=one)
    assert written.getvalue().count("ValueError") == 1


def test_a_warning_of_pydicom_tells_its_place_and_not_the_value(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.WARN)
    with warnings.catch_warnings(), warnings_without_values():
        warnings.simplefilter("always")
        Dataset().StudyInstanceUID = "Muster^M"
    assert "UserWarning in pydicom/" in caplog.text
    assert "Muster" not in caplog.text


def test_warnings_are_shown_as_before_afterwards() -> None:
    before = warnings.showwarning
    with warnings_without_values():
        assert warnings.showwarning is not before
    assert warnings.showwarning is before
