import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from mammosynth.errors import DataError, InvalidParameterError
from mammosynth.reading import mrmc
from mammosynth.reading.statistics.proportions import wilson
from tests.support.reading import VAN_DYKE, van_dyke_table

MARKS = """reader,treatment,case,lesion,rating
a,x,p,1,80
a,x,n,,70
a,y,p,1,60
a,y,q,1,90
b,x,p,1,50
b,x,q,1,20
b,y,m,,40
b,y,q,1,70
"""
CASES = "case,lesion\np,1\np,2\nq,1\nn,\nm,\n"


def run(*options: str | Path) -> int:
    parser = argparse.ArgumentParser()
    mrmc.add_arguments(parser)
    return mrmc.run(parser.parse_args([str(option) for option in options]))


def report_of(folder: Path, *options: str | Path) -> dict[str, Any]:
    assert run(*options, "--json", folder / "report.json") == 0
    return json.loads((folder / "report.json").read_text())


def write(folder: Path, text: str, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("covariance", "p"), [("jackknife", 0.05166569), ("delong", 0.0512330)])
def test_van_dyke_from_the_command_line(
    covariance: str, p: float, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    report = report_of(tmp_path, VAN_DYKE, "--covariance", covariance)
    assert report["test"]["p"] == pytest.approx(p, abs=1e-6)
    assert report["differences"][0]["value"] == pytest.approx(-0.04380032, abs=1e-6)
    assert len(report["readers"]) == 10
    assert len(report["reader_differences"]) == 5
    printed = capsys.readouterr().out
    assert "45 positive and 69 negative cases of 114 patients" in printed
    assert "-0.0438   0.0207    -0.0880 to   0.0004   0.05167" in printed or covariance == "delong"


def test_bootstrap_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    options = (VAN_DYKE, "--covariance", "bootstrap", "--draws", "100")
    first, second, other = (report_of(tmp_path, *options, "--seed", seed) for seed in ("1", "1", "2"))
    assert first == second
    assert first["test"] != other["test"]


@pytest.mark.parametrize(("fixed", "df2"), [("readers", None), ("cases", 4)])
def test_fixed_factors(fixed: str, df2: int | None, tmp_path: Path) -> None:
    assert report_of(tmp_path, VAN_DYKE, "--fixed", fixed)["test"]["df2"] == df2  # JSON has no infinity


def test_sensitivity_and_margins(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    report = report_of(tmp_path, VAN_DYKE, "--figure", "sensitivity", "--threshold", "3", "--margin", "0.1")
    table = van_dyke_table()
    positive = table[(table["truth"] == "1") & (table["treatment"] == "1") & (table["reader"] == "1")]
    assert report["readers"][0]["value"] == pytest.approx((positive["rating"].astype(int) >= 3).mean())
    assert report["differences"][0]["equivalence"]["margin"] == 0.1
    assert "non-inferiority within 0.1: p = " in capsys.readouterr().out


def test_the_reference_is_second(tmp_path: Path) -> None:
    plain, turned = report_of(tmp_path, VAN_DYKE), report_of(tmp_path, VAN_DYKE, "--reference", "1", "--margin", "0.05")
    assert (turned["differences"][0]["first"], turned["differences"][0]["second"]) == ("2", "1")
    for key, of in (("value", "value"), ("low", "high"), ("high", "low"), ("t", "t")):
        assert turned["differences"][0][key] == -plain["differences"][0][of]
    assert turned["reader_differences"][0]["value"] == -plain["reader_differences"][0]["value"]
    assert turned["differences"][0]["non_inferiority"]["shown"]  # 2 is better than 1
    with pytest.raises(InvalidParameterError, match="reference 3: expected one of 1, 2"):
        run(VAN_DYKE, "--reference", "3")


def test_yes_and_no_need_no_threshold(tmp_path: Path) -> None:
    table = van_dyke_table()
    table["rating"] = (table["rating"].astype(int) >= 3).astype(int)
    table.to_csv(tmp_path / "calls.csv", index=False)
    named = report_of(tmp_path, VAN_DYKE, "--figure", "accuracy", "--threshold", "3")
    assert report_of(tmp_path, tmp_path / "calls.csv", "--figure", "accuracy")["means"] == named["means"]


def test_a_perfect_reader_has_an_interval(tmp_path: Path) -> None:
    table = van_dyke_table()
    table.assign(rating=table["truth"]).to_csv(tmp_path / "perfect.csv", index=False)
    reader = report_of(tmp_path, tmp_path / "perfect.csv")["readers"][0]
    assert (reader["value"], reader["low"], reader["high"]) == (1, wilson(45, 45).low, 1)


def test_means_against_chance(tmp_path: Path) -> None:
    plain, tested = report_of(tmp_path, VAN_DYKE), report_of(tmp_path, VAN_DYKE, "--null", "0.5")
    assert "p" not in plain["means"][0]
    assert tested["means"][0]["null"] == 0.5
    assert tested["means"][0]["p"] < 0.001


def test_free_response(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    marks, cases = write(tmp_path, MARKS, "marks.csv"), write(tmp_path, CASES, "cases.csv")
    report = report_of(tmp_path, marks, "--lesions", cases)
    assert report["figure"] == "jafroc"
    assert (report["positive"], report["negative"], report["patients"]) == (3, 2, 4)
    assert capsys.readouterr().out.startswith("jafroc, 2 readers")


def test_ratings_for_other_programs(tmp_path: Path) -> None:
    assert run(VAN_DYKE, "--imrmc", tmp_path / "out.imrmc") == 0
    assert "BEGIN DATA:\n-1,1,0,0\n" in (tmp_path / "out.imrmc").read_text()


def test_spreadsheets_byte_order_mark_is_no_letter(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff" + VAN_DYKE.read_text())
    assert report_of(tmp_path, path)["test"]["p"] == pytest.approx(0.05166569, abs=1e-6)


def test_constant_ratings_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = van_dyke_table().assign(rating="3")
    table.to_csv(tmp_path / "flat.csv", index=False)
    report = report_of(tmp_path, tmp_path / "flat.csv")
    assert report["test"]["p"] is None
    assert report["means"][0]["value"] == 0.5
    assert report["readers"][0]["low"] is None
    assert "nothing varies between readers, treatments or cases: no test is possible" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "ratings.csv: is empty"),
        ("reader;treatment;case;truth;rating\n1;1;1;0;1\n", "no column reader, treatment, case, truth, rating among"),
        ("reader,treatment,case,truth,rating\n1,1,1,0,1,5\n", "line 2 has 6 values, expected 5"),
        ("reader,treatment,case,truth,rating\n", "ratings.csv: no rows"),
        ("reader,treatment,case,truth,rating\n1,1,1,0,1\n1,2,1,0,1\n", "one reader, expected two or more|0 positive"),
    ],
)
def test_what_cannot_be_analysed_is_told(content: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        run(write(tmp_path, content))


def test_files_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "sheet.xlsx").write_bytes(b"PK\x03\x04\xff\xfe")
    with pytest.raises(DataError, match=r"sheet\.xlsx: cannot be read as UTF-8 text .* export it as CSV"):
        run(tmp_path / "sheet.xlsx")
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        run(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--figure", "sensitivity"], "5 different ratings and no --threshold"),
        (["--threshold", "3"], "--threshold has no meaning for --figure auc"),
        (["--margin", "0"], "--margin 0.0: expected above 0"),
        (["--draws", "1"], "--draws 1: expected two or more"),
        (["--seed", "-1"], "--seed -1: expected 0 or more"),
        (["--lesions", "cases.csv", "--positive", "x"], "--lesions goes without"),
    ],
)
def test_options_that_do_not_go_together(options: list[str], reason: str) -> None:
    with pytest.raises(InvalidParameterError, match=reason):
        run(VAN_DYKE, *options)
