"""The log never repeats a value of an image's header."""

import warnings

import pytest
from pydicom import config
from pydicom.dataset import Dataset

from monailabel_app.gateway.logs import warnings_without_values


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
