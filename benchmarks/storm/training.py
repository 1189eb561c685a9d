"""`python -m benchmarks.storm.training TEMPLATE OUTPUT`: a small training run that tells every step it has saved."""

from __future__ import annotations

import sys
from pathlib import Path

from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.template import Template
from mammosynth.training.train import train_model
from tests.support.templates import tiny_pair


def main() -> None:
    """Train on tiny pairs, or go on with it."""
    template = Template.find(CONTRAST, Path(sys.argv[1]))
    recipe = template.recipe({"threads": 1, "checkpoint_every_s": 0.0})
    pairs = [tiny_pair(seed) for seed in range(3)]

    def tell(fraction: float, message: str, values: dict[str, float]) -> None:
        if message.startswith("step"):  # told once its checkpoint is written
            print(round(fraction * recipe.steps), flush=True)

    train_model(pairs[:2], pairs[2:], output=Path(sys.argv[2]), template=template, recipe=recipe, progress=tell)


if __name__ == "__main__":
    main()
