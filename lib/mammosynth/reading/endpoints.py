"""`Endpoint`: what the study shall find out, declared before it opens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mammosynth.reading.questions import Marks, Question, RealOrGenerated, Strict, Title

Statistic = Literal[
    "auc",
    "sensitivity",
    "specificity",
    "accuracy",
    "free_response",
    "rating",
    "visual_grading",
    "realism",
    "arm_agreement",
    "reader_agreement",
    "intra_reader_agreement",
]
"""What is estimated:

auc, sensitivity, specificity: by arm, compared by Obuchowski and Rockette's analysis of many readers and cases.
accuracy: by arm, compared by McNemar's test.
free_response: the JAFROC figure of merit of marks, compared in the same way as auc.
rating: mean by arm, compared by Wilcoxon's signed-rank test.
visual_grading: the area under the visual grading characteristic of two arms.
realism: the area under the curve of generated against real, compared with chance.
arm_agreement, reader_agreement, intra_reader_agreement: kappa between arms, between readers, between two readings.
"""
_COMPARES_ARMS = ("auc", "sensitivity", "specificity", "accuracy", "free_response", "rating", "visual_grading")
_HAS_MARGIN = ("auc", "sensitivity", "specificity", "free_response")
_NEEDS_DECISION = ("sensitivity", "specificity", "accuracy")


class Endpoint(Strict):
    """One result of the study."""

    title: Title
    question: Annotated[str, Field(min_length=1)]
    statistic: Statistic
    comparison: Literal["difference", "non_inferiority", "equivalence"] = "difference"
    """What is tested about an arm against the reference arm."""
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of non-inferiority or equivalence, in units of the statistic."""
    readers: Literal["random", "fixed"] = "random"
    """Whether the result is about readers like these, or these alone."""
    cases: Literal["random", "fixed"] = "random"
    covariance: Literal["jackknife", "delong", "bootstrap"] = "jackknife"
    is_primary: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.margin is None) != (self.comparison == "difference"):
            raise ValueError("a margin for non_inferiority and equivalence, and none for difference")
        if self.margin is not None and self.statistic not in _HAS_MARGIN:
            raise ValueError(f"comparison difference for {self.statistic}: margins go with {', '.join(_HAS_MARGIN)}")
        if self.covariance == "delong" and self.statistic not in ("auc",):
            raise ValueError("covariance delong for auc only")
        if self.readers == self.cases == "fixed":
            raise ValueError("readers or cases that are random; found both fixed, so that nothing would vary")
        return self

    def contradictions(
        self, questions: Mapping[str, Question], generated: Sequence[bool], repeats: Any
    ) -> Iterator[str]:
        """What of it does not fit its protocol, as rests of sentences.

        Args:
            questions: Of the protocol.
            generated: Of each arm, whether its images are.
            repeats: Of the design.
        """
        if self.question not in questions:
            yield f"is about {self.question[:64]!r}, expected one of the questions {', '.join(questions)}"
            return
        question = questions[self.question]
        if not self._fits(question):
            yield f"is {self.statistic} of a question of the type {question.type}, which does not have it"
        if self.statistic in (*_COMPARES_ARMS, "arm_agreement") and len(generated) < 2:
            yield f"is {self.statistic}, which compares arms, expected at least two arms"
        if self.statistic == "realism" and len(set(generated)) < 2:
            yield "is realism, expected an arm that is generated and one that is not"
        if self.statistic == "intra_reader_agreement" and repeats is None:
            yield "is intra_reader_agreement, expected design.repeats"

    def _fits(self, question: Question) -> bool:
        if isinstance(question, Marks):
            return self.statistic == "free_response"
        if isinstance(question, RealOrGenerated):
            return self.statistic in ("realism", "reader_agreement", "intra_reader_agreement")
        if question.type in ("text", "items"):
            return question.type == "items" and self.statistic in ("rating", "visual_grading")
        if question.type == "likert":
            return self.statistic not in (*_NEEDS_DECISION, "auc", "free_response", "realism")
        if question.type == "category":
            has_decision = bool(question.positive)
            ordinal = self.statistic in ("rating", "visual_grading", "auc")
            return (
                self.statistic.endswith("agreement")
                or (ordinal and question.ordered)
                or (has_decision and self.statistic in (*_NEEDS_DECISION, "auc"))
            )
        return self.statistic not in ("free_response", "realism")  # yes_no
