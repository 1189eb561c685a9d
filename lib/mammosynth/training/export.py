"""A finished run as a bundle that can be served: weights, configuration, licence, card, metadata."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from safetensors.torch import save

from mammosynth import __version__
from mammosynth.atomic import write_bytes, write_json
from mammosynth.bundle import INFERENCE, METADATA, TRAIN, WEIGHTS, hash_file, read_config
from mammosynth.counts import count_of
from mammosynth.task import TaskSpec
from mammosynth.training.run import TrainingRun
from mammosynth.training.template import Template

RUN = Path("run", "run.json")


def write_bundle(output: Path, template: Template, run: TrainingRun, prefix: str, record: dict[str, Any]) -> None:
    """Weights first, metadata last: a folder is found as a bundle only once it is complete.

    Args:
        output: Folder of the new bundle.
        template: Bundle whose network was trained.
        run: The finished run.
        prefix: Of the generator's weights in the bundle's network.
        record: What is known about the run; goes into run.json and the metadata.
    """
    # Half precision for the convolutions; biases and batch statistics are few and stay as they are.
    state = {
        prefix + key: (value.half() if value.ndim >= 2 else value).cpu().contiguous()
        for key, value in run.best.items()
        if not key.endswith("num_batches_tracked")
    }
    write_bytes(output / WEIGHTS, save(state))
    if (template.folder / "LICENSE").is_file():
        write_bytes(output / "LICENSE", (template.folder / "LICENSE").read_bytes())
    write_json(output / INFERENCE, record["inference"])
    whole = bool(template.training.network)
    own = {"objective": record["objective"], "recipe": record["recipe"]}
    write_json(output / TRAIN, read_config(template.folder, TRAIN) if whole else own)
    ended = run.ending or f"stopped after {run.step} of {count_of(run.recipe.steps, 'step')}"
    record = {**record, "software_version": __version__, "seconds": round(run.seconds, 1), "ended": ended}
    write_json(output / RUN, record)
    card = _card(output.resolve().name, template.task, run, record)
    write_bytes(output / "docs" / "README.md", card.encode())
    metadata = read_config(template.folder, METADATA)
    today = datetime.now().astimezone().date().isoformat()
    metadata.update(
        version="0.1.0",
        changelog={"0.1.0": f"trained {today} with mammosynth {__version__}"},
        description=f"{template.task.description} Trained by this software's training command.",
        data_source="see docs/README.md",
    )
    known, renderings = metadata["mammosynth"], template.training.renderings
    training = {
        **{key: value for key, value in record.items() if key != "inference"},
        "val_in_frame": run.best_scores,
    }
    metadata["mammosynth"] = {
        **{key: value for key, value in known.items() if key in ("renderings", "requires", "views")},
        **({"renderings": list(renderings)} if renderings else {}),
        "task": template.task.name,
        "default": False,
        "weights_sha256": hash_file(output / WEIGHTS, output.name),
        # What is fitted to members leaves them, and what is known of them, as they are.
        "training": {**known.get("training", {}), template.objective: training} if whole else training,
        "scores": {},
    }
    write_json(output / METADATA, metadata)


def _card(name: str, task: TaskSpec, run: TrainingRun, record: dict[str, Any]) -> str:
    scores = "\n".join(f"| {key} | {value:.4f} |" for key, value in run.best_scores.items())
    counts, initial = record["counts"], record["initial_weights"]
    start = f"Started from the weights of {initial['bundle']} (SHA-256 {initial['sha256']}). " if initial else ""
    return (
        f"# {name}\n\n{task.description} Research only, not for diagnosis.\n\n"
        f"Trained by mammosynth {__version__} (objective {record['objective']}, template {record['template']}) on "
        f"{count_of(counts['train']['cases'], 'case')} of {count_of(counts['train']['patients'], 'patient')}, "
        f"validated on {count_of(counts['val']['cases'], 'case')} of {count_of(counts['val']['patients'], 'patient')}; "
        f"{count_of(run.step, 'step')}, "
        f"{run.seconds:.0f} s: {record['ended']}. {start}\n\nData (SHA-256): train {record['train_sha256']}, "
        f"val {record['val_sha256']}.\n\nIn the network's frame, on the validation cases:\n\n"
        f"| score | value |\n|---|---|\n"
        f"{scores}\n\nFor figures to report, with intervals and floors, run the evaluation of this software.\n\n"
        f"Recipe: `configs/train.json`.\n"
    )
