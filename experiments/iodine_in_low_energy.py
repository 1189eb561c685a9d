"""How much of synthesized contrast is read from iodine in the low-energy image, how much guessed from morphology?

    PYTHONPATH=. python -m experiments.iodine_in_low_energy --output runs/iodine-in-low-energy --jobs 2

Low-energy images of contrast-enhanced mammography are exposed after injection, so they hold a little iodine. Phantoms
can be had without it. The contrast network is trained four times on the same breasts, with and without iodine in the
low-energy image, and with uptake as coded for each kind of lesion ("natural") or drawn independently of it
("decorrelated"). All four and the released model are shown twins of lesions of other patients, which differ only in
their iodine. Every step is kept in the output folder; the same command goes on where it was interrupted.

Writes `readings.csv`, `results.json`, `tables.md` and, into --images, `iodine-*.png`.
See docs/concepts/iodine-in-low-energy.md. Needs matplotlib, which the extra `server` installs.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from experiments.iodine_figures import draw_figures
from experiments.iodine_lesion_reader import LESION_READER, cut_patches, read_iodine, train_lesion_reader
from experiments.iodine_response import (
    LOW_ENERGY,
    RAW_SIGNAL,
    TARGET_AGAIN,
    TOLD_KIND,
    WITH,
    Lesions,
    Reading,
    read_bounds,
    read_lesion_reader,
    read_models,
    read_readings,
    summarise,
    synthesize,
    threshold_of,
    visibility,
    write_readings,
)
from experiments.iodine_tables import Results, write_tables
from experiments.iodine_twins import (
    DECORRELATED,
    FREE,
    NATURAL,
    TwinSettings,
    TwinView,
    missing_patients,
    read_patient_views,
    read_views,
    write_patient,
)
from mammosynth.bundle import METADATA, Bundle, default_model_zoo, load_bundle, read_config
from mammosynth.parallel.local import LocalEngine
from mammosynth.phantom.parameters import LesionKind
from mammosynth.tasks.contrast.objectives.residual_recipe import ResidualRecipe
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.terms import ViewPosition
from mammosynth.training.template import Template
from mammosynth.training.train import train_model

logger = logging.getLogger("iodine_in_low_energy")

RELEASED = "released"
TRAININGS = {  # name: uptake, whether iodine is in the low-energy images
    f"{uptake}, {WITH if iodine else FREE}": (uptake, iodine)
    for iodine in (True, False)
    for uptake in (NATURAL, DECORRELATED)
}
EXAMPLE = f"{DECORRELATED}, {WITH}"
READER_STEPS = 4  # of the lesion reader for each of a full-image network
BOUNDS = (
    (LESION_READER, WITH),
    (LOW_ENERGY, WITH),
    (LOW_ENERGY, FREE),
    (RAW_SIGNAL, WITH),
    (TOLD_KIND, FREE),
    (TARGET_AGAIN, WITH),
)


@dataclass(frozen=True)
class Settings:
    """One run.

    Attributes:
        output: Everything goes here.
        twins: What is generated.
        recipe: Of every training.
        jobs: Processes.
        bootstrap: Resamples of patients.
        trainings: Names in `TRAININGS`.
    """

    output: Path
    twins: TwinSettings
    recipe: ResidualRecipe
    jobs: int = 1
    bootstrap: int = 2000
    trainings: tuple[str, ...] = tuple(TRAININGS)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of all models, the released one first."""
        return (RELEASED, *self.trainings)

    @property
    def patients(self) -> Path:
        """Folder of generated twins."""
        return self.output / "patients"

    def bundle(self, name: str) -> Path:
        """Folder of a trained model."""
        return self.output / _folder_name(name)


def generate(settings: Settings) -> None:
    """Generate what is missing."""
    missing = missing_patients(settings.patients, settings.twins)
    jobs = LocalEngine(settings.jobs).run(partial(write_patient, settings.patients, settings.twins), missing)
    for done, _ in enumerate(jobs, 1):
        if done % 10 == 0 or done == len(missing):
            logger.info("generated %d of %d patients", done, len(missing))


def train(settings: Settings) -> None:
    """Train what is missing."""
    missing = [name for name in settings.trainings if not (settings.bundle(name) / METADATA).is_file()]
    for name, _ in LocalEngine(settings.jobs).run(partial(train_one, settings), missing):
        logger.info("trained: %s", name)


def train_one(settings: Settings, name: str) -> None:
    """Train one model; its log lies beside its checkpoint."""
    twin, iodine = TRAININGS[name]
    train_pairs, val_pairs = (
        [view.pair(twin, iodine_in_low_energy=iodine) for view in read_views(settings.patients, settings.twins, split)]
        for split in ("train", "val")
    )
    template = Template.find(CONTRAST)
    train_model(train_pairs, val_pairs, output=settings.bundle(name), template=template, recipe=settings.recipe)


def read(settings: Settings) -> list[Reading]:
    """Show models the twins of val and test; what a model has been shown is not shown to it again."""
    patients = [patient for split in ("val", "test") for patient in settings.twins.patients(split)]
    jobs = [(model, *patient) for model in (*settings.models, "") for patient in patients]
    missing = [job for job in jobs if not _readings_path(settings, *job[:2]).is_file()]
    for done, _ in enumerate(LocalEngine(settings.jobs).run(partial(read_patient, settings), missing), 1):
        if done % 60 == 0 or done == len(missing):
            logger.info("read %d of %d patients and models", done, len(missing))
    readings = [reading for job in jobs for reading in read_readings(_readings_path(settings, *job[:2]))]
    readings += read_with_lesion_reader(settings)
    write_readings(settings.output / "readings.csv", readings)
    return readings


def read_with_lesion_reader(settings: Settings) -> list[Reading]:
    """Train the lesion reader and show it the twins of val and test."""
    path = settings.output / "readings" / "lesion-reader.csv"
    if not path.is_file():
        views = {
            split: list(read_views(settings.patients, settings.twins, split)) for split in ("train", "val", "test")
        }
        network = train_lesion_reader(cut_patches(views["train"]), steps=READER_STEPS * settings.recipe.steps)
        shown = views["val"] + views["test"]
        contrasts = read_iodine(network, cut_patches(shown))
        write_readings(path, read_lesion_reader(shown, contrasts, LESION_READER))
    return read_readings(path)


def read_patient(settings: Settings, job: tuple[str, int, LesionKind]) -> None:
    """Show one model the twins of one patient; without a model's name, what needs no network."""
    model, seed, kind = job
    readings: list[Reading] = []
    for view in read_patient_views(settings.patients, settings.twins, seed, kind):
        readings += read_models(view, {model: load_model(settings, model)}) if model else read_bounds(view)
    path = _readings_path(settings, model, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_readings(path, readings)


def load_model(settings: Settings, name: str) -> Bundle:
    """A trained or the released model; every process loads it once."""
    return _load(default_model_zoo() / "breast_cem_residual" if name == RELEASED else settings.bundle(name))


@cache
def _load(folder: Path) -> Bundle:
    return load_bundle(folder)


def _readings_path(settings: Settings, model: str, seed: int) -> Path:
    return settings.output / "readings" / (_folder_name(model) or "bounds") / f"{seed:05d}.csv"


def _folder_name(model: str) -> str:
    return model.replace(", ", "_").replace(" ", "-")


def evaluate(settings: Settings, readings: Sequence[Reading]) -> Results:
    """Numbers with intervals of every model and bound on the test split."""
    of_val = {seed for seed, _ in settings.twins.patients("val")}
    val = [reading for reading in readings if reading.seed in of_val]
    test = [reading for reading in readings if reading.seed not in of_val]
    rows = []
    for model, low_energy in [(model, seen) for model in settings.models for seen in (WITH, FREE)] + list(BOUNDS):
        threshold = threshold_of(Lesions(val, model, low_energy))
        lesions = Lesions(test, model, low_energy)
        kinds = {str(kind): Lesions(test, model, low_energy, str(kind)) for kind in LesionKind}
        rows.append(
            {
                "model": model,
                "low_energy": low_energy,
                "threshold": threshold,
                "n_lesions": len(lesions),
                "n_patients": len(set(lesions.patients)),
                "numbers": summarise(lesions, threshold, settings.bootstrap),
                "by_kind": {
                    kind: {"n_lesions": len(of_kind), **summarise(of_kind, threshold, settings.bootstrap)}
                    for kind, of_kind in kinds.items()
                    if len(of_kind)
                },
            }
        )
    return {
        "settings": {
            "breasts": settings.twins.breasts,
            "pixel_mm": settings.twins.pixel_mm,
            "views": [str(view) for view in settings.twins.views],
            "trainings": {name: _training(settings.bundle(name)) for name in settings.trainings},
            "bootstrap": settings.bootstrap,
        },
        "visibility": visibility(test, settings.bootstrap),
        "models": rows,
    }


def _training(bundle: Path) -> dict[str, float]:
    """Steps of a training, the step that was kept, and its scores on val in the network's frame."""
    ours = read_config(bundle, METADATA)["mammosynth"]
    return {"steps": ours["training"]["recipe"]["steps"], **ours["training"]["val_in_frame"]}


def choose_example(settings: Settings, readings: Sequence[Reading]) -> TwinView:
    """The test lesion in a mass whose response in the model trained on decorrelated twins with iodine is the median."""
    kinds = dict(settings.twins.patients("test"))
    name = settings.trainings[-1] if EXAMPLE not in settings.trainings else EXAMPLE
    chosen = [r for r in readings if r.seed in kinds and r.view_position == settings.twins.views[0]]
    masses = [r for r in chosen if r.kind not in (LesionKind.NON_MASS, LesionKind.CALCIFICATIONS)]
    lesions = Lesions(masses, name, WITH)
    covariance, variance = lesions.slopes()
    order = (covariance / variance).argsort()
    seed = int(lesions.patients[order[len(order) // 2]])
    views = read_patient_views(settings.patients, settings.twins, seed, kinds[seed])
    return next(view for view in views if view.view_position is settings.twins.views[0])


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all steps that are not done yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of everything; the same one goes on")
    parser.add_argument("--images", type=Path, help="where the pictures go; default: the output folder")
    parser.add_argument("--breasts", default="90,12,48", help="patients to train, validate and test on")
    parser.add_argument("--pixel-mm", type=float, default=1.0)
    parser.add_argument("--views", default="CC,MLO")
    parser.add_argument("--steps", type=int, default=500, help="of every training")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--trainings", default=";".join(TRAININGS), help="which of them, separated by semicolons")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--bootstrap", type=int, default=2000)
    parser.add_argument("--only", choices=("generate", "train", "read", "report"), help="stop after this step")
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    counts = dict(zip(("train", "val", "test"), map(int, args.breasts.split(",")), strict=True))
    settings = Settings(
        output=args.output,
        twins=TwinSettings(counts, args.pixel_mm, tuple(ViewPosition(view) for view in args.views.split(","))),
        recipe=ResidualRecipe(
            steps=args.steps,
            batch_size=args.batch,
            warmup_steps=min(30, args.steps // 4),
            ema_decay=0.98,
            validate_every=max(1, args.steps // 4),
            threads=1,
        ),
        jobs=args.jobs,
        bootstrap=args.bootstrap,
        trainings=tuple(args.trainings.split(";")),
    )
    run(settings, args.images or args.output, args.only)


def run(settings: Settings, images: Path, last: str | None = None) -> None:
    """All steps up to the last one wanted."""
    settings.output.mkdir(parents=True, exist_ok=True)
    for step in (generate, train):
        step(settings)
        if last == step.__name__:
            return
    readings = read(settings)
    if last == "read":
        return
    results = evaluate(settings, readings)
    (settings.output / "results.json").write_text(json.dumps(results, indent=1))
    (settings.output / "tables.md").write_text(write_tables(results))
    example = choose_example(settings, readings)
    bundles = {model: load_model(settings, model) for model in settings.models}
    outputs = {twin: synthesize(example, twin, bundles) for twin in example.low_energy}
    images.mkdir(parents=True, exist_ok=True)
    test = {seed for seed, _ in settings.twins.patients("test")}
    draw_figures(images, results, [r for r in readings if r.seed in test], example, outputs)
    logger.info("wrote %s and pictures", settings.output / "tables.md")


if __name__ == "__main__":
    main()
