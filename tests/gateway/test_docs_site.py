"""The documentation from this server: built or not, nothing beside it, and only its own scripts."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from fastapi import FastAPI

from monailabel_app.gateway.answers import SafeHeaders
from monailabel_app.gateway.docs_site import create_docs_site
from tests.support.asgi import AsgiClient

SCRIPT = "document.title = 'ours'"


@pytest.fixture
def client(tmp_path: Path) -> AsgiClient:
    site = tmp_path / "site"
    (site / "how-to").mkdir(parents=True)
    (site / "index.html").write_text(f"<script>{SCRIPT}</script>")
    (site / "how-to" / "deploy.html").write_text("<p>no script</p>")
    (site / "page.css").write_text("p {}")
    (tmp_path / "secret").write_text("secret")
    return _over(site)


def _over(site: Path) -> AsgiClient:
    app = FastAPI()
    app.include_router(create_docs_site(site))
    return AsgiClient(SafeHeaders(app))


def test_a_page_may_run_its_own_scripts_and_ask_this_server_alone(client: AsgiClient) -> None:
    answer = client.get("/docs-site/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert answer.status_code == 200
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'self' 'sha256-{digest}'"
    assert policy["connect-src"] == policy["worker-src"] == "'self'"
    assert policy["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sha256" not in client.get("/docs-site/how-to/deploy.html").headers["content-security-policy"]


def test_style_sheets_have_their_type_which_nosniff_asks_for(client: AsgiClient) -> None:
    assert client.get("/docs-site/page.css").headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("name", ["nothing.html", "../secret", "%2e%2e/secret", "/etc/passwd", "how-to"])
def test_what_is_no_file_of_the_site_is_not_served(client: AsgiClient, name: str) -> None:
    answer = client.get(f"/docs-site/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_where_it_was_not_built_a_sentence_says_how(tmp_path: Path) -> None:
    answer = _over(tmp_path / "site").get("/docs-site/")
    assert answer.status_code == 404
    assert "<code>make docs</code>" in answer.text
