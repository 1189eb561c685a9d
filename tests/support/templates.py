"""A tiny bundle to train anew, and pairs to train it on."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save_file

from mammosynth.bundle import build_synthesizer
from mammosynth.mammogram import Mammogram
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.framed import FramedPair, Preprocessing
from mammosynth.tasks.contrast.preflight import check_pairs
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.terms import ViewPosition
from tests.support.breasts import half_ellipse

FRAME = (32, 24)
# One layer that looks at nothing but the image: no batch statistics, no dropout.
NETWORK = {
    "_target_": "torch.nn.Conv2d",
    "in_channels": len(BreastFramePreprocessing.CHANNELS),
    "out_channels": 2,
    "kernel_size": 3,
    "padding": 1,
}


def write_template(
    folder: Path, *, network: dict[str, Any] = NETWORK, objective: str = "residual", **recipe: Any
) -> Path:
    """A bundle folder with random weights."""
    (folder / "configs").mkdir(parents=True)
    inference = {
        "preprocessing": {
            "_target_": "mammosynth.tasks.contrast.preprocessing.BreastFramePreprocessing",
            "frame_shape": list(FRAME),
        },
        "network": network,
        "synthesizer": {
            "_target_": "mammosynth.tasks.contrast.synthesizer.ContrastSynthesizer",
            "preprocessing": "@preprocessing",
            "network": "@network",
        },
    }
    metadata = {"version": "0.1.0", "mammosynth": {"task": "contrast", "default": True}}
    train = {"objective": objective, "recipe": recipe}
    for name, values in (("inference", inference), ("metadata", metadata), ("train", train)):
        (folder / "configs" / f"{name}.json").write_text(json.dumps(values))
    (folder / "LICENSE").write_text("a licence")
    (folder / "models").mkdir()
    save_file(build_synthesizer(folder).network.state_dict(), folder / "models" / "model.safetensors")
    return folder


def framed(pairs: Sequence[ContrastPair], preprocessing: Preprocessing | None = None) -> list[FramedPair]:
    """As training gets them."""
    return check_pairs(pairs, [], preprocessing or BreastFramePreprocessing(FRAME)).train


def tiny_pair(seed: int, *, empty: bool = False) -> ContrastPair:
    """64 x 64 pixels: a breast with texture, and one lesion that enhances."""
    breast = half_ellipse(64, 64) & (not empty)
    texture = np.random.default_rng(seed).uniform(0.2, 0.6, breast.shape)
    lesion = np.zeros(breast.shape, bool)
    lesion[28:36, 14:22] = True
    source = Mammogram((breast * texture).astype(np.float32), f"{seed}.png", view_position=ViewPosition.CC)
    return ContrastPair(source, (breast * (0.2 + 0.5 * lesion)).astype(np.float32), f"P{seed}", lesion=lesion)
