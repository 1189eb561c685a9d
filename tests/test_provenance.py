"""What a header says of a synthesized image can be read back."""

from datetime import UTC, datetime
from typing import Any

from mammosynth.provenance import Provenance, Source


def provenance(**parameters: Any) -> Provenance:
    return Provenance(
        task="contrast",
        bundle="breast_cem_residual",
        bundle_version="0.2.0",
        weights_sha256="ab" * 32,
        software_version="0.1.0",
        rendering="expected",
        seed=11,
        parameters=parameters,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        sources=(Source("source", "1.2.3"),),
    )


def test_a_description_is_read_back() -> None:
    made = provenance(uncertainty=True, mask="1.2.3", note='a "}" and a \\ and ä', size=1.5)
    assert Provenance.parse_description(f"Standard deviation of it. {made.describe()}") == {
        "software_version": "0.1.0",
        "task": "contrast",
        "bundle": "breast_cem_residual",
        "bundle_version": "0.2.0",
        "seed": 11,
        "parameters": made.parameters,
    }


def test_parameters_that_were_cut_short_are_none() -> None:
    cut = provenance(note="a" * 100).describe()[:180]
    assert Provenance.parse_description(cut)["parameters"] is None
    assert Provenance.parse_description(cut)["seed"] == 11


def test_another_text_says_nothing() -> None:
    assert Provenance.parse_description("Lossy compression") == {}
