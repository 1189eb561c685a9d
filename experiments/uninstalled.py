"""Lets a checkout that is not installed say its version and its tasks, which a package tells by its metadata.

For machines where nothing can be installed, or whose Python is another one than MONAI Label needs: there the folders
`.` and `lib` on PYTHONPATH are all there is. Imported before anything of `mammosynth`.
"""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_NAME = "mammosynth"


def write_metadata(project: Path, folder: Path) -> Path:
    """What an installation would write: name, version and entry points.

    Args:
        project: The `pyproject.toml`.
        folder: That is, or will be, in `sys.path`.
    """
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    written = folder / f"{declared['name']}-{declared['version']}.dist-info"
    written.mkdir(parents=True)
    (written / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {declared['name']}\nVersion: {declared['version']}\n", encoding="utf-8"
    )
    lines = []
    for group, points in declared["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (written / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return written


def _is_installed() -> bool:
    try:
        version(_NAME)
    except PackageNotFoundError:
        return False
    return True


if not _is_installed():
    _folder = Path(tempfile.mkdtemp())  # workers that are spawned find it in the same sys.path
    atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    write_metadata(Path(__file__).parents[1] / "pyproject.toml", _folder)
    sys.path.append(str(_folder))
