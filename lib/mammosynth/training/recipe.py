"""`TrainingRecipe`: every choice of a training run, checked once; each objective adds its own to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mammosynth.parameters import Parameters

Steps = Annotated[int, Field(ge=1, le=1_000_000)]
StepsOrNone = Annotated[int, Field(ge=0, le=1_000_000)]
BatchSize = Annotated[int, Field(ge=1, le=4096)]
LearningRate = Annotated[float, Field(ge=1e-7, le=1.0)]
Schedule = Literal["cosine", "constant"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Norm = Annotated[float, Field(ge=0.0, le=1e6)]
Decay = Annotated[float, Field(ge=0.0, le=0.99999)]


class TrainingRecipe(Parameters):
    """What the loop needs to know. A released model's own values stand in its bundle's train.json.

    An objective's recipe inherits from this one, and adds its own fields.
    """

    OF_THE_MACHINE: ClassVar[frozenset[str]] = frozenset({"threads", "device", "checkpoint_every_s"})
    """Not part of what a model is: a template's own values are not taken over, a resumed run may change them."""

    steps: Steps = 2600
    """Optimizer steps at most."""
    batch_size: BatchSize = 6
    """Pairs per step, over all processes together."""
    learning_rate: LearningRate = 2e-3
    """After the warm-up."""
    schedule: Schedule = "cosine"
    """Of the learning rate: cosine to zero over all steps, or constant."""
    warmup_steps: StepsOrNone = 50
    """Steps of linear warm-up."""
    weight_decay: Fraction = 1e-3
    """Of weights that are no bias and no normalisation."""
    gradient_clip: Norm = 1.0
    """Largest norm of an optimizer's gradients; 0 does not clip."""
    ema_decay: Decay = 0.997
    """Of the moving average of the generator, which is what is kept."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the network's arithmetic; float16 on a GPU only."""
    validate_every: Steps = 100
    """Steps between validations."""
    patience: StepsOrNone = 0
    """Validations without a better val_score after which the run ends; 0 never ends it."""
    sample_every: StepsOrNone = 500
    """Steps between sample grids; 0 draws none."""
    checkpoint_every_s: float = Field(45.0, ge=0.0, le=3600.0)
    """Seconds between checkpoints."""
    threads: int = Field(0, ge=0, le=1024)
    """CPU threads; 0 leaves torch's own choice. The same number gives the same weights."""
    device: str = "cpu"
    """A torch device; of several processes, each takes the "cuda" device of its rank."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Of weights, order and everything else that is drawn."""

    @classmethod
    def describe(cls, defaults: Mapping[str, Any]) -> str:
        """One line per setting: name, default, what is accepted."""
        lines = []
        for name, entry in cls.json_schema()["properties"].items():
            accepted = " or ".join(entry.get("enum", ()))
            if "minimum" in entry:
                accepted = f"{entry['minimum']:g} to {entry['maximum']:g}"
            lines.append(f"  {name}={defaults.get(name, entry['default'])}".ljust(36) + accepted)
        return "\n".join(line.rstrip() for line in lines)


class PlainRecipe(TrainingRecipe):
    """As adversarial systems are published: one learning rate, nothing warmed up, decayed or clipped."""

    schedule: Schedule = "constant"
    warmup_steps: StepsOrNone = 0
    weight_decay: Fraction = 0.0
    gradient_clip: Norm = 0.0
