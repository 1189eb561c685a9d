"""What the report says in tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mammosynth import __version__
from mammosynth.reading.analysis.analyse import parts_of
from mammosynth.reading.endpoints import Endpoint
from mammosynth.reading.protocol import Protocol

_FIGURES = {
    "auc": "area under the ROC curve",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "free_response": "JAFROC figure of merit",
}
_COVARIANCES = {"jackknife": "the jackknife", "delong": "DeLong's method", "bootstrap": "the bootstrap"}
_NONE = "–"


@dataclass(frozen=True)
class Line:
    """One line of the table of results.

    Attributes:
        endpoint: Its title.
        what: Arm, comparison or measure.
        value: NaN is None.
        low: Of the 95 % interval.
        high: Of the 95 % interval.
        p: As computed.
        adjusted_p: By Benjamini and Hochberg.
        null: What a difference is compared with; None if the line is none.
    """

    endpoint: str
    what: str
    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    adjusted_p: float | None = None
    null: float | None = None

    def cells(self) -> list[str]:
        """As text."""
        interval = _NONE if self.low is None or self.high is None else f"{self.low:.3f} to {self.high:.3f}"
        return [self.endpoint, self.what, number(self.value), interval, p_value(self.p), p_value(self.adjusted_p)]


HEADINGS = ("Endpoint", "", "Value", "95 % interval", "p", "adjusted p")


def number(value: float | None) -> str:
    """Three decimals."""
    return _NONE if value is None else f"{value:.3f}"


def p_value(p: float | None) -> str:
    """As journals print it."""
    if p is None:
        return _NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def lines(protocol: Protocol, results: Mapping[str, Any]) -> list[Line]:
    """All estimates of all endpoints; an endpoint that could not be computed has one line that says why."""
    found: list[Line] = []
    for name, result in results["endpoints"].items():
        title = result["title"] + (" (primary)" if result["is_primary"] else "")
        if "problem" in result:
            found.append(Line(title, f"not computed: {result['problem'].splitlines()[0]}", None))
            continue
        for suffix, part in parts_of(result):
            found += _of_result(protocol, name, title, part, results["tests"], suffix)
    return found


def _of_result(
    protocol: Protocol, name: str, title: str, result: Mapping[str, Any], tests: Mapping[str, Any], suffix: str
) -> Iterator[Line]:
    for line in _lines(protocol, name, title, result, tests, suffix):
        yield replace(line, what=line.what + suffix)


def _lines(
    protocol: Protocol, name: str, title: str, result: Mapping[str, Any], tests: Mapping[str, Any], suffix: str
) -> Iterator[Line]:
    statistic = protocol.endpoints[name].statistic
    if statistic.endswith("agreement"):
        yield from _agreement(protocol, title, statistic, result)
        return
    for arm, estimate in result.get("arms", {}).items():
        mean = estimate.get("mean", estimate)
        yield Line(title, protocol.arms[arm].title, mean["value"], mean["low"], mean["high"])
    null = result.get("null", 0.0)
    for arm, found in result.get("differences", {}).items():
        test = tests.get(f"{name}: {arm}{suffix}", {})
        words = "against" if "null" in result else "less"
        what = f"{protocol.arms[arm].title} {words} {protocol.arms[protocol.reference_arm].title}"
        p, adjusted = test.get("p"), test.get("adjusted_p")
        yield Line(title, what, found["value"], found.get("low"), found.get("high"), p, adjusted, null)
    for measure, found in result.get("all", {}).items():
        test = tests.get(f"{name}: {measure}{suffix}", {"p": found["p"]})
        p, adjusted = test.get("p"), test.get("adjusted_p")
        what = f"{_FIGURES[measure]}, generated against real, all readers"
        yield Line(title, what, found["value"], found["low"], found["high"], p, adjusted, null)


def _agreement(protocol: Protocol, title: str, statistic: str, result: Mapping[str, Any]) -> Iterator[Line]:
    kappa = "weighted κ" if result["weights"] == "quadratic" else "κ"
    if statistic == "intra_reader_agreement":
        yield _estimate(title, f"{kappa}, all readers, {result['pairs']} pairs", result["mean"])
        for reader, found in result["readers"].items():
            yield _estimate(title, f"{kappa}, {reader}", found)
        return
    for arm, found in result["arms"].items():
        arm_title = protocol.arms[arm].title
        if statistic == "arm_agreement":
            yield _estimate(title, f"{kappa}, {arm_title}, mean of readers", found["mean"])
            for reader, each in found["readers"].items():
                yield _estimate(title, f"{kappa}, {arm_title}, {reader}", each)
            continue
        names = {
            "light_kappa": f"{kappa}, mean of pairs",
            "fleiss_kappa": "Fleiss κ",
            "gwet_ac2": "Gwet AC2",
            "krippendorff_alpha": "Krippendorff α",
        }
        for measure, words in names.items():
            yield _estimate(title, f"{words}, {arm_title}", found[measure])


def _estimate(title: str, what: str, found: Mapping[str, Any]) -> Line:
    return Line(title, what, found["value"], found["low"], found["high"])


def reader_lines(protocol: Protocol, results: Mapping[str, Any]) -> list[Line]:
    """The figures of each reader; predictive values once a question."""
    found: list[Line] = []
    questions: set[str] = set()
    for name, result in results["endpoints"].items():
        title, question = result["title"], protocol.endpoints[name].question
        if result["statistic"] == "realism" and "readers" in result:
            for reader, each in result["readers"].items():
                for measure in ("auc", "accuracy"):
                    found.append(_estimate(title, f"{_FIGURES[measure]}, {reader}", each[measure]))
        elif result["statistic"] in _FIGURES and "readers" in result:
            for row in result["readers"]:
                found.append(_estimate(title, f"{row['reader']}, {protocol.arms[row['treatment']].title}", row))
        if question not in questions and result.get("decisions"):
            questions.add(question)
            for row in result["decisions"]:
                of = f"{row['reader']}, {protocol.arms[row['arm']].title}"
                asked = protocol.questions[question].title
                found.append(_estimate(asked, f"positive predictive value, {of}", row["ppv"]))
                found.append(_estimate(asked, f"negative predictive value, {of}", row["npv"]))
    return found


def flow(protocol: Protocol, results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """From cases to answers, step by step: heading and text of each."""
    found, design = results["flow"], protocol.design
    arms = "; ".join(f"{protocol.arms[arm].title}: {count}" for arm, count in found["cases_by_arm"].items())
    training = f"{found['training_cases']} more for training"
    sessions = "1 session" if design.sessions == 1 else f"{design.sessions} sessions"
    begun = f"{found['readings_begun']}; {found['readings_unfinished']} unfinished at the end, training included"
    reason = f" ({found['reason_for_closing']})" if found["reason_for_closing"] else ""
    revised = f"{found['answers']}, {found['revised_answers']} revised"
    every = results["endpoints"].values()
    left = [f"{each['title']}: {each['left_out']} cases left out" for each in every if each.get("left_out")]
    return [
        ("Cases", f"{found['cases']} cases of {found['patients']} patients ({arms}); {training}"),
        ("Readers", f"{found['readers']}, {sessions}, {design.kind.replace('_', ' ')}"),
        ("Readings planned", str(found["readings_planned"])),
        ("Readings begun", begun + reason),
        ("Answers", f"{revised}; wash-out cut short {found['washouts_cut_short']} times"),
        ("Analysed", "; ".join(left) or "all cases"),
    ]


def methods(protocol: Protocol, results: Mapping[str, Any]) -> str:
    """A paragraph for a paper."""
    design, found = protocol.design, results["flow"]
    if design.kind == "fully_crossed":
        crossed = "Each reader read each case in each arm"
    else:
        crossed = (
            f"Readers and cases were divided into {design.groups} groups; each reader read each case of their group in "
            "each arm"
        )
    unit = {"patient": "a patient", "breast": "a breast", "image": "an image"}[protocol.reading_unit]
    repeats = f" {design.repeats.cases} cases were read twice by each reader." if design.repeats else ""
    sessions = "1 session"
    if design.sessions > 1:
        sessions = f"{design.sessions} sessions at least {design.washout_days:g} days apart"
        if found["washouts_cut_short"]:
            sessions += f" (less, in {found['washouts_cut_short']} of them)"
    kind = "simulated readers" if results["is_simulated"] else "readers"
    sentences = [
        f"{found['readers']} {kind} read {found['cases']} cases ({unit} each) of {found['patients']} patients in "
        f"{len(protocol.arms)} arms: {', '.join(arm.title for arm in protocol.arms.values())}.",
        f"{crossed}, in {sessions}, in an order drawn for each reader; no patient was shown in two arms in one "
        f"session, and arms were balanced within sessions.{repeats}",
        *_comparisons(protocol),
        *dict.fromkeys(
            _method(protocol, each) for each in protocol.endpoints.values() if each.statistic not in _FIGURES
        ),
        f"P values of {len(results['tests'])} comparisons were adjusted by Benjamini and Hochberg's procedure; "
        f"adjusted p below {protocol.alpha:g} was taken as significant.",
        f"The protocol (SHA-256 {protocol.sha256}) was frozen before the first reading; answers were kept in a chain "
        f"of hashes and analysed with MammoSynth {__version__}.",
    ]
    return " ".join(sentences)


def _comparisons(protocol: Protocol) -> Iterator[str]:
    """A sentence for all figures that are compared in the same way."""
    ways: dict[str, list[str]] = {}
    for endpoint in protocol.endpoints.values():
        if endpoint.statistic in _FIGURES:
            ways.setdefault(_way(endpoint), []).append(f"the {_FIGURES[endpoint.statistic]}")
    for way, named in ways.items():
        figures = list(dict.fromkeys(named))
        listed = " and ".join(filter(None, (", ".join(figures[:-1]), figures[-1])))
        verb = "were" if len(figures) > 1 else "was"
        yield f"{listed[0].upper()}{listed[1:]} {verb} compared between arms {way}; intervals of arms are on log-odds."


def _way(endpoint: Endpoint) -> str:
    test = {
        "difference": "",
        "non_inferiority": f", and tested for non-inferiority with a margin of {endpoint.margin} (one-sided p doubled)",
        "equivalence": f", and tested for equivalence with a margin of {endpoint.margin}",
    }[endpoint.comparison]
    return (
        f"by the method of Obuchowski and Rockette with {endpoint.readers} readers and {endpoint.cases} cases, "
        f"covariances by {_COVARIANCES[endpoint.covariance]} and Hillis' degrees of freedom{test}"
    )


def _method(protocol: Protocol, endpoint: Endpoint) -> str:
    samples = f"intervals are from {protocol.bootstrap_samples} bootstrap samples of patients."
    return {
        "rating": "Mean ratings of cases were compared by Wilcoxon's signed-rank test where cases were read in both "
        f"arms, and by Mann and Whitney's otherwise; {samples}",
        "visual_grading": "Ratings were compared by the area under the visual grading characteristic.",
        "realism": "Confidence that an image is generated was compared with chance by the area under the ROC curve, "
        f"with {endpoint.readers} readers and {endpoint.cases} cases.",
        "arm_agreement": "Agreement between arms is Cohen's kappa, with quadratic weights where categories are "
        f"ordered; {samples}",
        "reader_agreement": "Agreement between readers is the mean kappa of all pairs, Fleiss' kappa, Gwet's AC2 and "
        f"Krippendorff's alpha; {samples}",
        "intra_reader_agreement": f"Agreement of readers with themselves is Cohen's kappa of both readings; {samples}",
    }[endpoint.statistic]
