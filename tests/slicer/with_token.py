"""A server that asks for a token."""

import os
import unittest

from MammoSynthLib.client import Client, ServerError
from scenes import SERVER


class TokenTestCase(unittest.TestCase):
    def test_with_it_models_and_studies_are_told(self):
        client = Client(SERVER, os.environ["MAMMOSYNTH_TOKEN"])
        assert "contrast" in client.info()["models"]
        assert client.studies() == []

    def test_without_it_the_server_says_that_one_is_needed(self):
        for ask in (Client(SERVER).info, Client(SERVER, "another one, as long").studies):
            self.assertRaisesRegex(ServerError, "^a token is needed", ask)  # noqa: PT027 - Slicer has no pytest
