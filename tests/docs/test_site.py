"""The site of docs/: built strictly, whole without a network, and read in a browser within its policy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi import FastAPI

from monailabel_app.gateway.answers import SafeHeaders
from monailabel_app.gateway.connections import build_server, listening
from monailabel_app.gateway.docs_site import create_docs_site
from monailabel_app.gateway.scope import may_ask
from monailabel_app.identity import Identity, Role
from tests.support.ohif import CHROMIUM, FLAGS

ROOT = Path(__file__).parents[2]
VIEWERS = ROOT / "monailabel_app" / "viewers"
_LOADED = re.compile(r"""<(?:script|img|iframe)[^>]+src=["']?([^"' >]+)|<link[^>]+href=["']?([^"' >]+)""")
_LOADED_BY_CSS = re.compile(r"url\(\s*[\"']?(https?:[^)\"']+)|@import\s+[\"'](https?:[^\"']+)")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make docs` builds. A dead link, a page that nothing leads to, a wrong docstring: each fails it."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_it(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if not (site / page).is_file()] == []


def test_nothing_of_it_is_loaded_from_elsewhere(site: Path) -> None:
    loaded = {
        "".join(found)
        for pattern, ending in ((_LOADED, "html"), (_LOADED_BY_CSS, "css"))
        for path in site.rglob(f"*.{ending}")
        for found in pattern.findall(path.read_text(encoding="utf-8"))
    }
    assert any(name.endswith(".js") for name in loaded), "the pattern finds what is loaded"
    assert sorted(name for name in loaded if name.startswith(("http:", "https:", "//"))) == []


def test_commands_routes_and_attributes_are_those_of_the_code(site: Path) -> None:
    reference = site / "reference"
    assert "--skip-existing" in (reference / "command-line.html").read_text()
    assert "POST /synthesis" in (reference / "rest.html").read_text()
    assert 'id="mammosynth.bundle.load_bundle"' in (reference / "python" / "mammosynth.html").read_text()
    dicom = (reference / "dicom.html").read_text()
    assert "Burned In Annotation" in dicom
    assert "<!-- table" not in dicom
    assert "uncertainty" in (reference / "configuration.html").read_text()


def test_pages_that_the_viewers_and_the_server_name_are_there(site: Path) -> None:
    files = [*VIEWERS.rglob("*.js"), *VIEWERS.rglob("*.html")]
    named = {link for path in files for link in re.findall(r'"/docs-site/([^"]+)"', path.read_text(encoding="utf-8"))}
    assert named
    for link in named:
        page, _, anchor = link.partition("#")
        assert f'id="{anchor}"' in (site / page).read_text() if anchor else (site / page).is_file(), link


def test_the_page_that_readers_may_open_loads_nothing_that_they_may_not(site: Path) -> None:
    page = "/docs-site/how-to/reading.html"
    text = (site / page.removeprefix("/docs-site/")).read_text()
    loaded = [script or sheet for script, sheet in _LOADED.findall(text)]
    paths = [urljoin(page, name) for name in loaded if not name.endswith(".html")]
    reader = Identity("ann", Role.READER)
    assert len(paths) > 2, "the pattern finds what is loaded"
    assert [path for path in (page, *paths) if not may_ask(reader, "GET", path)] == []
    assert "pictures/" not in text


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where a server shows it."""
    app = FastAPI()
    app.include_router(create_docs_site(site))
    server = build_server(SafeHeaders(app))
    with listening("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/docs-site"
        server.should_exit = True
        thread.join(10)


@pytest.mark.e2e
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt-get install chromium)")
def test_it_is_read_and_searched_without_a_complaint_or_a_foreign_request(address: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        complaints: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/")
        page.get_by_role("link", name="read and compare in OHIF").click()
        page.get_by_role("heading", name="Tutorial: read and compare in OHIF").wait_for()
        page.goto(f"{address}/concepts/renderings.html")
        page.get_by_placeholder("Search").fill("ceilings")
        page.locator(".md-search-result__link").first.wait_for()
        browser.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
