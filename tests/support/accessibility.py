"""What axe finds wrong with a page."""

from __future__ import annotations

from typing import Any


def accessibility_faults(page: Any, context: str | dict[str, Any] | None = None) -> list[tuple[str, str, list[str]]]:
    """Rule, impact and elements of every fault; of a part of the page if one is given."""
    from axe_playwright_python.sync_playwright import Axe  # here, since it starts playwright's own modules

    response = Axe().run(page, context=context).response
    assert response["passes"], "axe looked at nothing"
    return [
        (each["id"], each["impact"], [node["html"][:120] for node in each["nodes"]]) for each in response["violations"]
    ]
