"""What the report says in tables and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mammosynth import __version__
from mammosynth.counts import count_of
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
_NO_REASON = "none given"
_LISTED = 8  # readers or sessions in a sentence; of more, their number is told


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
    cases = f"{count_of(found['cases'], 'case')} of {count_of(found['patients'], 'patient')} ({arms})"
    kind = design.kind.replace("_", " ")
    planned = f"{count_of(found['readers'], 'reader')}, {count_of(design.sessions, 'session')}, {kind}"
    reason = f"; closed before the rest: {found['reason_for_closing'] or _NO_REASON}" if not _is_whole(found) else ""
    early = _listed([_early(each) for each in found["early_sessions"]])
    return [
        ("Cases", f"{cases}; {found['training_cases']} more for training"),
        ("Design", planned),
        ("Readings planned", str(found["readings_planned"])),
        ("Readings begun", str(found["readings_begun"])),
        ("Readings complete", f"{found['readings_complete']}{_by_whom(found)}{reason}"),
        ("Wash-out cut short", early or "never"),
        ("Answers", f"{found['answers']}, training included; revised, of those that count: {found['revised_answers']}"),
        ("Analysed", _analysed(results)),
    ]


def _is_whole(found: Mapping[str, Any]) -> bool:
    """Whether every planned reading is complete."""
    return found["readings_complete"] == found["readings_planned"]


def _by_whom(found: Mapping[str, Any]) -> str:
    """Who read how much, where that is not all."""
    if _is_whole(found):
        return ""
    shares = [f"{reader}: {own['complete']} of {own['planned']}" for reader, own in found["by_reader"].items()]
    return f" ({_listed(shares)})"


def _early(session: Mapping[str, Any]) -> str:
    reason = f", {session['reason']}" if session.get("reason") else ""
    return f"session {session['session']} of {session['reader']} after {session['days']:.1f} days{reason}"


def _listed(texts: Sequence[str]) -> str:
    """In a row; how many more there are, if they are many."""
    more = [f"{len(texts) - _LISTED} more"] if len(texts) > _LISTED else []
    return "; ".join([*texts[:_LISTED], *more])


def _analysed(results: Mapping[str, Any]) -> str:
    found = []
    for each in results["endpoints"].values():
        if "problem" in each:
            found.append(f"{each['title']}: not computed")
        elif each.get("left_out"):
            found.append(f"{each['title']}: {count_of(each['left_out'], 'case')} left out")
    if not found and not _is_whole(results["flow"]):
        return "what all readers who read anything have answered"
    return "; ".join(found) or "all cases"


def methods(protocol: Protocol, results: Mapping[str, Any]) -> str:
    """A paragraph for a paper: what was done, and what was planned only where that was not done."""
    endpoints = {name: protocol.endpoints[name] for name, each in results["endpoints"].items() if "problem" not in each}
    missing = [each["title"] for each in results["endpoints"].values() if "problem" in each]
    sentences = [
        *(_read if _is_whole(results["flow"]) else _read_in_part)(protocol, results),
        *_washouts(results["flow"]),
        *_comparisons(endpoints.values()),
        *dict.fromkeys(_method(protocol, each) for each in endpoints.values() if each.statistic not in _FIGURES),
        *([f"Of what was declared, this could not be computed: {', '.join(missing)}."] if missing else []),
        *_adjustment(protocol, results),
        f"The protocol (SHA-256 {protocol.sha256}) was frozen before the first reading; answers were kept in a chain "
        f"of hashes and analysed with MammoSynth {__version__}.",
    ]
    return " ".join(sentences)


def _read(protocol: Protocol, results: Mapping[str, Any]) -> Iterator[str]:
    """Of a study that was read as it was planned."""
    yield f"{_who(results)} read {_what(protocol, results)}."
    early = " (with exceptions)" if results["flow"]["early_sessions"] else ""
    order = f", in {_sessions(protocol)}{early}, in an order drawn for each reader"
    if len(protocol.arms) > 1:
        order += "; no patient was shown in two arms in one session, and arms were balanced within sessions"
    yield _groups(protocol, f"each reader read {_each_case(protocol)}{order}.")
    if protocol.design.repeats:
        yield f"{count_of(protocol.design.repeats.cases, 'case was', 'cases were')} read twice by each reader."


def _read_in_part(protocol: Protocol, results: Mapping[str, Any]) -> Iterator[str]:
    """Of a study that was closed before: the plan as a plan, and what became of it."""
    found = results["flow"]
    yield f"It was planned that {_who(results)} read {_what(protocol, results)}."
    order = f", in {_sessions(protocol)}, in an order drawn for each reader"
    if len(protocol.arms) > 1:
        order += ", with no patient in two arms in one session and arms balanced within sessions"
    repeats = f", and {count_of(protocol.design.repeats.cases, 'case')} twice" if protocol.design.repeats else ""
    yield _groups(protocol, f"each reader was to read {_each_case(protocol)}{order}{repeats}.")
    yield (
        f"The study was closed early (reason: {found['reason_for_closing'] or _NO_REASON}), after "
        f"{found['readings_complete']} of {count_of(found['readings_planned'], 'planned reading')}{_by_whom(found)}: "
        f"{found['readers_read']} of "
        f"{count_of(found['readers'], 'reader')} had read {found['cases_read']} of {count_of(found['cases'], 'case')}, "
        f"of {count_of(found['patients_read'], 'patient')}, in at least one arm."
    )
    if found["repeats_planned"]:
        yield f"Of {count_of(found['repeats_planned'], 'second reading')}, {found['repeats_complete']} took place."


def _who(results: Mapping[str, Any]) -> str:
    kind = "simulated reader" if results["is_simulated"] else "reader"
    return count_of(results["flow"]["readers"], kind)


def _what(protocol: Protocol, results: Mapping[str, Any]) -> str:
    found = results["flow"]
    unit = {"patient": "a patient", "breast": "a breast", "image": "an image"}[protocol.reading_unit]
    arms = f"{count_of(len(protocol.arms), 'arm')}: {', '.join(arm.title for arm in protocol.arms.values())}"
    cases, patients = count_of(found["cases"], "case"), count_of(found["patients"], "patient")
    return f"{cases} ({unit} each) of {patients} in {arms}"


def _each_case(protocol: Protocol) -> str:
    whose = " of their group" if protocol.design.groups > 1 else ""
    is_everywhere = all(set(case.images) == set(protocol.arms) for case in protocol.test_cases.values())
    return f"each case{whose} in each arm{'' if is_everywhere else ' that shows it'}"


def _groups(protocol: Protocol, sentence: str) -> str:
    if protocol.design.groups > 1:
        return f"Readers and cases were divided into {protocol.design.groups} groups; {sentence}"
    return f"{sentence[0].upper()}{sentence[1:]}"


def _sessions(protocol: Protocol) -> str:
    design = protocol.design
    if design.sessions == 1:
        return "1 session"
    return f"{design.sessions} sessions at least {count_of(design.washout_days, 'day')} apart"


def _washouts(found: Mapping[str, Any]) -> Iterator[str]:
    early = found["early_sessions"]
    if not early:
        return
    reasons = _listed(list(dict.fromkeys(each["reason"] for each in early if each.get("reason"))))
    shortest = min(each["days"] for each in early)
    yield (
        f"{count_of(len(early), 'session')} began before the wash-out was over, the earliest after {shortest:.1f} days "
        f"(reason: {reasons or _NO_REASON})."
    )


def _adjustment(protocol: Protocol, results: Mapping[str, Any]) -> Iterator[str]:
    count = sum(test["adjusted_p"] is not None for test in results["tests"].values())
    if count == 1:
        yield f"One comparison was tested; p below {protocol.alpha:g} was taken as significant."
    elif count:
        yield (
            f"P values of {count} comparisons were adjusted by Benjamini and Hochberg's procedure; adjusted p below "
            f"{protocol.alpha:g} was taken as significant."
        )


def _comparisons(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    """A sentence for all figures that are compared in the same way."""
    ways: dict[str, list[str]] = {}
    for endpoint in endpoints:
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
