"""Every choice of a run is checked once, and all that is wrong is told together."""

import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.training.recipe import TrainingRecipe


def test_recipe_names_every_bad_value() -> None:
    with pytest.raises(InvalidParameterError, match=r"'steps' is '0', .*'ema_decay' is '2'.*'noise' is '-1'"):
        ResidualRecipe(steps=0, ema_decay=2, noise=-1)
    with pytest.raises(
        InvalidParameterError, match=r"'batch_size' is '1.5', expected integer.*; parameter 'seed' is 'True'"
    ):
        TrainingRecipe(batch_size=1.5, seed=True)
    with pytest.raises(
        InvalidParameterError, match="'precision' is 'half', expected 'float32', 'bfloat16' or 'float16'"
    ):
        TrainingRecipe(precision="half")
    with pytest.raises(InvalidParameterError, match="'schedule' is '3', expected 'cosine' or 'constant'"):
        TrainingRecipe(schedule=3)


def test_unknown_names_and_bad_values_are_told_together() -> None:
    with pytest.raises(
        InvalidParameterError, match=r"(?=.*'stepps' is unknown, known are: steps, .*noise)(?=.*'seed' is '-1')"
    ):
        ResidualRecipe(**{"stepps": 3, "seed": -1})


def test_text_becomes_a_value_of_its_field() -> None:
    text = {"steps": "3", "noise": "0.25", "schedule": "constant", "learning_rate": "fast"}
    values = ResidualRecipe.from_text(text)
    assert values == {"steps": 3, "noise": 0.25, "schedule": "constant", "learning_rate": "fast"}
    with pytest.raises(InvalidParameterError, match="'learning_rate' is 'fast', expected number"):
        ResidualRecipe(**values)


def test_description_names_every_setting_with_its_value_and_what_is_accepted() -> None:
    lines = ResidualRecipe.describe({"steps": 7}).splitlines()
    assert len(lines) == len(ResidualRecipe().as_json())
    assert lines[0].split() == ["steps=7", "1", "to", "1e+06"]
