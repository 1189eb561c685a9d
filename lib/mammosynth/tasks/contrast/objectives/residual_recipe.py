"""`ResidualRecipe`: every choice of a run of the objective "residual"."""

from __future__ import annotations

from pydantic import Field

from mammosynth.training.recipe import TrainingRecipe


class ResidualRecipe(TrainingRecipe):
    """Paired regression with AdamW."""

    ssim_weight: float = Field(0.1, ge=0.0, le=10.0)
    """Weight of 1 - SSIM beside the mean absolute error."""
    correlation_weight: float = Field(0.05, ge=0.0, le=10.0)
    """Weight of 1 - correlation, of the image and of its high-pass part."""
    lesion_weight: float = Field(0.5, ge=0.0, le=100.0)
    """Extra weight of a lesion pixel in the mean absolute error."""
    contrast_weight: float = Field(0.0, ge=0.0, le=100.0)
    """Weight of the error of each lesion's contrast, lesion minus ring around it."""
    patients: float = Field(1.0, ge=0.01, le=1.0)
    """Share of the training patients that this run sees, drawn by its seed: members of an ensemble that saw other
    patients differ more, and are better together, than members of other seeds alone."""
    rotation_deg: float = Field(6.0, ge=0.0, le=45.0)
    """Largest rotation of the augmentation."""
    scaling: float = Field(0.08, ge=0.0, le=0.5)
    """Largest relative change of size; half of it is the largest change of height against width."""
    translation: float = Field(0.02, ge=0.0, le=0.5)
    """Largest shift in frame heights."""
    elastic: float = Field(0.0, ge=0.0, le=0.1)
    """Standard deviation, in frame heights, of the shifts of a coarse grid that deforms the breast."""
    gamma: float = Field(0.25, ge=0.0, le=1.0)
    """Largest |log gamma| of the source's grey values."""
    gain: float = Field(0.1, ge=0.0, le=1.0)
    """Largest relative change of the source's brightness."""
    noise: float = Field(0.01, ge=0.0, le=0.5)
    """Largest standard deviation of noise added to the source."""
