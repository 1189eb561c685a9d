"""`TrainingRecipe`: every choice of a training run, checked once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from mammosynth.errors import InvalidParameterError

_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 1_000_000),
    "batch_size": (1, 256),
    "learning_rate": (1e-7, 1.0),
    "weight_decay": (0.0, 1.0),
    "warmup_steps": (0, 100_000),
    "ssim_weight": (0.0, 10.0),
    "correlation_weight": (0.0, 10.0),
    "lesion_weight": (0.0, 100.0),
    "ema_decay": (0.0, 0.99999),
    "validate_every": (1, 1_000_000),
    "checkpoint_every_s": (0.0, 3600.0),
    "rotation_deg": (0.0, 45.0),
    "scaling": (0.0, 0.5),
    "translation": (0.0, 0.5),
    "gamma": (0.0, 1.0),
    "gain": (0.0, 1.0),
    "noise": (0.0, 0.5),
    "threads": (0, 1024),
    "seed": (0, 2**32 - 1),
}


@dataclass(frozen=True)
class TrainingRecipe:
    """A run of `train_contrast`. The released model's own values stand in its bundle's train.json.

    Attributes:
        steps: Optimizer steps; the learning rate follows a cosine over them.
        batch_size: Pairs per step.
        learning_rate: AdamW, after the warm-up.
        weight_decay: AdamW.
        warmup_steps: Steps of linear warm-up.
        ssim_weight: Weight of 1 - SSIM beside the mean absolute error.
        correlation_weight: Weight of 1 - correlation, of the smoothed image and of its high-pass part.
        lesion_weight: Extra weight of a lesion pixel in the mean absolute error.
        ema_decay: Of the moving average of the weights, which is what is kept.
        validate_every: Steps between validations.
        checkpoint_every_s: Seconds between checkpoints.
        rotation_deg: Largest rotation of the augmentation.
        scaling: Largest relative change of size.
        translation: Largest shift in frame heights.
        gamma: Largest |log gamma| of the source's grey values.
        gain: Largest relative change of the source's brightness.
        noise: Largest standard deviation of noise added to the source.
        threads: CPU threads; 0 leaves torch's own choice. The same number gives the same weights.
        device: A torch device.
        seed: Of weights, order and augmentation.
    """

    steps: int = 2600
    batch_size: int = 6
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup_steps: int = 50
    ssim_weight: float = 0.1
    correlation_weight: float = 0.05
    lesion_weight: float = 0.5
    ema_decay: float = 0.997
    validate_every: int = 100
    checkpoint_every_s: float = 45.0
    rotation_deg: float = 6.0
    scaling: float = 0.08
    translation: float = 0.02
    gamma: float = 0.25
    gain: float = 0.1
    noise: float = 0.01
    threads: int = 0
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            InvalidParameterError: With every bad field.
        """
        problems = []
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            integral = type(self).__dataclass_fields__[name].type == "int"
            if isinstance(value, bool) or not isinstance(value, int if integral else (int, float)):
                problems.append(f"{name} is {value!r}, expected {'an integer' if integral else 'a number'}")
            elif not low <= value <= high:
                problems.append(f"{name} is {value}, expected {low:g} to {high:g}")
        if problems:
            raise InvalidParameterError("training recipe: " + "; ".join(problems))

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> TrainingRecipe:
        """A recipe from names and values, for example from a train.json or a request.

        Raises:
            InvalidParameterError: If a name is unknown or a value out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise InvalidParameterError(f"training recipe: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

    def as_json(self) -> dict[str, Any]:
        """The resolved recipe as JSON values."""
        return dataclasses.asdict(self)
