"""Specifications: the same from YAML and JSON; what cannot be used is refused by key, found and accepted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mammosynth.errors import InvalidParameterError
from mammosynth.task import Rendering
from mammosynth.tasks.mask.bulk.specification import BulkSpec, read_specification

YAML = """
seed: 3
density: {a: 10, b: 40, c: 40, d: 10}   # percentages
view_position: CC
look: [digital, film]
lesions: {none: 2, malignant+benign: 1, benign: 1}
lesion_mm: {malignant: [8, 25]}
shape: [1024, 800]
rendering: sampled
burned_in_mark: false
format: dicom
"""


def test_words_lists_and_weights_are_read(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(YAML)
    read = read_specification(tmp_path / "spec.yaml")
    assert read.density == {"a": 10, "b": 40, "c": 40, "d": 10}
    assert (read.view_position, read.look) == ({"CC": 1}, {"digital": 1, "film": 1})
    assert read.lesions == {"none": 2, "benign+malignant": 1, "benign": 1}
    assert (read.lesion_mm, read.shape, read.rendering) == ({"malignant": [8, 25]}, [1024, 800], Rendering.SAMPLED)
    assert (read.seed, read.burned_in_mark, read.format) == (3, False, "dicom")


def test_json_says_the_same_and_so_does_what_a_manifest_keeps(tmp_path: Path) -> None:
    (tmp_path / "spec.yml").write_text(YAML)
    read = read_specification(tmp_path / "spec.yml")
    (tmp_path / "spec.json").write_text(json.dumps(read.as_json()))
    assert read_specification(tmp_path / "spec.json") == read


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("# nothing yet\n")
    assert read_specification(tmp_path / "spec.yaml") == BulkSpec()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("densty: a", r"spec\.yaml: parameter 'densty' is unknown, known are: seed, density, .*; leave it out"),
        ("density: {a: 1, e: 1}", r"parameter 'density' is .*'e': 1.*, expected one of a, b, c, d; found 'e'"),
        ("density: {a: -1}", "a number of 0 or more for each; found '-1' for 'a'"),
        ("density: {a: .nan}", "a number of 0 or more for each; found 'nan'"),
        ("density: {a: 0}", "a weight of more than 0 for at least one"),
        ("density: []", "a word, a list of words, or a weight"),
        ("view_position: XCCL", "expected one of CC, MLO; found 'XCCL'"),
        ("lesions: benign+cyst", r"'none', or up to 8 of benign, malignant, calcification joined by '\+'; found"),
        ("lesion_mm: {benign: [9, 4]}", r"from 3 to 60, for each; found \[9, 4\] for benign"),
        ("lesion_mm: {benign: 9}", "least and largest diameter in mm"),
        ("lesion_mm: {none: [4, 9]}", "a range for benign, malignant, calcification"),
        ("shape: [100, 100]", "rows \\(256 to 4096\\) and columns \\(128 to 4096\\)"),
        ("rendering: best", "parameter 'rendering' is 'best', expected 'expected' or 'sampled'"),
        ("format: jpeg", "expected 'png' or 'dicom'"),
        ("seed: -1\nformat: jpeg", "parameter 'seed' is '-1'.*parameter 'format'"),
        ("- a\n- b", "holds no settings, expected some of seed"),
        ("1: a", "holds no settings"),
        ("density: [a", r"spec\.yaml: cannot be read \(.*\); repair it"),
        ("seed: 1\nlook: film\nseed: 2", r"spec\.yaml: .*line 3: key 'seed' is there already, in line 1; keep one"),
        ("density: {a: 1, b: 1, a: 2}", "line 1: key 'a' is there already, in line 1"),
        ("!!python/object/apply:os.getcwd []", "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(text)
    with pytest.raises(InvalidParameterError, match=words):
        read_specification(tmp_path / "spec.yaml")


def test_a_key_that_is_there_twice_is_refused_in_json_too(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text('{"seed": 1, "look": {"film": 1, "film": 2}}')
    with pytest.raises(InvalidParameterError, match=r"spec\.json: .*key 'film' is there 2 times; keep one"):
        read_specification(tmp_path / "spec.json")


def test_a_file_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"spec\.txt: expected a file that ends in \.yaml, \.yml, \.json"):
        read_specification(tmp_path / "spec.txt")
    with pytest.raises(InvalidParameterError, match=r"spec\.yaml: cannot be read"):
        read_specification(tmp_path / "spec.yaml")
    (tmp_path / "large.json").write_bytes(b" " * (1 << 21))
    with pytest.raises(InvalidParameterError, match="larger than a megabyte"):
        read_specification(tmp_path / "large.json")
