"""Does a map of where lesions are, learned from film, too, make those of `breast_cem_residual` brighter?

    PYTHONPATH=. python -m experiments.contrast_lesion_map --data <cdd-cesm folder> --film <folder of film>
        --output <folder>

The map: a small head on frozen features of photographs and on the image's own scales says at every eighth pixel of the
frame how likely a lesion is; it learns from masks on film and on low-energy images. The image: a few numbers times the
map, the local contrast of the low-energy and of the expected image, and the expected image are added to it, in closed
form; they are fitted on `train` to maps by heads, and to images by members, that have not seen the patient. Scored on
`val`, beside the same fit without a map and with what readers have drawn on the low-energy image instead of the map,
which no map can better. Writes `maps.json`, `results.json` and `table.md`.

Every fold's member and every head is kept: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy import ndimage
from torch import nn
from torch.nn import functional as F

from experiments.compared import LESIONS, compare_rows, write_table
from mammosynth.bundle import METADATA, default_model_zoo, load_bundle
from mammosynth.evaluation.statistics import interval, resample_patients, weighted_auroc, weighted_mean
from mammosynth.mammogram import Mammogram
from mammosynth.networks.efficientnet_lite import MIDDLE_BLOCKS, load_pretrained
from mammosynth.preprocessing.pairs import ContrastPair, read_cdd_cesm, read_grey, read_table
from mammosynth.tasks.contrast.evaluation.evaluate import ENHANCING
from mammosynth.tasks.contrast.evaluation.false_enhancement import false_enhancement
from mammosynth.tasks.contrast.evaluation.metrics import auroc, correlation, dice, lesion_contrast, psnr
from mammosynth.tasks.contrast.evaluation.protocol import Case, hottest
from mammosynth.tasks.contrast.preprocessing import BreastFramePreprocessing
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.tasks.contrast.synthesizer import ContrastSynthesizer
from mammosynth.terms import ViewPosition
from mammosynth.training.objective import own_start_weights
from mammosynth.training.template import Template
from mammosynth.training.train import train_model

logger = logging.getLogger("contrast_lesion_map")

BUNDLE = "breast_cem_residual"
FOLDS, USED, MEMBER_STEPS = 3, 2, 200
"""Of the folds of `train`, two are used: their images are enough for five numbers, and each needs a training."""
FRAME, CELL = (512, 384), 8
TAPS = (4, 7, 10)
"""Blocks of the trunk that are seen: 40 features at an eighth of the frame, 80 and 112 at a sixteenth."""
SMOOTHINGS = (4, 8, 16, 32)
FILM_COLUMNS = ("split", "file", "patient", "view", "pathology")
SEEN, WIDTH = 40 + 80 + 112 + 12, 48
HEAD_STEPS, HALF_BATCH, RATE = 400, 6, 4e-3
MEANS = ("psnr", "ncc_interior", "ncc_hp", "dice_hot", "auroc_lesion", "false_enhancement")
EVERY = 5
"""Of the scored pixels that coefficients are fitted to, every so-manieth."""
RIDGE = 1e-4
WITHOUT, WITH = ("one", "expected", "of_expected", "of_low_energy"), ("one", "expected", "map", "map_x", "map_y")
ROWS = {
    "today": ((), 0.0),
    "fitted anew, without a map": (WITHOUT, 0.0),
    "fitted anew, without a map; lesion contrast counts": (WITHOUT, 0.3),
    "map": (WITH, 0.0),
    "map; lesion contrast counts": (WITH, 0.3),
    "map alone; lesion contrast counts": (("map",), 1.0),
}
"""Name to regressors, and what a squared error of lesion contrast counts beside the mean of those of pixels."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What the head sees of images, on the grid of an eighth of the frame, and what it must say.

    Attributes:
        patient_ids: Of each.
        fine: (N, 40, 64, 48) float16: features of the trunk at an eighth of the frame.
        coarse: (N, 192, 32, 24) float16: those at a sixteenth.
        own: (N, 12, 64, 48) float16: channels of the released model, bands of the normalised grey values, their spread.
        breast: (N, 64, 48) float16: how much of each place is breast.
        lesion: (N, 2, 64, 48) float16: how much is lesion, and how much malignant lesion.
    """

    patient_ids: list[str]
    fine: torch.Tensor
    coarse: torch.Tensor
    own: torch.Tensor
    breast: torch.Tensor
    lesion: torch.Tensor

    def take(self, chosen: np.ndarray) -> Seen:
        """Some of them, by their numbers."""
        tensors = {name: value[chosen] for name, value in vars(self).items() if name != "patient_ids"}
        return Seen([self.patient_ids[number] for number in chosen], **tensors)


def see(image: Mammogram, lesion: np.ndarray, is_malignant: bool) -> tuple[np.ndarray, ...]:
    """One image's part of a `Seen`.

    Args:
        image: A low-energy view or one on film; its view position is set.
        lesion: (H, W) bool.
        is_malignant: Whether any of its lesions is.
    """
    preprocessing = BreastFramePreprocessing(FRAME)
    prepared = preprocessing.prepare(image)
    breast = prepared.breast_mask
    channels = preprocessing.channels(prepared.low_energy, breast, prepared.view_position)
    colours = torch.from_numpy((channels[1] / 3 + 1) / 2).expand(1, 3, -1, -1)
    with torch.inference_mode():
        blocks = load_pretrained().block_outputs(colours.contiguous(memory_format=torch.channels_last), MIDDLE_BLOCKS)
        fine, *coarse = (features[0].numpy() for number, features in enumerate(blocks) if number in TAPS)
    smooth = [ndimage.gaussian_filter(channels[1], sigma) for sigma in SMOOTHINGS]
    bands = [first - second for first, second in pairwise(smooth)]
    own = _reduced([*channels, *bands, (channels[1] - smooth[0]) ** 2])
    drawn = prepared.frame.apply(lesion) * breast
    marked = _reduced([drawn, drawn * is_malignant, breast])
    arrays = fine, np.concatenate(coarse), own, marked[2], marked[:2]
    return tuple(array.astype(np.float16) for array in arrays)


def _reduced(maps: Sequence[np.ndarray]) -> np.ndarray:
    """(C, H, W) to (C, H / 8, W / 8): means."""
    whole = np.stack(maps).astype(np.float32)
    return whole.reshape(len(maps), FRAME[0] // CELL, CELL, FRAME[1] // CELL, CELL).mean(axis=(2, 4))


def _stacked(images: Iterator[tuple[str, tuple[np.ndarray, ...]]]) -> Seen:
    patient_ids, parts = zip(*images, strict=True)
    return Seen(list(patient_ids), *(torch.from_numpy(np.stack(part)) for part in zip(*parts, strict=True)))


def see_pairs(pairs: Sequence[ContrastPair]) -> Seen:
    """Low-energy images, with what is drawn on them or on the recombined image; all are malignant."""

    def images() -> Iterator[tuple[str, tuple[np.ndarray, ...]]]:
        for pair in pairs:
            drawn = [each for each in (pair.lesion, pair.low_energy_lesion) if each is not None]
            yield pair.patient_id, see(pair.low_energy, np.any(drawn, axis=0), True)

    return _stacked(images())


def read_film(folder: Path, split: str) -> Iterator[tuple[Mammogram, dict[str, str], np.ndarray]]:
    """Image, row of the index, and (H, W) bool: drawn outlines or, without any, the ellipse of a box."""
    for row in read_table(folder, "index.csv", FILM_COLUMNS, images="images"):
        if row["split"] == split:
            image = Mammogram(read_grey(folder / "images" / row["file"]), row["file"], ViewPosition(row["view"]))
            yield image, row, read_grey((folder / "masks" / row["file"]).with_suffix(".png")) > 0.25


def see_film(folder: Path, split: str) -> Seen:
    """Images on film, with what is drawn on them."""
    return _stacked(
        (row["patient"], see(image, lesion, "MALIGNANT" in row["pathology"]))
        for image, row, lesion in read_film(folder, split)
    )


class LesionHead(nn.Module):
    """Logits of lesion and of malignant lesion, from frozen features and the image's own scales."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Sequential(nn.BatchNorm2d(SEEN, affine=False), nn.Dropout2d(0.2), nn.Conv2d(SEEN, WIDTH, 1))
        self.layers = nn.Sequential(
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2, bias=False),
            nn.BatchNorm2d(WIDTH),
            nn.ReLU(),
        )
        self.context = nn.Conv2d(WIDTH, WIDTH, 1)
        self.logits = nn.Conv2d(WIDTH, 2, 1)
        nn.init.constant_(self.logits.bias, -3.0)  # lesions are rare

    def forward(self, fine: torch.Tensor, coarse: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """(B, 40, H, W), (B, 192, H / 2, W / 2), (B, 12, H, W) to (B, 2, H, W)."""
        enlarged = F.interpolate(coarse.float(), scale_factor=2, mode="bilinear", align_corners=False)
        hidden = self.layers(self.seen(torch.cat([fine.float(), enlarged, own.float()], dim=1)))
        return self.logits(hidden + self.context(hidden.mean(dim=(2, 3), keepdim=True)))


def train_head(sets: Sequence[Seen], kept: Path) -> LesionHead:
    """A head that learned from as many images of each set; trained unless it is kept."""
    with own_start_weights(0):
        head = LesionHead()
    if kept.is_file():
        head.load_state_dict(torch.load(kept, weights_only=True))
        return head.eval()
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(head.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=HEAD_STEPS)
    for _ in range(HEAD_STEPS):
        drawn = [each.take(random.integers(0, len(each.patient_ids), HALF_BATCH)) for each in sets]
        fine, coarse, own, breast, lesion = (
            torch.cat([getattr(each, name) for each in drawn]) for name in ("fine", "coarse", "own", "breast", "lesion")
        )
        weight = breast.float()[:, None]
        wrong = F.binary_cross_entropy_with_logits(head(fine, coarse, own), lesion.float(), reduction="none")
        loss = (wrong * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    torch.save(head.state_dict(), kept)
    return head.eval()


@torch.inference_mode()
def maps_of(head: LesionHead, seen: Seen) -> np.ndarray:
    """(N, 64, 48) float32 in [0, 1]: how likely a lesion is."""
    parts = torch.arange(len(seen.patient_ids)).split(8)
    logits = torch.cat([head(seen.fine[part], seen.coarse[part], seen.own[part]) for part in parts])
    return torch.sigmoid(logits[:, 0]).numpy()


def judge_maps(maps: np.ndarray, seen: Seen) -> dict[str, Any]:
    """AUROC of lesion against the rest of the breast, and how often the likeliest place is a lesion; over images."""
    rows, patient_ids = [], []
    for number, found in enumerate(maps):
        breast, lesion = seen.breast[number].numpy() > 0.9, seen.lesion[number, 0].numpy() > 0.5
        if (lesion & breast).sum() >= 3:
            likeliest = np.where(breast, found, -np.inf).argmax()
            rows.append((auroc(found[lesion & breast], found[breast & ~lesion]), float(lesion.ravel()[likeliest])))
            patient_ids.append(seen.patient_ids[number])
    weights = resample_patients(patient_ids, 2000)
    area, hit = (interval(weighted_mean(column, weights)) for column in np.array(rows).T)
    return {"images": len(rows), "auroc": area, "hit": hit}


def folds_of(patient_ids: Sequence[str]) -> np.ndarray:
    """(N,) the fold of each image; all images of a patient are in one."""
    patients, index = np.unique(np.asarray(patient_ids), return_inverse=True)
    return np.random.default_rng(0).permutation(len(patients))[index] % FOLDS


def train_member(fold: int, pairs: Sequence[ContrastPair], output: Path) -> ContrastSynthesizer:
    """A member of the released kind that has not seen the patients of a fold; trained unless it is there."""
    bundle = output / f"fold{fold}"
    if not (bundle / METADATA).is_file():
        folds = folds_of([pair.patient_id for pair in pairs])
        template = Template.find(CONTRAST, default_model_zoo() / BUNDLE)
        recipe = template.recipe({"steps": MEMBER_STEPS, "validate_every": MEMBER_STEPS, "threads": 1, "seed": fold})
        seen = [pair for pair, number in zip(pairs, folds, strict=True) if number != fold]
        train_model(seen, [], output=bundle, template=template, recipe=recipe)
    return cast(ContrastSynthesizer, load_bundle(bundle).synthesizer)


@dataclass(frozen=True, eq=False)
class Shown:
    """A case, its expected image, the map of the head, and what readers drew on the low-energy image, smoothed."""

    case: Case
    expected: np.ndarray
    found: np.ndarray
    drawn: np.ndarray

    @classmethod
    def of(cls, pair: ContrastPair, synthesizer: ContrastSynthesizer, coarse: np.ndarray) -> Shown:
        """Of a pair, and its (64, 48) map."""
        case, prediction = Case.from_pair(pair), synthesizer.predict(pair.low_energy)
        framed = ndimage.zoom(coarse, CELL, order=1, grid_mode=True, mode="nearest")
        found = np.clip(synthesizer.preprocessing.restore(prediction.prepared, framed), 0, 1)
        drawn = np.zeros_like(found) if pair.low_energy_lesion is None else pair.low_energy_lesion.astype(np.float32)
        expected, found, drawn = (case.turn(each) for each in (synthesizer.expected(prediction), found, drawn))
        return cls(case, expected, found * case.breast, case.smooth(drawn) * case.breast)

    def regressors(self, names: Sequence[str], lesions: np.ndarray) -> list[np.ndarray]:
        """What is added to the expected image in some proportion; `lesions` is one of the two maps."""
        case, one = self.case, self.case.breast.astype(np.float32)
        of_expected = (case.smooth(self.expected) - case.background(self.expected)) * one
        of_low_energy = (case.smooth(case.low_energy) - case.background(case.low_energy)) * one
        every = {
            "one": one,
            "expected": self.expected,
            "of_expected": of_expected,
            "of_low_energy": of_low_energy,
            "map": lesions,
            "map_x": lesions * of_expected,
            "map_y": lesions * of_low_energy,
        }
        return [every[name] for name in names]


def fit(shown: Sequence[Shown], names: Sequence[str], counts: float, *, by_readers: bool) -> np.ndarray:
    """How much of each regressor is added: ridge regression, every image weighs alike.

    Args:
        shown: Images whose member and head have not seen them.
        names: Of the regressors.
        counts: Of a squared error of lesion contrast, which is linear in the image, beside the mean of those of pixels.
        by_readers: Whether the map is what readers drew.
    """
    moments, products = np.zeros((len(names), len(names))), np.zeros(len(names))
    for each in shown:
        case = each.case
        regressors = each.regressors(names, each.drawn if by_readers else each.found)
        at, missing = np.flatnonzero(case.scored)[::EVERY], case.recombined - each.expected
        values = np.stack([regressor.ravel()[at] for regressor in regressors]).astype(float)
        moments += values @ values.T / len(at)
        products += values @ missing.ravel()[at] / len(at)
        if case.has_ring:
            contrasts = np.array([lesion_contrast(regressor, case)[0] for regressor in regressors])
            moments += counts * np.outer(contrasts, contrasts)
            products += counts * contrasts * lesion_contrast(missing, case)[0]
    return np.linalg.solve(moments + RIDGE * np.diag(np.diag(moments)), products)


def changed(shown: Shown, names: Sequence[str], shares: np.ndarray, *, by_readers: bool) -> np.ndarray:
    """(512, 512) float32 in [0, 1]: the expected image and what is added to it."""
    regressors = shown.regressors(names, shown.drawn if by_readers else shown.found)
    added = sum((share * regressor for share, regressor in zip(shares, regressors, strict=True)), start=0.0)
    return np.clip(shown.expected + added, 0, 1).astype(np.float32)


def score(case: Case, image: np.ndarray) -> dict[str, float]:
    """What the table shows of one image, as the evaluation defines it."""
    real, scored, interior = case.recombined, case.scored, case.interior
    smooth = case.smooth(image)
    contrast_d, contrast_c = lesion_contrast(image, case)
    return {
        "psnr": psnr(image[scored], real[scored]),
        "ncc_interior": correlation(image[interior], real[interior]),
        "ncc_hp": correlation(case.real_high_pass[interior], (smooth - case.background(image))[interior]),
        "dice_hot": dice(case.real_hot, hottest(smooth, interior)),
        "auroc_lesion": auroc(image[case.interior_lesion], image[case.normal]) if case.has_lesion else float("nan"),
        "false_enhancement": false_enhancement(image, case),
        LESIONS: contrast_d,
        "contrast_c": contrast_c,
    }


def score_rows(train: Sequence[Shown], val: Sequence[Shown]) -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of the table on `val`, with the differences to the first."""
    rows: dict[str, list[dict[str, float]]] = {}
    plans = [(name, *plan, False) for name, plan in ROWS.items()]
    plans += [(f"{name}, drawn by readers", *ROWS[name], True) for name in ROWS if "map" in ROWS[name][0]]
    for name, names, counts, by_readers in plans:
        shares = fit(train, names, counts, by_readers=by_readers) if names else np.empty(0)
        logger.warning("%s: %s", name, dict(zip(names, shares.round(3).tolist(), strict=True)))
        images = [changed(each, names, shares, by_readers=by_readers) for each in val]
        rows[name] = [score(each.case, image) for each, image in zip(val, images, strict=True)]
    real = [lesion_contrast(each.case.recombined, each.case) for each in val]
    patient_ids = [each.case.patient_id for each in val]
    results = compare_rows(rows, [each[0] for each in real], patient_ids, MEANS)
    add_enhances(results, rows, np.array([each[1] for each in real]), resample_patients(patient_ids, 2000))
    return results


def add_enhances(
    results: dict[str, dict[str, dict[str, Any]]],
    rows: Mapping[str, Sequence[Mapping[str, float]]],
    real: np.ndarray,
    weights: np.ndarray,
) -> None:
    """AUROC of generated contrast, in deviations of its ring, for lesions that enhance in the real image."""
    known = ~np.isnan(real)
    found = {
        name: weighted_auroc(
            np.where(known, [image["contrast_c"] for image in images], np.nan), known & (real >= ENHANCING), weights
        )
        for name, images in rows.items()
    }
    first = next(iter(found.values()))
    for name, values in found.items():
        results[name]["enhances"] = {**interval(values), "minus_first": interval(values - first)}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder laid out like CDD-CESM")
    parser.add_argument("--film", type=Path, required=True, metavar="DIR", help="CBIS-DDSM: index.csv, images, masks")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    pairs = {split: read_cdd_cesm(args.data, split) for split in ("train", "val")}
    seen = {split: see_pairs(of_split) for split, of_split in pairs.items()}
    film = {split: see_film(args.film, split) for split in ("train", "val")}
    head = train_head([seen["train"], film["train"]], args.output / "head.pt")
    maps = {
        "val": maps_of(head, seen["val"]),
        "train": np.zeros((len(pairs["train"]), *seen["train"].breast.shape[1:])),
    }
    folds = folds_of(seen["train"].patient_ids)
    used, members = np.flatnonzero(folds < USED), []
    for fold in range(USED):
        inside, outside = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        blind = train_head([seen["train"].take(outside), film["train"]], args.output / f"head{fold}.pt")
        maps["train"][inside] = maps_of(blind, seen["train"].take(inside))
        members.append(train_member(fold, pairs["train"], args.output))
    judged = {
        "val": judge_maps(maps["val"], seen["val"]),
        "val, grey values alone": judge_maps(seen["val"].own[:, 1].float().numpy(), seen["val"]),
        "val, what exceeds its surroundings alone": judge_maps(seen["val"].own[:, 10].float().numpy(), seen["val"]),
        "train, patients not seen": judge_maps(maps["train"][used], seen["train"].take(used)),
        "film val": judge_maps(maps_of(head, film["val"]), film["val"]),
    }
    (args.output / "maps.json").write_text(json.dumps(judged, indent=2) + "\n")
    released = cast(ContrastSynthesizer, load_bundle(default_model_zoo() / BUNDLE).synthesizer)
    train = [Shown.of(pairs["train"][number], members[folds[number]], maps["train"][number]) for number in used]
    val = [Shown.of(pair, released, found) for pair, found in zip(pairs["val"], maps["val"], strict=True)]
    results = score_rows(train, val)
    (args.output / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    write_table(results, args.output / "table.md", title="added to the expected image", digits={"psnr": 2})


if __name__ == "__main__":
    main()
