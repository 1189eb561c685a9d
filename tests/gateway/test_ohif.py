"""The viewer as it is served: its configuration, our modules, the address of a result."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from monailabel_app.gateway.ohif import EXTENSIONS, ROOT, create_ohif, viewer_url
from monailabel_app.gateway.refusals import answer_errors
from tests.support.asgi import as_asked_by


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    app.include_router(create_ohif())
    answer_errors(app)
    return TestClient(as_asked_by(app), follow_redirects=False)


@pytest.mark.parametrize("name", sorted(path.name for path in EXTENSIONS.glob("*.js")))
def test_every_module_and_what_it_imports_is_served_and_never_kept(client, name):
    answer = client.get(f"/ohif/extensions/{name}")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-store"
    for imported in re.findall(r"^(?:import|\} from|.* from) '\./(.+)';$", answer.text, re.MULTILINE):
        assert (EXTENSIONS / imported).is_file(), f"{name} imports {imported}"


def test_what_is_named_by_its_content_is_kept_and_nothing_else(client):
    names = [path.name for path in ROOT.iterdir() if path.is_file()]
    bundle = next(name for name in names if name.startswith("app.bundle.") and name.endswith(".js"))
    codec = next(name for name in names if name.endswith(".wasm"))
    assert all("immutable" in client.get(f"/ohif/{name}").headers["cache-control"] for name in (bundle, codec))
    for other in ("", "app.bundle.css", "init-service-worker.js", "app-config.js"):
        assert "immutable" not in client.get(f"/ohif/{other}").headers.get("cache-control", "")


@pytest.mark.parametrize("name", ["..%2F..%2Fapp.py", "%2e%2e%2f%2e%2e%2fapp.py"])
def test_nothing_outside_the_folder_is_served(client, name):
    assert "MammoSynth" not in client.get(f"/ohif/extensions/{name}").text


def test_every_icon_that_the_viewer_names_is_there(client):
    icons = client.get("/ohif/manifest.json").json()["icons"]
    assert len(icons) > 1
    for icon in icons:
        answer = client.get(icon["src"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), icon


def test_a_missing_module_is_named(client):
    answer = client.get("/ohif/extensions/other.js")
    assert answer.status_code == 404
    assert "'other.js', expected one of" in answer.json()["detail"]


def test_the_viewer_is_told_to_load_extension_and_mode_that_exist(client):
    text = client.get("/ohif/app-config.js").text
    config = json.loads(text.removeprefix("window.config = ").removesuffix(";"))
    addresses = config["extensions"] + config["modes"]
    assert addresses == ["/ohif/extensions/mammosynth.js", "/ohif/extensions/synthesis-mode.js"]
    assert [client.get(address).status_code for address in addresses] == [200, 200]


def test_a_result_opens_in_the_synthesis_mode_with_its_pair_hung():
    address = urlsplit(viewer_url("1.2", ["1.2.1", "1.2.2"]))
    assert address.path == "/ohif/synthesis"
    assert parse_qs(address.query) == {
        "StudyInstanceUIDs": ["1.2"],
        "initialSeriesInstanceUID": ["1.2.1,1.2.2"],
        "hangingprotocolId": ["mammosynth.pair"],
    }
    assert parse_qs(urlsplit(viewer_url("1.2", ["1.2.1"])).query)["hangingprotocolId"] == ["mammosynth.single"]
