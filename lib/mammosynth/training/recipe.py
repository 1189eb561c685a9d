"""`TrainingRecipe`: every choice of a training run, checked once; each objective adds its own to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from mammosynth.errors import InvalidParameterError

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "an integer"),
    "float": ((int, float), "a number"),
    "str": ((str,), "a word"),
    "bool": ((bool,), "true or false"),
}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": {"true": True, "false": False}.__getitem__,
}


@dataclass(frozen=True)
class TrainingRecipe:
    """What the loop needs to know. A released model's own values stand in its bundle's train.json.

    An objective's recipe inherits from this one, and adds the ranges of its fields to `RANGES` and `CHOICES`.

    Attributes:
        steps: Optimizer steps at most.
        batch_size: Pairs per step, over all processes together.
        learning_rate: After the warm-up.
        schedule: "cosine" to zero over all steps, or "constant".
        warmup_steps: Steps of linear warm-up.
        weight_decay: Of weights that are no bias and no normalisation.
        gradient_clip: Largest norm of an optimizer's gradients; 0 does not clip.
        ema_decay: Of the moving average of the generator, which is what is kept.
        precision: "float32", "bfloat16" or "float16"; the last on a GPU only.
        validate_every: Steps between validations.
        patience: Validations without a better val_score after which the run ends; 0 never ends it.
        sample_every: Steps between sample grids; 0 draws none.
        checkpoint_every_s: Seconds between checkpoints.
        threads: CPU threads; 0 leaves torch's own choice. The same number gives the same weights.
        device: A torch device; of several processes, each takes the "cuda" device of its rank.
        seed: Of weights, order and everything else that is drawn.
    """

    steps: int = 2600
    batch_size: int = 6
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup_steps: int = 50
    weight_decay: float = 1e-3
    gradient_clip: float = 1.0
    ema_decay: float = 0.997
    precision: str = "float32"
    validate_every: int = 100
    patience: int = 0
    sample_every: int = 500
    checkpoint_every_s: float = 45.0
    threads: int = 0
    device: str = "cpu"
    seed: int = 0

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        "steps": (1, 1_000_000),
        "batch_size": (1, 4096),
        "learning_rate": (1e-7, 1.0),
        "warmup_steps": (0, 100_000),
        "weight_decay": (0.0, 1.0),
        "gradient_clip": (0.0, 1e6),
        "ema_decay": (0.0, 0.99999),
        "validate_every": (1, 1_000_000),
        "patience": (0, 1_000_000),
        "sample_every": (0, 1_000_000),
        "checkpoint_every_s": (0.0, 3600.0),
        "threads": (0, 1024),
        "seed": (0, 2**32 - 1),
    }
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "schedule": ("cosine", "constant"),
        "precision": ("float32", "bfloat16", "float16"),
    }
    OF_THE_MACHINE: ClassVar[frozenset[str]] = frozenset({"threads", "device", "checkpoint_every_s"})
    """Not part of what a model is: a template's own values are not taken over, a resumed run may change them."""

    def __post_init__(self) -> None:
        """Refuse values of the wrong kind or out of range.

        Raises:
            InvalidParameterError: With every bad field.
        """
        problems = [text for field in dataclasses.fields(self) if (text := self._problem(field))]
        if problems:
            raise InvalidParameterError("training recipe: " + "; ".join(problems))

    def _problem(self, field: dataclasses.Field[Any]) -> str:
        name, kind, value = field.name, str(field.type), getattr(self, field.name)
        accepted, called = _KINDS[kind]
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind != "bool"):
            return f"{name} is {value!r}, expected {called}"
        if name in self.CHOICES and value not in self.CHOICES[name]:
            return f"{name} is {value!r}, expected {' or '.join(self.CHOICES[name])}"
        low, high = self.RANGES.get(name, (None, None))
        if low is not None and not low <= getattr(self, name) <= high:
            return f"{name} is {value}, expected {low:g} to {high:g}"
        return ""

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """A recipe from names and values, for example from a train.json or a request.

        Raises:
            InvalidParameterError: With every name that is unknown and every value that is out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        problems = []
        if unknown := sorted(set(values) - set(known)):
            problems.append(f"training recipe: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        try:
            recipe = cls(**{name: value for name, value in values.items() if name in known})
        except InvalidParameterError as error:
            problems.append(str(error))
        if problems:
            raise InvalidParameterError("; ".join(problems))
        return recipe

    @classmethod
    def parse(cls, settings: Mapping[str, str]) -> dict[str, Any]:
        """Values from text, for `from_values`; text that is no value of its field stays text, to be refused there."""
        kinds = {field.name: str(field.type) for field in dataclasses.fields(cls)}
        return {name: _value(text, kinds.get(name, "str")) for name, text in settings.items()}

    @classmethod
    def describe(cls, defaults: Mapping[str, Any]) -> str:
        """One line per setting: name, default, what is accepted."""
        lines = []
        for field in dataclasses.fields(cls):
            accepted = " or ".join(cls.CHOICES.get(field.name, ()))
            if field.name in cls.RANGES:
                accepted = "{:g} to {:g}".format(*cls.RANGES[field.name])
            lines.append(f"  {field.name}={defaults.get(field.name, field.default)}".ljust(36) + accepted)
        return "\n".join(line.rstrip() for line in lines)

    def as_json(self) -> dict[str, Any]:
        """The resolved recipe as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class ResidualRecipe(TrainingRecipe):
    """A run of the objective "residual": paired regression with AdamW.

    Attributes:
        ssim_weight: Weight of 1 - SSIM beside the mean absolute error.
        correlation_weight: Weight of 1 - correlation, of the image and of its high-pass part.
        lesion_weight: Extra weight of a lesion pixel in the mean absolute error.
        contrast_weight: Weight of the error of each lesion's contrast, lesion minus ring around it.
        patients: Share of the training patients that this run sees, drawn by its seed: members of an ensemble that saw
            other patients differ more, and are better together, than members of other seeds alone.
        rotation_deg: Largest rotation of the augmentation.
        scaling: Largest relative change of size; half of it is the largest change of height against width.
        translation: Largest shift in frame heights.
        elastic: Standard deviation, in frame heights, of the shifts of a coarse grid that deforms the breast.
        gamma: Largest |log gamma| of the source's grey values.
        gain: Largest relative change of the source's brightness.
        noise: Largest standard deviation of noise added to the source.
    """

    ssim_weight: float = 0.1
    correlation_weight: float = 0.05
    lesion_weight: float = 0.5
    contrast_weight: float = 0.0
    patients: float = 1.0
    rotation_deg: float = 6.0
    scaling: float = 0.08
    translation: float = 0.02
    elastic: float = 0.0
    gamma: float = 0.25
    gain: float = 0.1
    noise: float = 0.01

    RANGES: ClassVar[Mapping[str, tuple[float, float]]] = {
        **TrainingRecipe.RANGES,
        "ssim_weight": (0.0, 10.0),
        "correlation_weight": (0.0, 10.0),
        "lesion_weight": (0.0, 100.0),
        "contrast_weight": (0.0, 100.0),
        "patients": (0.01, 1.0),
        "rotation_deg": (0.0, 45.0),
        "scaling": (0.0, 0.5),
        "translation": (0.0, 0.5),
        "elastic": (0.0, 0.1),
        "gamma": (0.0, 1.0),
        "gain": (0.0, 1.0),
        "noise": (0.0, 0.5),
    }


def _value(text: str, kind: str) -> Any:
    try:
        return _PARSERS[kind](text)
    except (ValueError, KeyError):
        return text
