"""The toy task, installed once."""

import pytest

from tests.support.toy import Toy, install_toy


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    return install_toy(tmp_path_factory.mktemp("toy"))
