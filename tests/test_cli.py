import json
import re
import shutil
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from mammosynth.batch import FILE_FORMATS
from mammosynth.bundle import METADATA, default_bundle, read_config
from mammosynth.cli import main
from mammosynth.commands.synthesize import FORMATS
from mammosynth.phantom.clinic.exam import write_exam
from tests.support.instances import as_file, build_instance
from tests.support.phantom_views import left_cc


@pytest.fixture(scope="module")
def low_energy():
    return left_cc(3, pixel_mm=2.4).low_energy


@pytest.mark.slow
def test_help_names_every_command_and_does_not_import_the_platform():
    code = "import sys\nfrom mammosynth.cli import main\ntry:\n main(['--help'])\nexcept SystemExit: pass\n"
    check = "print([m for m in ('torch', 'monai', 'monailabel', 'fastapi') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + check], capture_output=True, text=True, timeout=60)
    for command in ("synthesize", "train", "evaluate", "phantom", "serve", "demo"):
        assert command in done.stdout
    assert done.stdout.rstrip().endswith("[]")


def test_a_server_without_its_packages_is_told_in_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.delitem(sys.modules, "monailabel_app.serve", raising=False)
    monkeypatch.delitem(sys.modules, "monailabel_app.gateway.connections", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--data-dir", str(tmp_path)]) == 1
    assert "error: uvicorn is not installed, which this command needs" in capsys.readouterr().err


def test_an_interruption_before_the_command_begins_is_a_word(monkeypatch, capsys):
    monkeypatch.setattr("mammosynth.cli.build_parser", Mock(side_effect=KeyboardInterrupt))
    assert main(["synthesize"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_name_that_is_no_text_ends_no_command(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.dcm").touch()
    assert main(["labels", str(tmp_path / "in"), "--output", str(tmp_path / "out\udcff")]) == 1
    assert "0 written to" in capsys.readouterr().out


def test_what_a_file_says_does_not_command_the_terminal(tmp_path, capsys):
    (tmp_path / "a\nb.dcm").write_bytes(as_file(build_instance(Modality="C\x1b[31mT")).getvalue())
    assert main(["labels", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "\x1b[31M" not in told
    assert "a\\nb.dcm: (0008,0060) Modality is 'C\\x1b[31MT', expected MG" in told


def test_every_format_that_can_be_written_can_be_asked_for():
    assert FORMATS == FILE_FORMATS  # stated twice, so that --help need not import what reads images


@pytest.mark.slow
def test_a_png_becomes_a_16_bit_png_of_the_same_matrix(tmp_path, low_energy, capsys):
    Image.fromarray((low_energy * 255).astype(np.uint8)).save(tmp_path / "P1_L_DM_CC.png")
    assert main(["synthesize", "contrast", str(tmp_path / "P1_L_DM_CC.png"), "--output", str(tmp_path / "out")]) == 0
    result = np.asarray(Image.open(tmp_path / "out" / "P1_L_DM_CC_contrast.png"))
    assert result.shape == low_energy.shape
    assert result.max() > 255
    assert "1 written" in capsys.readouterr().out


@pytest.mark.slow
def test_a_bad_file_does_not_stop_the_others_and_is_reported_at_the_end(tmp_path, capsys):
    write_exam(tmp_path / "in", seed=1, pixel_mm=3.6, patient_id="P")
    (tmp_path / "in" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM")
    assert main(["synthesize", "contrast", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr()
    assert "4 written" in printed.out
    assert "1 refused" in printed.out
    assert "broken.dcm" in printed.err
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 4


@pytest.mark.slow
def test_a_view_that_is_not_known_can_be_said(tmp_path, low_energy, capsys):
    Image.fromarray((low_energy * 255).astype(np.uint8)).save(tmp_path / "image.png")
    command = ["synthesize", "contrast", str(tmp_path / "image.png"), "--output", str(tmp_path / "out")]
    assert main(command) == 1
    assert "set view_position" in capsys.readouterr().err
    assert main([*command, "--view-position", "CC"]) == 0


@pytest.mark.slow
def test_dicom_becomes_nrrd_with_the_spacing_of_the_source(tmp_path):
    files = write_exam(tmp_path / "in", seed=1, pixel_mm=3.6, patient_id="P")
    arguments = ["--output", str(tmp_path / "out"), "--format", "nrrd"]
    assert main(["synthesize", "contrast", str(files[0]), *arguments]) == 0
    result = sitk.ReadImage(str(next((tmp_path / "out").rglob("*.nrrd"))))
    source = sitk.ReadImage(str(files[0]))
    assert result.GetPixelID() == sitk.sitkUInt16
    assert result.GetSize() == source.GetSize()
    assert result.GetSpacing()[:2] == pytest.approx(source.GetSpacing()[:2], abs=1e-5)


@pytest.mark.slow
def test_parameters_of_the_model_are_passed_on_and_refused_in_a_sentence(tmp_path, low_energy, capsys):
    Image.fromarray((low_energy * 255).astype(np.uint8)).save(tmp_path / "P1_L_DM_CC.png")
    command = ["synthesize", "contrast", str(tmp_path / "P1_L_DM_CC.png"), "--output", str(tmp_path / "out")]
    assert main([*command, "--parameter", "uncertainty=false"]) == 0
    assert main([*command, "--parameter", "strength=big"]) == 1
    assert "parameter 'strength' is unknown" in capsys.readouterr().err
    assert main([*command, "--parameter", "uncertainty"]) == 1
    assert "--parameter uncertainty: expected NAME=VALUE" in capsys.readouterr().err
    assert main([*command, "--parameter", "seed=3"]) == 1
    assert "--parameter seed: give it as --seed" in capsys.readouterr().err


@pytest.mark.slow
def test_masks_are_what_is_drawn_on_the_source_and_a_rendering_may_be_a_parameter(tmp_path, low_energy, capsys):
    grey = (low_energy * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "P1_L_CC.png")
    mask = np.zeros_like(grey)
    rows, columns = np.nonzero(low_energy > 0.1)
    row, column = int(np.median(rows)), int(np.median(columns))
    mask[row - 3 : row + 4, column - 3 : column + 4] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    command = ["synthesize", "view", str(tmp_path / "P1_L_CC.png"), "--output", str(tmp_path / "out")]
    assert main([*command, "--masks", str(tmp_path / "mask.png"), "--parameter", "rendering=sampled"]) == 0
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"P1_L_CC_view.png", "P1_L_CC_view_mask.png", "P1_L_CC_view_band.png"}
    assert main([*command, "--parameter", "rendering=nonsense"]) == 1
    assert "nonsense" in capsys.readouterr().err
    assert main(["synthesize", "mask", *command[2:], "--masks", str(tmp_path / "mask.png")]) == 1
    assert "nothing is drawn on the source of mask" in capsys.readouterr().err


@pytest.mark.slow
def test_contrast_tells_of_what_is_drawn_beside_the_image_that_it_makes(tmp_path, low_energy, capsys):
    Image.fromarray((low_energy * 255).astype(np.uint8)).save(tmp_path / "P1_L_CC.png")
    mask = np.zeros(low_energy.shape, np.uint8)
    rows, columns = np.nonzero(low_energy > 0.1)
    mask[int(np.median(rows)) + np.arange(-3, 4)[:, None], int(np.median(columns)) + np.arange(-3, 4)] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    command = ["synthesize", "contrast", str(tmp_path / "P1_L_CC.png"), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    without = (tmp_path / "out" / "P1_L_CC_contrast.png").read_bytes()
    assert "Lesion" not in capsys.readouterr().out
    assert main([*command, "--masks", str(tmp_path / "mask.png")]) == 0
    assert (tmp_path / "out" / "P1_L_CC_contrast.png").read_bytes() == without
    assert re.search(r"P1_L_CC\.png: Lesion 1, row \d+, column \d+: expected contrast [+-]0", capsys.readouterr().out)
    cyclegan = [*command, "--bundle", "breast_cem_cyclegan_narrow", "--masks", str(tmp_path / "mask.png")]
    assert main(cyclegan) == 1
    assert "input 'lesions' is unknown, expected none" in capsys.readouterr().err


def test_an_unknown_bundle_is_answered_with_the_known_ones(tmp_path, capsys):
    command = ["synthesize", "contrast", str(tmp_path), "--output", str(tmp_path / "out"), "--bundle", "nonsense"]
    assert main(command) == 1
    assert "breast_cem_residual" in capsys.readouterr().err


def test_commands_find_a_bundle_alike(tmp_path, monkeypatch, capsys):
    """A folder in the working directory hides no bundle of the zoo; ./ in front of it means the folder."""
    empty = tmp_path / "breast_cem_residual" / "configs"
    empty.mkdir(parents=True)
    for name in ("metadata", "train"):
        (empty / f"{name}.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "contrast", "--bundle", "breast_cem_residual", "--settings"]) == 0
    for command in (
        ["train", "contrast", "--settings"],
        ["synthesize", "contrast", str(tmp_path), "--output", str(tmp_path / "out")],
        ["evaluate", "contrast", "--data", str(tmp_path), "--split", "test"],
    ):
        assert main([*command, "--bundle", "./breast_cem_residual"]) == 1
        assert "breast_cem_residual/configs" in capsys.readouterr().err


def _write_cdd_cesm(folder, splits):
    """A tiny data set in the layout of CDD-CESM, from phantoms."""
    (folder / "512" / "images").mkdir(parents=True)
    (folder / "512" / "masks").mkdir()
    lines = ["split,patient,side,view,low_energy,recombined,scale,dy,dx"]
    for seed, split in enumerate(splits):
        view = left_cc(seed, pixel_mm=1.8)
        lesions = np.logical_or.reduce(view.lesion_masks)
        names = [f"P{seed}_L_{kind}_CC.jpg" for kind in ("DM", "CM")]
        for name, pixels in zip(names, (view.low_energy, view.recombined), strict=True):
            _save_square(folder / "512" / "images" / name, pixels)
            _save_square(folder / "512" / "masks" / name.replace(".jpg", ".png"), lesions.astype(np.float32))
        lines.append(f"{split},P{seed},L,CC,{names[0]},{names[1]},1.0,0,0")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")


def _save_square(path, pixels):
    square = np.zeros((512, 512), np.uint8)
    enlarged = np.kron((pixels * 255).astype(np.uint8), np.ones((4, 4), np.uint8))[:512]
    square[: len(enlarged), : enlarged.shape[1]] = enlarged
    Image.fromarray(square).save(path, **({"quality": 98} if path.suffix == ".jpg" else {}))


@pytest.mark.slow
def test_train_writes_a_bundle_that_synthesizes(tmp_path, low_energy):
    _write_cdd_cesm(tmp_path / "data", ("train", "train", "val"))
    model = str(tmp_path / "tiny")
    recipe = ["--steps", "2", "--batch-size", "1", "--validate-every", "1"]
    assert main(["train", "contrast", "--data", str(tmp_path / "data"), "--output", model, *recipe]) == 0
    Image.fromarray((low_energy * 255).astype(np.uint8)).save(tmp_path / "P1_L_DM_CC.png")
    arguments = [str(tmp_path / "P1_L_DM_CC.png"), "--output", str(tmp_path / "out"), "--bundle", model]
    assert main(["synthesize", "contrast", *arguments]) == 0


@pytest.mark.slow
def test_phantoms_are_trained_on_as_real_pairs_are(tmp_path):
    phantoms, model = str(tmp_path / "phantoms"), str(tmp_path / "tiny")
    size = ["--cases", "2", "--seed", "7", "--views", "CC", "--sides", "L", "--pixel-mm", "1.8", "--workers", "1"]
    assert main(["phantom", "--out", phantoms, *size]) == 0
    recipe = ["--steps", "2", "--batch-size", "1", "--validate-every", "1"]
    assert main(["train", "contrast", "--data", phantoms, "--output", model, *recipe]) == 0
    assert (tmp_path / "tiny" / "configs" / "metadata.json").is_file()


@pytest.mark.slow
def test_evaluate_prints_and_writes_the_model_beside_floors_and_ceilings(tmp_path, capsys):
    _write_cdd_cesm(tmp_path / "data", ("test", "test"))
    report, page = tmp_path / "report.json", tmp_path / "pages" / "report.html"
    bundle = tmp_path / "mine"
    shutil.copytree(default_bundle("contrast"), bundle)
    arguments = ["--data", str(tmp_path / "data"), "--split", "test", "--json", str(report), "--html", str(page)]
    arguments += ["--bundle", str(bundle), "--record"]
    assert main(["evaluate", "contrast", *arguments]) == 0
    printed = capsys.readouterr().out
    for row in ("model", "floor F0", "floor F3b", "ceiling shift 2 px"):
        assert row in printed
    assert "psnr" in json.loads(report.read_text())["methods"]["model"]["metrics"]
    assert page.read_text().count("data:image/png;base64,") > 10
    scores = read_config(bundle, METADATA)["mammosynth"]["scores"]
    assert (scores["split"], scores["measures"][0]["name"]) == ("test", "PSNR")


def test_a_missing_data_set_is_explained(tmp_path, capsys):
    assert main(["train", "contrast", "--data", str(tmp_path), "--output", str(tmp_path / "out")]) == 1
    assert "holds neither pairs.csv nor manifest.json" in capsys.readouterr().err
