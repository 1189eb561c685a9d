"""A protocol is one strict YAML file: what is wrong is told by line, and its hash changes with its meaning alone."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import jsonschema
import pytest
import yaml

from mammosynth.commands.study import TEMPLATES as OFFERED
from mammosynth.errors import ProtocolError
from mammosynth.reading.new_protocol import TEMPLATES, new_protocol
from mammosynth.reading.protocol import Protocol, parse_protocol, protocol_from_canonical, read_protocol
from mammosynth.reading.strict_yaml import Document

CEM = new_protocol("cem-s3")


def refusal(before: str, after: str, text: str = CEM) -> str:
    """What is said of a template in which something was replaced."""
    assert before in text
    with pytest.raises(ProtocolError) as refused:
        parse_protocol(text.replace(before, after, 1), "study.yaml")
    return str(refused.value)


@pytest.mark.parametrize("template", TEMPLATES)
def test_every_template_is_a_protocol_and_fits_the_json_schema(template: str) -> None:
    text = new_protocol(template)
    study = parse_protocol(text)
    assert protocol_from_canonical(study.canonical()) == study
    jsonschema.validate(Document(text, template).value, Protocol.model_json_schema())


def test_templates_are_offered_by_the_command() -> None:
    assert OFFERED == TEMPLATES  # stated twice, so that --help need not import what reads protocols


def test_the_reference_study_has_the_size_of_the_published_one() -> None:
    """40 patients, 63 breasts, 37 with a lesion, 3 readers, two sessions two weeks apart."""
    study = parse_protocol(CEM)
    truths = [truth for case in study.test_cases.values() for truth in case.truth["lesion"].values()]
    assert len({case.patient for case in study.test_cases.values()}) == 40
    assert (len(truths), truths.count("yes")) == (63, 37)
    assert (len(study.readers), study.design.sessions, study.design.washout_days) == (3, 2, 14)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            "sessions: 2",
            "sessions: 1",
            "line 36: design.sessions is 1, expected at least 2: a patient is read in 2 arms",
        ),
        ("sessions: 2", "sessions: two", "line 36: design.sessions is 'two', expected integer"),
        ("type: yes_no", "type: yesno", "line 25: questions.lesion.type is 'yesno', expected one of category, items"),
        ("    type: yes_no\n", "", "line 24: questions.lesion.type is missing, expected one of category"),
        ("  seed: 20260301\n", "", "line 34: design.seed is missing; add it"),
        ("ordered", "ordred", "questions.bpe.ordred is unknown, known are: title, help, required"),
        ("alpha: 0.05", "alpha: 5", "line 46: alpha is 5, expected less than 1"),
        ("name: cem-s3", "name: cem-s3\nname: b", "line 6: the key 'name' is there already on line 5; remove one"),
        ("name: cem-s3", "name: !!python/name:os.system", "line 5: has the tag"),
        ("name: cem-s3", "name: 7", "line 5: name is 7, expected string; put it in quotes"),
        ("[reader-1, reader-2,", "[reader-1, reader-1,", "line 15: readers holds 'reader-1' twice"),
        (
            "reference_arm: clinical",
            "reference_arm: real",
            "line 14: reference_arm is 'real', expected one of clinical",
        ),
        (
            "lesion: {R: yes",
            "lesion: {R: perhaps",
            "truth.lesion cannot be used: is 'perhaps', expected one of yes, no",
        ),
        ("patient: T01", "patient: P01", "cases.training-1.patient is 'P01', who is in a case that counts"),
        ("P01_R_CC_clinical", "P02_R_CC_clinical", "holds 'P02_R_CC_clinical', which is in case-01.clinical, too"),
        (
            "question: lesion, statistic: auc",
            "question: bpe, statistic: free_response",
            "endpoints.auc is free_response",
        ),
        ("statistic: sensitivity", "statistic: sensitivity, comparison: equivalence", "expected a margin for non_inf"),
        ("version: 1", "version: 2", "line 4: version is 2, expected 1"),
        ("title: Lesions and", "title: [Lesions and", "is no valid YAML"),
        ('keys: {a: "1", b: "2"', 'keys: {a: "1", b: "1"', "expected a key of its own for each choice"),
    ],
)
def test_what_is_wrong_is_told_with_line_key_found_and_accepted(before: str, after: str, words: str) -> None:
    text = CEM.replace("    categories: [a, b, c, d]", "    ordered: true\n    categories: [a, b, c, d]", 1)
    text = text if before == "ordered" else CEM
    assert words in refusal(before, after, text)


def test_everything_that_is_wrong_is_told_at_once() -> None:
    told = refusal("alpha: 0.05", "alpha: 5", CEM.replace("sessions: 2", "sessions: 0")).splitlines()
    assert len(told) == 2
    assert all(line.startswith("study.yaml, line ") for line in told)


def test_a_slip_in_every_one_of_many_cases_is_told_at_once() -> None:
    cases = [f"  case-{n}: {{patient: P{n}, breast: [R], images: {{clinical: [C{n}]}}}}\n" for n in range(2000)]
    text = CEM[: CEM.index("\ncases:")] + "\ncases:\n" + "".join(cases)
    started = time.process_time()
    with pytest.raises(ProtocolError, match="and 1980 more"):
        parse_protocol(text, "study.yaml")
    assert time.process_time() - started < 5, "seconds; ten milliseconds a case took twenty"


def test_aliases_which_could_grow_without_bounds_are_refused() -> None:
    bomb = "a: &a [x, x]\n" + "".join(f"{n}: &{n} [*{p}, *{p}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(ProtocolError, match=r"bomb, line 2: holds the alias '\*a'; write the value out"):
        Document(bomb, "bomb")


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "[" * 200_000 + "]" * 200_000])
def test_no_depth_of_nesting_ends_the_process(text: str) -> None:
    with pytest.raises(ProtocolError, match="deep, line 1: nests deeper than 32 levels; write it flatter"):
        Document(text, "deep")


@pytest.mark.parametrize("text", ["", "# nothing", "- a list", "word", "a: " + "[" * 100 + "]" * 100, "\t", "a: \x00"])
def test_text_that_is_no_protocol_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ProtocolError, match=r"^study\.yaml"):
        parse_protocol(text, "study.yaml")


def test_plain_words_mean_themselves() -> None:
    document = Document("a: [yes, no, on, 2026-01-02, 12:30, 0x10, 007, 1_000, true, null, 3, -2.5, 1e3, '4']", "x")
    words = ["yes", "no", "on", "2026-01-02", "12:30", "0x10", "007", "1_000"]
    assert document.value["a"] == [*words, True, None, 3, -2.5, 1000.0, "4"]


def test_the_hash_is_of_the_meaning() -> None:
    """Order of settings, comments, quotes and layout do not matter; every value and the order of arms do."""
    study = parse_protocol(CEM)
    value = Document(CEM, "x").value
    keys = list(value)
    random.Random(1).shuffle(keys)
    assert parse_protocol(json.dumps({key: value[key] for key in keys})).sha256 == study.sha256
    assert parse_protocol(yaml.safe_dump(value, sort_keys=False, width=1000)).sha256 == study.sha256
    assert parse_protocol("# a comment\n" + CEM).sha256 == study.sha256
    for before, after in (
        ("alpha: 0.05", "alpha: 0.01"),
        ("washout_days: 14", "washout_days: 13"),
        ("P01_R_CC_clinical", "P01_R_CC_clinicaL"),
        ("title: Clinical rec", "title: clinical rec"),
    ):
        assert parse_protocol(CEM.replace(before, after, 1)).sha256 != study.sha256
    arms = dict(reversed(value["arms"].items()))
    assert parse_protocol(json.dumps({**value, "arms": arms})).sha256 != study.sha256


def test_cases_come_from_a_table(tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    table.write_text(
        "case,patient,breasts,training,images:clinical,images:synthesized,truth:lesion:R,truth:lesion:L,truth:bpe\n"
        "one,P1,R+L,,a.dcm|b.dcm,c.dcm|d.dcm,yes,no,b\n"
        "two,P2,L,,e.dcm,f.dcm,,yes,\n"
        "try,P3,R,yes,g.dcm,h.dcm,no,,\n"
    )
    study = parse_protocol(new_protocol("cem-s3", name="mine", readers=["Ann"], seed=5, cases=table))
    assert (study.name, study.readers, study.design.seed) == ("mine", ["Ann"], 5)
    assert study.cases["one"].images == {"clinical": ["a.dcm", "b.dcm"], "synthesized": ["c.dcm", "d.dcm"]}
    assert study.cases["one"].truth == {"lesion": {"R": "yes", "L": "no"}, "bpe": "b"}
    assert list(study.test_cases) == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case,images:clinical\na,b\n", "the columns are case, images:clinical, expected case, patient"),
        ("case,patient,colour\n", "the columns are case, patient, colour, expected"),
        ("case,patient,images:clinical\na,P,x\na,P,y\n", "line 3: the case 'a' is there already"),
        ("case,patient,images:clinical\na,P\n", "line 2: has another number of cells than the first line"),
        ("case,patient,images:real\na,P,x\n", "images.real is no arm, expected one of clinical, synthesized"),
        ("case,patient,truth:lesion\na,P,[x\n", "is no JSON list"),
    ],
)
def test_a_table_of_cases_that_cannot_be_used_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(ProtocolError) as refused:
        new_protocol("cem-s3", cases=tmp_path / "cases.csv")
    assert words in str(refused.value)
    assert str(refused.value).startswith("cases.csv")


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="none.yaml: cannot be read"):
        read_protocol(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes("title: Größe".encode("latin-1"))
    with pytest.raises(ProtocolError, match="latin.yaml: is no text in UTF-8"):
        read_protocol(tmp_path / "latin.yaml")
