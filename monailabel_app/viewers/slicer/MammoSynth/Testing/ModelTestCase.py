import unittest

from MammoSynthLib.model import IMAGE, JSON, LABEL_MAP, Model, fits, names_of

_SCORES = {
    "split": "test",
    "images": 56,
    "patients": 31,
    "measures": [{"name": "PSNR", "value": 20.12, "interval": [19.0, 21.1], "unit": "dB"}],
}
_LISTED = {
    "title": "Mirror",
    "description": "Upside down.",
    "placement": "new_study",
    "slots": [
        {"role": "source", "kind": "image", "description": "Any mammogram.", "required": True},
        {
            "role": "lesions",
            "kind": "label_map",
            "description": "Lesions drawn on it.",
            "required": True,
            "on": "source",
            "classes": {"1": "malignant", "2": "benign"},
        },
        {"role": "remark", "kind": "json", "description": "A word.", "required": False, "json_schema": {}},
        {"role": "other_view", "kind": "image", "description": "Of the same breast.", "required": False},
    ],
    "parameters": {
        "type": "object",
        "properties": {
            "gain": {"type": "number", "default": 1.0, "minimum": 0.0, "maximum": 2.0},
            "rendering": {"type": "string", "default": "expected", "enum": ["expected", "sampled"]},
            "seed": {"type": "integer", "default": 0, "minimum": 0, "maximum": 2**31 - 1, "advanced": True},
        },
        "required": [],
    },
}


class ModelTestCase(unittest.TestCase):
    def setUp(self):
        self.model = Model.listed("mirror", _LISTED)

    def test_slots_are_known_by_their_kind_and_the_others_come_after(self):
        self.assertEqual(self.model.first(IMAGE).role, "source")
        self.assertEqual(self.model.first(LABEL_MAP).classes, {1: "malignant", 2: "benign"})
        self.assertEqual([slot.role for slot in self.model.more()], ["remark", "other_view"])
        self.assertEqual([slot.kind for slot in self.model.more()], [JSON, IMAGE])
        self.assertEqual(self.model.more()[1].label, "Other view")

    def test_advanced_parameters_are_folded_away(self):
        self.assertEqual(list(self.model.offered(advanced=False)), ["gain", "rendering"])
        self.assertEqual(list(self.model.offered(advanced=True)), ["seed"])

    def test_a_rendering_without_another_one_is_not_offered(self):
        only = {"rendering": {"type": "string", "default": "expected", "enum": ["expected"]}}
        self.assertEqual(Model("m", properties=only).offered(advanced=False), {})

    def test_what_is_required_is_asked_for_in_words(self):
        with self.assertRaisesRegex(ValueError, r"Mirror cannot do without: Lesions \(Lesions drawn on it.\); choose"):
            self.model.check({"source": "a node", "lesions": None})
        self.model.check({"source": "a node", "lesions": "another"})

    def test_models_of_one_task_are_told_apart_by_their_names(self):
        models = [Model("contrast", "Contrast"), Model("narrow", "Contrast"), self.model]
        self.assertEqual(names_of(models), ["Contrast", "Contrast (narrow)", "Mirror"])

    def test_a_value_of_another_model_fits_only_within_the_limits(self):
        gain, rendering, seed = self.model.properties.values()
        self.assertTrue(all((fits(2, gain), fits("sampled", rendering), fits(7, seed))))
        for value, described in (
            (2.5, gain),
            (True, gain),
            ("whole", rendering),
            (1.5, seed),
            (-1, seed),
            (None, seed),
        ):
            self.assertFalse(fits(value, described), value)

    def test_a_card_says_what_a_model_does_and_how_well_that_was_measured(self):
        lines = Model("m", description="Contrast.", scores=_SCORES).card().splitlines()
        self.assertEqual(lines, ["Contrast.", "On 56 images of 31 patients (test): PSNR 20.1 dB [19, 21.1]"])

    def test_one_image_of_one_patient_is_no_plural(self):
        card = Model("m", description="Contrast.", scores={**_SCORES, "images": 1, "patients": 1}).card()
        self.assertIn("On 1 image of 1 patient (test): ", card)

    def test_a_model_without_scores_has_a_card_of_one_line(self):
        self.assertEqual(Model("m", description="Contrast.").card(), "Contrast.")


if __name__ == "__main__":
    unittest.main()
