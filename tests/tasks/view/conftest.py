"""A view model of painted breasts, fitted once."""

import pytest

from mammosynth.bundle import Bundle
from mammosynth.preprocessing.look import Look
from mammosynth.task import Rendering
from mammosynth.tasks.view.network import ViewNetwork
from mammosynth.tasks.view.objectives.expected import ExpectedObjective, ExpectedRecipe
from mammosynth.tasks.view.specification import SPECIFICATION
from mammosynth.tasks.view.synthesizer import ViewSynthesizer
from tests.support.models import bundle_of
from tests.support.view_pairs import view_case


@pytest.fixture(scope="session")
def fitted() -> ExpectedObjective:
    """An objective whose network knows twelve breasts of each look."""
    train = [view_case(number, look) for look in Look for number in range(12)]
    val = [view_case(number, Look.FILM) for number in (20, 21)]
    return ExpectedObjective(train, val, ViewNetwork(), ExpectedRecipe())


@pytest.fixture(scope="session")
def synthesizer(fitted: ExpectedObjective) -> ViewSynthesizer:
    """With the fitted network."""
    network = fitted.networks["generator"]
    assert isinstance(network, ViewNetwork)
    return ViewSynthesizer(network.eval())


@pytest.fixture(scope="session")
def bundle(synthesizer: ViewSynthesizer) -> Bundle:
    """The model of both renderings."""
    return bundle_of(synthesizer, name="breast_view", task=SPECIFICATION, renderings=tuple(Rendering))
