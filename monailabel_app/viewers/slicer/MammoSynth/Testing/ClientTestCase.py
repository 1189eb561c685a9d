import io
import json
import tempfile
import unittest
from pathlib import Path

import requests
from scenes import SERVER, needs_server

from MammoSynthLib.background import Stopped
from MammoSynthLib.client import Client, ServerError, _parts

_NEVER = "http://127.0.0.1:9"  # the discard port: nobody listens


class _Answer:
    """What `requests` gives, as far as `_parts` looks."""

    def __init__(self, content_type, content):
        self.headers, self.content = {"content-type": content_type}, content


class Recorded(requests.adapters.BaseAdapter):
    """A server that gives these answers, one after the other, and keeps what it was sent."""

    def __init__(self, *answers):
        super().__init__()
        self.answers, self.sent = list(answers), []

    def send(self, request, **_):
        self.sent.append(request)
        answer = requests.Response()
        status, content, kind = self.answers.pop(0)
        answer.status_code, answer.raw, answer.request = status, io.BytesIO(content), request
        answer.headers["content-type"] = kind
        return answer

    def close(self):
        pass

    @staticmethod
    def json(value, status=200):
        return status, json.dumps(value).encode(), "application/json"


def recorded(*answers):
    """A client of such a server, and the server."""
    client, server = Client("http://recorded"), Recorded(*answers)
    client._session.mount("http://recorded", server)
    return client, server


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

    def test_models_that_are_not_ours_are_left_out(self):
        ours = {"slots": [], "parameters": {"type": "object", "properties": {}}}
        client, _ = recorded(
            Recorded.json({"name": "n", "models": {"contrast": ours, "spleen": {"type": "segmentation"}}})
        )
        self.assertEqual(list(client.info()["models"]), ["contrast"])

    def test_an_order_names_model_inputs_and_parameters_and_is_asked_about_until_it_is_done(self):
        done = {"state": "done", "progress": 1.0, "message": "done", "result": {"outputs": []}}
        client, server = recorded(
            Recorded.json({"job_id": "7"}, 202),
            Recorded.json({"state": "running", "progress": 0.5, "message": "synthesizing"}),
            Recorded.json(done),
        )
        order = {"model": "mirror", "inputs": {"remark": {"text": "x"}}, "parameters": {"seed": 3}}
        told = []
        result = client.synthesize(order, lambda fraction, message: told.append((fraction, message)), lambda: False)
        self.assertEqual(result, {"outputs": []})
        self.assertEqual(told, [(0.5, "synthesizing"), (1.0, "done")])
        self.assertEqual([request.path_url for request in server.sent], ["/synthesis", "/synthesis/7", "/synthesis/7"])
        self.assertEqual(json.loads(server.sent[0].body), order)

    def test_a_failed_job_says_the_reason_of_the_server(self):
        failed = {"state": "failed", "progress": 0.1, "message": "1.2.3: is a spot view"}
        client, _ = recorded(Recorded.json({"job_id": "7"}, 202), Recorded.json(failed))
        with self.assertRaisesRegex(ServerError, "1.2.3: is a spot view"):
            client.synthesize({}, lambda *_: None, lambda: False)

    def test_without_an_archive_a_file_is_sent_with_the_other_inputs_and_parameters(self):
        body = (
            b'--x\r\nContent-Disposition: form-data; name="params"\r\n\r\n{"provenance": {"seed": 3}}\r\n'
            b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.nrrd"\r\n\r\nNRRD\r\n--x--\r\n'
        )
        client, server = recorded((200, body, "multipart/form-data; boundary=x"))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "source.nrrd"
            file.write_bytes(b"pixels of the source")
            made = client.infer("mirror", {"seed": 3}, {"remark": {"text": "x"}}, file, lambda: False)
        self.assertEqual(made, (b"NRRD", {"provenance": {"seed": 3}}))
        (request,) = server.sent
        self.assertEqual(request.path_url, "/infer/mirror?output=all")
        parts = _parts(_Answer(request.headers["content-type"], request.body))
        self.assertEqual(json.loads(parts["params"]), {"seed": 3, "inputs": {"remark": {"text": "x"}}})
        self.assertEqual(parts["file"], b"pixels of the source")

    def test_an_address_where_nobody_answers_is_told_in_words(self):
        for ask in (Client(_NEVER).info, Client(_NEVER).studies):
            with self.assertRaisesRegex(ServerError, "127.0.0.1:9: no server answers there; check the address"):
                ask()


@needs_server
class LiveClientTestCase(unittest.TestCase):
    def setUp(self):
        self.client = Client(SERVER)

    def test_info_lists_models_with_card_slots_and_parameters(self):
        model = self.client.info()["models"]["contrast"]
        self.assertTrue(model["description"])
        self.assertEqual((model["title"], model["placement"]), ("Contrast", "on_source"))
        slots = [(slot["role"], slot["kind"], slot["required"]) for slot in model["slots"]]
        self.assertEqual(slots, [("source", "image", True), ("lesions", "label_map", False)])
        self.assertTrue(model["parameters"]["properties"]["seed"]["advanced"])

    def test_studies_are_called_by_date_and_patient_and_images_by_side_and_view(self):
        study = next(study for study in self.client.studies() if "P001" in study.label)
        labels = [image.label for image in self.client.images(study.study_instance_uid)]
        self.assertRegex(study.label, r"^\d{8} .*P001")
        self.assertTrue({"L CC", "L MLO", "R CC", "R MLO"} <= {label[:5].strip() for label in labels}, labels)

    def test_a_recombined_image_is_refused_by_the_server_in_words(self):
        study = next(study for study in self.client.studies() if "P003" in study.label).study_instance_uid
        recombined = next(image for image in self.client.images(study) if "recombined" in image.label)
        with self.assertRaisesRegex(ServerError, "recombined"):
            self.client.infer("contrast", {}, {"source": recombined.sop_instance_uid}, None, lambda: False)

    def test_an_image_that_the_archive_lacks_is_not_held(self):
        self.assertFalse(self.client.holds("1.2.3", "1.2.3.4", "1.2.3.4.5"))
        self.assertFalse(self.client.holds("", "", ""))

    def test_a_wrong_parameter_is_told_in_the_words_of_the_server(self):
        with self.assertRaisesRegex(ServerError, "'seed' is '-1', expected greater than or equal to 0"):
            self.client.infer("contrast", {"seed": -1}, {"source": "1.2.3"}, None, lambda: False)

    def test_what_is_no_synthesis_server_is_told_in_words(self):
        with self.assertRaisesRegex(ServerError, "is no MammoSynth server"):
            Client(SERVER + "/ohif").info()  # any page, but no JSON

    def test_waiting_for_an_image_can_be_given_up(self):
        study = next(study for study in self.client.studies() if "P001" in study.label).study_instance_uid
        with self.assertRaises(Stopped):
            image = self.client.images(study)[0].sop_instance_uid
            self.client.infer("contrast", {}, {"source": image}, None, lambda: True)


if __name__ == "__main__":
    unittest.main()
