"""`load_point`: what an installed package adds by an entry point, or a sentence that says which and why not."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

from mammosynth.errors import PluginError

_OURS = "mammosynth"


def load_point(point: EntryPoint) -> Any:
    """The object that an entry point names.

    Raises:
        PluginError: If it cannot be loaded. What one of our own modules does not find is raised as it is: an extra that
            is not installed.
    """
    try:
        return point.load()
    except Exception as error:
        package = point.dist.name if point.dist else "?"
        if package == _OURS and not _is_gone(point, error):
            raise
        raise PluginError(
            f"{point.group}: {point.name} = {point.value} of the package {package} cannot be loaded "
            f"({type(error).__name__}: {error}); repair it, install the package again if its files changed since (a "
            f"clone of ours: make docs), or do without it: pip uninstall {package}"
        ) from error


def _is_gone(point: EntryPoint, error: Exception) -> bool:
    """Whether it is the module or the name itself that is not there, and nothing that the module imports."""
    if isinstance(error, ModuleNotFoundError):
        return point.module == error.name or point.module.startswith(f"{error.name}.")
    return isinstance(error, AttributeError)
