"""The viewer's modules without a browser: their tests under Node, their types as TypeScript reads them, their markup.

Node and TypeScript are for development only. Types need `npm ci` in this folder once.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")
TYPESCRIPT = HERE / "node_modules" / "typescript" / "bin" / "tsc"
VIEWERS = HERE.parents[1] / "monailabel_app" / "viewers"
SCRIPTS = sorted(VIEWERS.rglob("*.js"))
# What makes elements, or code, of text. Names in DICOM headers are anybody's text.
PARSES = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|srcdoc|DOMParser|HTMLUnsafe|Fragment\(|document\.write|eval\(|Function\("
)
OF_LITERAL = re.compile(r"\.innerHTML = (?:'[^'\n]*'|`[^`$]*`);")
OF_CONSTANT = re.compile(r"\.innerHTML = (html|markup);")
needs_node = pytest.mark.skipif(NODE is None, reason="Node is not installed: apt-get install nodejs")


def _run(*arguments: str | Path) -> None:
    ran = subprocess.run([NODE, *arguments], cwd=HERE, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.slow
@needs_node
@pytest.mark.parametrize("file", sorted(HERE.glob("*/*.test.mjs")), ids=lambda file: file.name.partition(".")[0])
def test_module(file):
    _run("--test", file)


@pytest.mark.slow
@needs_node
@pytest.mark.skipif(not TYPESCRIPT.is_file(), reason="TypeScript is not installed: npm ci --prefix tests/viewers")
def test_types():
    _run(TYPESCRIPT, "--project", HERE)


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
def test_markup_is_written_in_the_script_and_never_made_of_values(file):
    text = file.read_text()
    for name in OF_CONSTANT.findall(text):
        assert text.count(f"\nconst {name} = `") == 1, "a constant of the module holds none of a study's values"
    rest = OF_CONSTANT.sub("", OF_LITERAL.sub("", text))
    assert not (found := PARSES.search(rest)), f"{file.name}: {found[0]} may make elements of text; use textContent"
