"""Every choice of a run is checked once, and all that is wrong is told together."""

import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.training.recipe import ResidualRecipe, TrainingRecipe


def test_recipe_names_every_bad_value() -> None:
    with pytest.raises(InvalidParameterError, match=r"steps is 0, .*ema_decay is 2.*noise is -1"):
        ResidualRecipe(steps=0, ema_decay=2, noise=-1)
    with pytest.raises(InvalidParameterError, match=r"batch_size is 1.5, expected an integer; seed is True"):
        TrainingRecipe(batch_size=1.5, seed=True)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="precision is 'half', expected float32 or bfloat16 or float16"):
        TrainingRecipe(precision="half")
    with pytest.raises(InvalidParameterError, match="schedule is 3, expected a word"):
        TrainingRecipe(schedule=3)  # type: ignore[arg-type]


def test_unknown_names_and_bad_values_are_told_together() -> None:
    with pytest.raises(InvalidParameterError, match=r"unknown stepps; known are steps, .*noise.*; .*seed is -1"):
        ResidualRecipe.from_values({"stepps": 3, "seed": -1})


def test_text_becomes_a_value_of_its_field() -> None:
    text = {"steps": "3", "noise": "0.25", "schedule": "constant", "learning_rate": "fast"}
    values = ResidualRecipe.parse(text)
    assert values == {"steps": 3, "noise": 0.25, "schedule": "constant", "learning_rate": "fast"}
    with pytest.raises(InvalidParameterError, match="learning_rate is 'fast', expected a number"):
        ResidualRecipe.from_values(values)


def test_description_names_every_setting_with_its_value_and_what_is_accepted() -> None:
    lines = ResidualRecipe.describe({"steps": 7}).splitlines()
    assert len(lines) == len(ResidualRecipe().as_json())
    assert lines[0].split() == ["steps=7", "1", "to", "1e+06"]
