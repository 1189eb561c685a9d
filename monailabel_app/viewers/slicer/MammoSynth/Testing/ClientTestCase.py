import unittest

from scenes import SERVER, needs_server

from MammoSynthLib.background import Stopped
from MammoSynthLib.client import Client, ServerError, _parts

_NEVER = "http://127.0.0.1:9"  # the discard port: nobody listens


class _Answer:
    """What `requests` gives, as far as `_parts` looks."""

    def __init__(self, content_type, content):
        self.headers, self.content = {"content-type": content_type}, content


class ClientTestCase(unittest.TestCase):
    def test_every_byte_of_a_multipart_answer_survives(self):
        image = bytes(range(256)) * 3 + b"\r\n--\r\n\n\r"
        body = (
            b'--x\r\nContent-Disposition: form-data; name="params"\r\n'
            b'Content-Type: application/json\r\n\r\n{"a": 1}\r\n'
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.nrrd"\r\n\r\n' + image + b"\r\n--x--\r\n"
        )
        answer = _Answer("multipart/form-data; boundary=x", body)
        self.assertEqual(_parts(answer), {"params": b'{"a": 1}', "image": image})

    def test_an_address_where_nobody_answers_is_told_in_words(self):
        for ask in (Client(_NEVER).info, Client(_NEVER).studies):
            with self.assertRaisesRegex(ServerError, "127.0.0.1:9: no server answers there; check the address"):
                ask()


@needs_server
class LiveClientTestCase(unittest.TestCase):
    def setUp(self):
        self.client = Client(SERVER)

    def test_info_lists_models_with_card_and_parameters(self):
        models = self.client.info()["models"]
        self.assertIn("contrast", models)
        self.assertTrue(models["contrast"]["description"])
        self.assertIn("seed", [one["name"] for one in models["contrast"]["parameters"]])

    def test_studies_are_called_by_date_and_patient_and_images_by_side_and_view(self):
        study = next(study for study in self.client.studies() if "P001" in study.label)
        labels = [image.label for image in self.client.images(study.study_instance_uid)]
        self.assertRegex(study.label, r"^\d{8} .*P001")
        self.assertTrue({"L CC", "L MLO", "R CC", "R MLO"} <= {label[:5].strip() for label in labels}, labels)

    def test_a_recombined_image_is_refused_by_the_server_in_words(self):
        study = next(study for study in self.client.studies() if "P003" in study.label).study_instance_uid
        recombined = next(image for image in self.client.images(study) if "recombined" in image.label)
        with self.assertRaisesRegex(ServerError, "recombined"):
            self.client.infer("contrast", {}, recombined.sop_instance_uid, lambda: False)

    def test_an_image_that_the_archive_lacks_is_not_held(self):
        self.assertFalse(self.client.holds("1.2.3", "1.2.3.4", "1.2.3.4.5"))
        self.assertFalse(self.client.holds("", "", ""))

    def test_a_wrong_parameter_is_told_in_the_words_of_the_server(self):
        with self.assertRaisesRegex(ServerError, "seed is -1, expected a whole number"):
            self.client.infer("contrast", {"seed": -1}, "1.2.3", lambda: False)

    def test_what_is_no_synthesis_server_is_told_in_words(self):
        with self.assertRaisesRegex(ServerError, "is no MammoSynth server"):
            Client(SERVER + "/ohif").info()  # any page, but no JSON

    def test_waiting_for_an_image_can_be_given_up(self):
        study = next(study for study in self.client.studies() if "P001" in study.label).study_instance_uid
        with self.assertRaises(Stopped):
            self.client.infer("contrast", {}, self.client.images(study)[0].sop_instance_uid, lambda: True)


if __name__ == "__main__":
    unittest.main()
