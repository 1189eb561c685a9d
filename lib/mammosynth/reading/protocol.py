"""`Protocol`: a reader study as one YAML file says it, checked as a whole, with a hash of its meaning alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from mammosynth.counts import count_of
from mammosynth.errors import InvalidParameterError, ProtocolError
from mammosynth.problems import Problems
from mammosynth.reading.blinding.rule import BlindingRule, Hanging
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.questions import Question, Strict, Title, Word
from mammosynth.reading.strict_yaml import Document, read_document
from mammosynth.terms import ImageLaterality, ViewPosition

WHOLE_CASE = "case"
"""The target of a question that is asked once a case."""
_TOLD = 20  # problems that one message tells
_SHOWN = 64  # characters of a bad value that a message repeats
_LATER = ("blinding", "hanging")
Text = Annotated[str, Field(max_length=4000)]


class Arm(Strict):
    """One kind of image that is compared."""

    title: Title
    generated: bool = False
    """Whether its images are synthesized: the truth of real or generated."""


class Case(Strict):
    """What a reader sees at once: a patient, a breast, or an image."""

    patient: Word
    breasts: list[Annotated[ImageLaterality, Field(strict=False)]] = []
    """Those that are shown, for questions per breast."""
    view_position: Annotated[ViewPosition, Field(strict=False)] | None = None
    images: Annotated[dict[Word, Annotated[list[Title], Field(min_length=1, max_length=16)]], Field(min_length=1)]
    """By arm: files, or SOP Instance UIDs, in the order in which they are shown."""
    truth: dict[Word, Any] = {}
    """By question; where that is asked per breast or image, by breast (R, L) or image (1, 2, ...)."""
    training: bool = False
    """Whether it is read before the study, with feedback."""
    feedback: Text = ""
    """What is said after a training case, besides the truth."""


class Repeats(Strict):
    """Cases that are read again, for intra-reader agreement."""

    cases: Annotated[int, Field(ge=1)]
    """How many, of each reader."""
    when: Literal["own_session", "same_session"] = "own_session"
    """In a further session after the last, or late in the session of the first reading."""


class Design(Strict):
    """Who reads what when."""

    kind: Literal["fully_crossed", "split_plot"] = "fully_crossed"
    """Every reader reads every case, or each group of readers reads cases of its own; all arms either way."""
    groups: Annotated[int, Field(ge=1, le=50)] = 1
    """Of readers and cases, for split_plot."""
    sessions: Annotated[int, Field(ge=1, le=20)]
    washout_days: Annotated[float, Field(ge=0, le=3650, allow_inf_nan=False)] = 14
    """Least time from the last answer of a session to the next session of that reader."""
    repeats: Repeats | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    """Of every random choice: who reads what first, and in which order."""


class Power(Strict):
    """What the sample size is computed from: Obuchowski and Rockette's variance components.

    From a pilot study (`mammosynth study mrmc` prints them) or a published one.
    """

    effect: Annotated[float, Field(ge=0, lt=1)]
    """True difference of the figure of merit between two arms; with a margin, how much worse, 0 as a rule."""
    var_tr: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Variance of reader times arm."""
    var_error: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    cov1: Annotated[float, Field(allow_inf_nan=False)]
    cov2: Annotated[float, Field(allow_inf_nan=False)]
    cov3: Annotated[float, Field(allow_inf_nan=False)]
    cases: Annotated[int, Field(ge=2)]
    """Of the study that the error variance and covariances are from; they fall with the number of cases."""
    goal: Annotated[float, Field(gt=0, lt=1)] = 0.8
    source: Title
    """Where the components are from."""


class Protocol(Strict):
    """A reader study.

    Attributes:
        name: Of the study in its store.
        reading_unit: What a case is.
        arms: What is compared; with two or more, each is compared with `reference_arm`.
        readers: Names, as of their tokens.
        questions: What is asked, in this order.
        alpha: Over all endpoints, by Benjamini and Hochberg's procedure.
        blinding: How the copies that readers see are made; without one, as `BlindingRule` does by default.
        hanging: How the images of a case are laid out; without one, by their number.
        bootstrap_samples: Of cases, for intervals that need it; drawn from the design's seed.
    """

    version: Literal[1]
    name: Word
    title: Title
    description: Text = ""
    reading_unit: Literal["patient", "breast", "image"]
    arms: Annotated[dict[Word, Arm], Field(min_length=1, max_length=8)]
    reference_arm: Word
    readers: Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(min_length=1, max_length=500)]
    questions: Annotated[dict[Word, Question], Field(min_length=1, max_length=50)]
    design: Design
    endpoints: Annotated[dict[Word, Endpoint], Field(min_length=1, max_length=50)]
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    bootstrap_samples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    power: Power | None = None
    blinding: BlindingRule | None = None
    hanging: Hanging | None = None
    cases: Annotated[dict[Word, Case], Field(min_length=1, max_length=20_000)]

    def canonical(self) -> str:
        """The resolved protocol as JSON: the same text for whatever means the same.

        Comments, layout and the order of settings do not matter; the order of arms, questions and cases does.
        """
        meant = self.model_dump(mode="json")
        for name in _LATER:  # studies that were opened before there were these keep their hashes
            if meant[name] is None:
                del meant[name]
        return json.dumps(meant, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    @cached_property
    def sha256(self) -> str:
        """Of the canonical text, in hexadecimal digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @property
    def test_cases(self) -> dict[str, Case]:
        """Those that count."""
        return {name: case for name, case in self.cases.items() if not case.training}

    def targets(self, question: str, case: str, arm: str | None = None) -> tuple[str, ...]:
        """What a question is asked about in a case: `WHOLE_CASE`, breasts (R, L), or images (1, 2, ...)."""
        per = self.questions[question].per
        if per == "case":
            return (WHOLE_CASE,)
        if per == "breast":
            return tuple(str(breast) for breast in self.cases[case].breasts)
        return tuple(str(number + 1) for number in range(self.image_count(case, arm)))

    def image_count(self, case: str, arm: str | None = None) -> int:
        """How many images a case shows in an arm, or in the arm that has most."""
        images = self.cases[case].images
        return len(images[arm]) if arm else max(map(len, images.values()))

    def truth(self, question: str, case: str, target: str) -> Any:
        """The true answer; None if it is not known."""
        found = self.cases[case].truth.get(question)
        return found if target == WHOLE_CASE or found is None else found.get(target)


def read_protocol(file: Path) -> Protocol:
    """Read and check a protocol.

    Raises:
        ProtocolError: With everything that is wrong, each with its line, what was found and what is accepted.
    """
    return _protocol_of(read_document(file))


def parse_protocol(text: str, name: str = "the protocol") -> Protocol:
    """The same from text, YAML or JSON."""
    return _protocol_of(Document(text, name))


def protocol_from_canonical(text: str) -> Protocol:
    """The protocol whose canonical text this is.

    Raises:
        ProtocolError: If it is none.
    """
    try:
        return Protocol.model_validate_json(text)
    except ValidationError as error:
        raise ProtocolError(f"the stored protocol is damaged ({count_of(error.error_count(), 'problem')})") from None


def _protocol_of(document: Document) -> Protocol:
    try:
        # Through JSON, where strict types are those that text can have: lists, not tuples, and words of enumerations.
        protocol = Protocol.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        found = [_sentence(document, problem) for problem in error.errors(include_url=False)]
        raise ProtocolError(_told(found)) from None
    found = [
        f"{document.name}, line {document.line(location)}: {'.'.join(map(str, location))} {sentence}"
        for location, sentence in contradictions(protocol)
    ]
    if found:
        raise ProtocolError(_told(found))
    return protocol


def _told(sentences: Sequence[str]) -> str:
    problems = Problems()
    problems.add(*sentences)
    told = list(problems)
    return "\n".join([*told[:_TOLD], *([f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else [])])


def _sentence(document: Document, problem: Mapping[str, Any]) -> str:
    whole = [part for part in problem["loc"] if part != "[key]"]
    location = [*whole[:2], *whole[3:]] if whole[:1] == ["questions"] else whole  # the third names the kind of question
    if problem["type"].startswith("union_tag"):
        location = [*location, "type"]
    place = f"{document.name}, line {document.line(location)}: {'.'.join(map(str, location)) or 'the document'}"
    match problem["type"]:
        case "missing":
            return f"{place} is missing; add it"
        case "extra_forbidden":
            return f"{place} is unknown, known are: {', '.join(_known(whole)) or 'none'}; correct or remove it"
        case "union_tag_not_found":
            return f"{place} is missing, expected one of {_TYPES}; add it"
        case "union_tag_invalid":
            return f"{place} is {problem['ctx']['tag'][:_SHOWN]!r}, expected one of {_TYPES}"
    expected = problem["msg"].removeprefix("Input should be ").removeprefix("Value error, ").removeprefix("a valid ")
    is_number = problem["type"] == "string_type" and isinstance(problem["input"], int | float)
    return f"{place} is {_shown(problem['input'])}, expected {expected}{'; put it in quotes' if is_number else ''}"


_TYPES = "category, items, likert, marks, real_or_generated, text, yes_no"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a mapping of {len(value)}"
    return repr(value)[:_SHOWN]


@cache
def _schema() -> dict[str, Any]:
    """Of a protocol; one that is wrong in the same way in every case asks for it as often."""
    return Protocol.model_json_schema()


def _known(location: Sequence[int | str]) -> list[str]:
    """The settings that there are where an unknown one was found."""
    schema = _schema()
    node: Any = schema
    for part in location[:-1]:
        node = _resolved(_inner(_resolved(node, schema), part), schema)
    return list(node.get("properties", ()))


def _inner(node: Mapping[str, Any], part: int | str) -> Any:
    """What a JSON Schema says of a part of what it describes; the part may be the kind of a question."""
    if "discriminator" in node:
        return {"$ref": node["discriminator"]["mapping"][part]}
    of_any_name = next(iter(node.get("patternProperties", {}).values()), node.get("additionalProperties"))
    return node.get("properties", {}).get(part) or of_any_name or node.get("items") or {}


def _resolved(node: Any, schema: Mapping[str, Any]) -> Any:
    while "$ref" in node or "anyOf" in node:
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node["anyOf"][0]
    return node


def contradictions(protocol: Protocol) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """What is right by itself and wrong together: where it stands, and the rest of a sentence."""
    yield from _of_arms(protocol)
    yield from _of_design(protocol)
    for name, case in protocol.cases.items():
        yield from _of_case(protocol, name, case)
    yield from _of_patients(protocol)
    for name, endpoint in protocol.endpoints.items():
        generated = [arm.generated for arm in protocol.arms.values()]
        for sentence in endpoint.contradictions(protocol.questions, generated, protocol.design.repeats):
            yield ("endpoints", name), sentence


def _of_arms(protocol: Protocol) -> Iterator[tuple[tuple[int | str, ...], str]]:
    if protocol.reference_arm not in protocol.arms:
        yield ("reference_arm",), f"is {protocol.reference_arm!r}, expected one of {', '.join(protocol.arms)}"
    twice = {reader for reader in protocol.readers if protocol.readers.count(reader) > 1}
    if twice:
        yield ("readers",), f"holds {sorted(twice)[0]!r} twice, expected each reader once"


def _of_design(protocol: Protocol) -> Iterator[tuple[tuple[int | str, ...], str]]:
    design = protocol.design
    most = max((len(arms) for arms in arms_by_patient(protocol).values()), default=0)
    if not protocol.test_cases:
        yield ("cases",), "are all for training, expected at least one that counts"
    if design.sessions < most:
        yield (
            ("design", "sessions"),
            f"is {design.sessions}, expected at least {most}: a patient is read in {most} arms, one a session",
        )
    if (design.groups > 1) != (design.kind == "split_plot"):
        yield ("design", "groups"), f"is {design.groups}, expected 1 for fully_crossed and 2 or more for split_plot"
    if design.groups > min(len(protocol.readers), len(arms_by_patient(protocol))):
        yield ("design", "groups"), f"is {design.groups}, expected no more than there are readers, and patients"


def arms_by_patient(protocol: Protocol) -> dict[str, list[str]]:
    """The arms in which each patient of the cases that count is read, in the protocol's order."""
    found: dict[str, set[str]] = {}
    for case in protocol.test_cases.values():
        found.setdefault(case.patient, set()).update(case.images)
    return {patient: [arm for arm in protocol.arms if arm in arms] for patient, arms in found.items()}


def _of_case(protocol: Protocol, name: str, case: Case) -> Iterator[tuple[tuple[int | str, ...], str]]:
    where = ("cases", name)
    for arm in case.images:
        if arm not in protocol.arms:
            yield (*where, "images", arm), f"is no arm, expected one of {', '.join(protocol.arms)}"
    if len(set(case.breasts)) < len(case.breasts):
        yield (*where, "breasts"), "holds a breast twice, expected R, L or both"
    if protocol.reading_unit != "patient" and len(case.breasts) != 1:
        yield (
            (*where, "breasts"),
            f"holds {len(case.breasts)}, expected one, as a case is one {protocol.reading_unit}",
        )
    if protocol.reading_unit == "image" and any(len(images) != 1 for images in case.images.values()):
        yield (*where, "images"), "holds several in an arm, expected one, since a case is one image"
    if any(question.per == "breast" for question in protocol.questions.values()) and not case.breasts:
        yield (*where, "breasts"), "is empty, expected R, L or both, since a question is asked per breast"
    for question, truth in case.truth.items():
        yield from _of_truth(protocol, name, question, truth)


def _of_truth(protocol: Protocol, case: str, name: str, truth: Any) -> Iterator[tuple[tuple[int | str, ...], str]]:
    where = ("cases", case, "truth", name)
    if name not in protocol.questions:
        yield where, f"is no question, expected one of {', '.join(protocol.questions)}"
        return
    question, targets = protocol.questions[name], protocol.targets(name, case)
    if targets == (WHOLE_CASE,):
        values = {WHOLE_CASE: truth}
    elif not isinstance(truth, Mapping) or not set(truth) <= set(targets):
        yield where, f"is {_shown(truth)}, expected an answer for each of {', '.join(targets)}"
        return
    else:
        values = dict(truth)
    for value in values.values():
        try:
            question.check_truth(value, protocol.image_count(case))
        except InvalidParameterError as error:
            yield where, f"cannot be used: {str(error).removeprefix('the answer ')}"


def _of_patients(protocol: Protocol) -> Iterator[tuple[tuple[int | str, ...], str]]:
    counted = {case.patient for case in protocol.test_cases.values()}
    seen: dict[tuple[Any, ...], str] = {}
    for name, case in protocol.cases.items():
        if case.training and case.patient in counted:
            yield (
                ("cases", name, "patient"),
                f"is {case.patient!r}, who is in a case that counts; train with others",
            )
        for arm, images in case.images.items():
            for image in images:
                if (known := seen.setdefault((image,), f"{name}.{arm}")) != f"{name}.{arm}":
                    yield ("cases", name, "images", arm), f"holds {image[:_SHOWN]!r}, which is in {known}, too"
