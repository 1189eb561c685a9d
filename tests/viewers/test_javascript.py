"""The viewer's modules without a browser: their own tests under Node, their types as TypeScript reads them.

Node and TypeScript are for development only. Types need `npm ci` in this folder once.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")
TYPESCRIPT = HERE / "node_modules" / "typescript" / "bin" / "tsc"
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
