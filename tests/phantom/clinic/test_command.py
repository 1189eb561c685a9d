"""`mammosynth phantom` as it is typed."""

from pathlib import Path

import pytest

from mammosynth.cli import main
from mammosynth.phantom.clinic.manifest import read_manifest
from mammosynth.phantom.parameters import Density, LesionKind, ParenchymalEnhancement, Vendor
from mammosynth.terms import ImageLaterality, ViewPosition


@pytest.mark.slow
def test_every_option_reaches_the_cases_and_the_manifest_makes_them_again(tmp_path: Path, capsys) -> None:
    options = "--seed 4 --density c --bpe d --views MLO --sides L --lesion indistinct --lesion calcifications"
    options += " --pixel-mm 3.6 --halo 0.2 --iodine-in-low-energy no --vendor B --maps --workers 1"
    assert main(["phantom", "--out", str(tmp_path / "first"), *options.split()]) == 0
    assert "1 case in" in capsys.readouterr().out
    settings, manifest = read_manifest(tmp_path / "first")
    parameters = settings.case(4)
    assert (parameters.density, parameters.parenchymal_enhancement) == (Density.C, ParenchymalEnhancement.D)
    assert (parameters.views, parameters.sides) == ((ViewPosition.MLO,), (ImageLaterality.LEFT,))
    assert parameters.lesions == (LesionKind.INDISTINCT, LesionKind.CALCIFICATIONS)
    assert (parameters.pixel_mm, parameters.halo, parameters.vendor) == (3.6, 0.2, Vendor.B)
    assert parameters.iodine_in_low_energy is False
    assert settings.maps
    assert [case["seed"] for case in manifest["cases"]] == [4]
    again = ["--reproduce", str(tmp_path / "first" / "manifest.json"), "--workers", "1"]
    assert main(["phantom", "--out", str(tmp_path / "again"), *again]) == 0
    assert "Reproduced: every pixel of every file is equal." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--cases 0", "--cases is 0"),
        ("--pixel-mm 20", "pixel_mm is 20.0, expected 0.05 to 8"),
        ("--halo 2", "halo is 2.0, expected 0 to 1"),
        ("--lesion none --lesion indistinct", "expected none alone"),
        ("--seed -1", "seed is -1, expected 0 or more"),
        ("--reproduce nowhere.json", "nowhere.json: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path: Path, capsys, options, words) -> None:
    assert main(["phantom", "--out", str(tmp_path / "out"), *options.split()]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_unknown_view_is_answered_with_the_known_ones(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["phantom", "--out", str(tmp_path), "--views", "CC,LM"])
    assert "'LM' is unknown, expected CC,MLO or one of them" in capsys.readouterr().err
