"""Which models are served, and in which order."""

import shutil

import pytest

from mammosynth.bundle import default_model_zoo
from monailabel_app.app import load_bundles
from monailabel_app.options import AppOptions


@pytest.mark.slow
def test_the_default_model_of_a_task_goes_by_its_name_and_comes_first(tmp_path):
    models = load_bundles(AppOptions((default_model_zoo(),), trained_models=tmp_path))
    assert list(models)[:2] == ["contrast", "breast_cem_cyclegan"]
    assert models["contrast"].name == "breast_cem_residual"


def test_a_model_without_weights_is_not_served_and_a_damaged_one_stops_no_other(tmp_path, caplog):
    zoo = tmp_path / "zoo"
    shutil.copytree(default_model_zoo(), zoo)
    (zoo / "breast_cem_cyclegan_narrow" / "configs" / "inference.json").write_text("{")
    models = load_bundles(AppOptions((zoo,), trained_models=tmp_path / "none"))
    assert "contrast" in models
    assert "breast_cem_cyclegan_narrow" not in models
    assert "breast_cem_cyclegan_narrow is not served" in caplog.text
