"""Small reader studies, built in code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mammosynth.reading.protocol import Protocol, parse_protocol

ARMS = ("clinical", "synthesized")


def case(patient: str, arms: Sequence[str] = ARMS, **settings: Any) -> dict[str, Any]:
    """A case with an image in each arm; `tag` tells images of one patient apart."""
    tag = settings.pop("tag", "")
    images = {arm: [f"{patient}{tag} {arm}"] for arm in arms}
    return {"patient": patient, "breasts": ["R"], "images": images, **settings}


def protocol(**changes: Any) -> Protocol:
    """Six patients in two arms, three readers, one yes-no question; settings are replaced by name."""
    settings: dict[str, Any] = {
        "version": 1,
        "name": "small",
        "title": "A small study",
        "reading_unit": "patient",
        "arms": {"clinical": {"title": "Clinical"}, "synthesized": {"title": "Synthesized", "generated": True}},
        "reference_arm": "clinical",
        "readers": ["ann", "bob", "eve"],
        "questions": {"lesion": {"type": "yes_no", "title": "Is there a lesion?", "suspicion": True}},
        "design": {"sessions": 2, "seed": 1},
        "endpoints": {"auc": {"title": "AUC", "question": "lesion", "statistic": "auc"}},
        "cases": {f"case-{n}": case(f"P{n}", truth={"lesion": "yes" if n % 2 else "no"}) for n in range(6)},
    }
    return parse_protocol(json.dumps(settings | changes))


def yes(suspicion: int = 80) -> Mapping[str, Any]:
    """An answer to the question of `protocol`."""
    return {"answer": "yes", "suspicion": suspicion}
