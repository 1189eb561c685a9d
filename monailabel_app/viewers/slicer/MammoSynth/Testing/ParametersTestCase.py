import unittest

from MammoSynthLib.parameters import Parameters, card, mask_parameter, offered

_DESCRIBED = [
    {"name": "seed", "type": "integer"},
    {"name": "view_position", "type": "string"},
    {"name": "sop_instance_uid", "type": "string"},
    {"name": "lesions", "type": "segmentation"},
]
_SCORES = {
    "split": "test",
    "images": 56,
    "patients": 31,
    "measures": [{"name": "PSNR", "value": 20.12, "interval": [19.0, 21.1], "unit": "dB"}],
}


class ParametersTestCase(unittest.TestCase):
    def test_an_address_without_its_protocol_is_refused_in_words(self):
        with self.assertRaisesRegex(ValueError, "'127.0.0.1:8000', expected one such as http://127.0.0.1:8000"):
            Parameters(address="127.0.0.1:8000")

    def test_the_image_is_never_asked_for_and_view_and_side_are_folded_away(self):
        self.assertEqual([one["name"] for one in offered(_DESCRIBED, advanced=False)], ["seed", "lesions"])
        self.assertEqual([one["name"] for one in offered(_DESCRIBED, advanced=True)], ["view_position"])

    def test_only_a_model_with_a_segmentation_parameter_asks_for_lesions(self):
        self.assertEqual(mask_parameter(_DESCRIBED), "lesions")
        self.assertIsNone(mask_parameter(_DESCRIBED[:3]))

    def test_a_card_says_what_a_model_does_and_how_well_that_was_measured(self):
        lines = card({"description": "Contrast.", "scores": _SCORES}).splitlines()
        self.assertEqual(lines, ["Contrast.", "On 56 images of 31 patients (test): PSNR 20.1 dB [19, 21.1]"])

    def test_a_model_without_scores_has_a_card_of_one_line(self):
        self.assertEqual(card({"description": "Contrast.", "scores": {}}), "Contrast.")


if __name__ == "__main__":
    unittest.main()
