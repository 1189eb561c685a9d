import unittest

from MammoSynthLib.parameters import Parameters


class ParametersTestCase(unittest.TestCase):
    def test_an_address_without_its_protocol_is_refused_in_words(self):
        with self.assertRaisesRegex(ValueError, "'127.0.0.1:8000', expected one such as http://127.0.0.1:8000"):
            Parameters(address="127.0.0.1:8000")


if __name__ == "__main__":
    unittest.main()
