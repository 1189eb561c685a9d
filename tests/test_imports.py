"""What is imported to stay is looked through no more, and everything else still is."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from mammosynth.imports import imports_that_stay


@pytest.fixture
def cycle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that nobody has imported."""
    name = f"holds_a_cycle_{id(tmp_path)}"
    (tmp_path / f"{name}.py").write_text("ring = []\nring.append(ring)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_what_was_imported_is_looked_through_no_more_and_garbage_goes_afterwards(cycle: str) -> None:
    program = f"""
import gc
from mammosynth.imports import imports_that_stay
with imports_that_stay():
    assert not gc.isenabled()
    import {cycle}
assert gc.isenabled()
looked_through = [id(each) for each in gc.get_objects()]
print(id({cycle}.ring) in looked_through)
later = []
later.append(later)
del later
print(gc.collect() > 0)
"""
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    answer = subprocess.run([sys.executable, "-c", path + program], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["False", "True"]


def test_nothing_is_kept_if_all_was_imported_before() -> None:
    before = gc.get_freeze_count()
    with imports_that_stay():
        import json  # noqa: F401
    assert gc.get_freeze_count() == before


def test_who_looks_for_no_garbage_goes_on_so_also_after_an_error() -> None:
    gc.disable()
    try:
        with pytest.raises(ModuleNotFoundError), imports_that_stay():
            import there_is_no_such_module  # noqa: F401
        assert not gc.isenabled()
    finally:
        gc.enable()
