"""Metrics, floors, ceilings and reports."""

from mammosynth.evaluation.contrast import evaluate_contrast
from mammosynth.evaluation.report import format_report

__all__ = ["evaluate_contrast", "format_report"]
