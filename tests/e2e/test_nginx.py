"""Behind nginx, by the very lines of docs/how-to/deploy.md: signed in over TLS, and the client's address believed."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from monailabel_app.identity import Identity, Role
from monailabel_app.tokens import add_token
from tests.support.server import running

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
NAME = "mammo.example.org"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    if (openssl := shutil.which("openssl")) is None or shutil.which("nginx") is None:
        pytest.skip("needs nginx and openssl (apt-get install nginx-light openssl)")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}"]
    files = ["-keyout", str(tmp_path / "mammo.key"), "-out", str(tmp_path / "mammo.pem")]
    subprocess.run([openssl, *words, "-addext", f"subjectAltName=DNS:{NAME}", *files], check=True, capture_output=True)
    return tmp_path / "mammo.pem"


@contextmanager
def _nginx(folder: Path, port: int, server: str) -> Iterator[None]:
    """With the page's lines, in which only places and ports are others."""
    page = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    for told, here in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/": f"{folder}/",
        "http://127.0.0.1:8000": server,
    }.items():
        assert told in block
        block = block.replace(told, here)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(f"pid {folder}/pid; daemon off; events {{}} http {{ access_log off; {places}\n{block} }}\n")
    process = subprocess.Popen(["nginx", "-c", str(file), "-e", str(folder / "error.log")])
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_the_lines_for_nginx_serve_the_viewer_over_tls(tmp_path: Path, certificate: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    anna = add_token(tmp_path / "tokens.json", Identity("Anna", Role.USER))
    options = ("--token-file", str(tmp_path / "tokens.json"), "--allowed-host", f"{NAME}:{port}")
    context = ssl.create_default_context(cafile=str(certificate))
    with (
        running(tmp_path / "data", *options, environment={"FORWARDED_ALLOW_IPS": "127.0.0.1"}) as server,
        _nginx(tmp_path, port, server.address),
        httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Host": f"{NAME}:{port}"},
            transport=httpx.HTTPTransport(verify=context, retries=3),
        ) as browser,
    ):
        told = {"extensions": {"sni_hostname": NAME}}
        assert browser.get("/ready", **told).json()["ready"]
        assert browser.get("/ohif/", **told).status_code == 401
        origin = {"Origin": f"https://{NAME}:{port}"}
        signed_in = browser.post("/sign-in", data={"token": anna}, headers=origin, **told)
        assert signed_in.status_code == 303
        assert "Secure" in signed_in.headers["set-cookie"]
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        assert "OHIF" in browser.get("/ohif/", headers=cookie, **told).text
        elsewhere = {"Origin": "https://elsewhere.example.org"}
        assert browser.post("/sign-in", data={"token": anna}, headers=elsewhere, **told).status_code == 403
    lines = (tmp_path / "data" / "audit.log").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines if json.loads(line)["action"] == "sign-in"] == ["Anna"]
