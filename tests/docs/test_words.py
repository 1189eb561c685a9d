"""What README, site and model cards tell to type: it is understood, exists, or runs."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from pydicom import dcmread

from docs.building import tables
from mammosynth.cli import build_parser, main

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = sorted(
    [
        README,
        ROOT / "CONTRIBUTING.md",
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("model_zoo/*/docs/README.md"),
        *ROOT.glob("monailabel_app/viewers/*/README.md"),
    ]
)
_BLOCK = re.compile(r"^ *```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^ *```", re.DOTALL | re.MULTILINE)
_COMMAND = re.compile(r"(?:\w+=\S+ )*(?:\.venv/bin/)?mammosynth (?P<arguments>.*)")
_INLINE = re.compile(r"(?<!`)`mammosynth ([^`]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s#]+)[^)]*\)")
_STANDS_FOR = {
    "N": "1",
    "COMMAND": "serve",
    "TASK": "contrast",
    "mirror": "contrast",
}  # mirror: tests/tasks/test_toy.py runs these
_parser = cache(build_parser)
_RUNNING = [README, ROOT / "docs" / "get-started.md", ROOT / "docs" / "how-to" / "programs.md"]


def _blocks(page: Path, *kinds: str) -> list[str]:
    return [block["text"] for block in _BLOCK.finditer(page.read_text(encoding="utf-8")) if block["kind"] in kinds]


def _commands(page: Path) -> list[str]:
    """The arguments of every command of ours in a block."""
    found = []
    for block in _blocks(page, "", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            parts = (part.strip() for part in line.partition(" #")[0].split(" && "))
            found += [match["arguments"] for part in parts if (match := _COMMAND.fullmatch(part))]
    return found


def _problem(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the real parser has against a command line; "" if nothing. <a placeholder> stands for any name."""
    plain = re.sub(r"<[^<>]+>", "placeholder", arguments)
    words = [word.strip("[]").split("|")[0] for word in shlex.split(plain) if word not in ("...", "…")]
    try:
        _parser().parse_args([_STANDS_FOR.get(word, word) for word in words])
    except SystemExit as stop:
        told = capsys.readouterr().err.strip().splitlines()
        return f"mammosynth {arguments}: {told[-1]}" if stop.code else ""
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_is_understood_by_the_command_line(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [_problem(arguments, capsys) for arguments in _commands(page)]
    inline = [_problem(" ".join(found.split()), capsys) for found in _INLINE.findall(page.read_text(encoding="utf-8"))]
    # In a sentence, a command may be named without all that it needs.
    inline = [problem for problem in inline if "arguments are required" not in problem]
    assert [problem for problem in (*problems, *inline) if problem] == []


def test_wrong_commands_are_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--bundel" in _problem("synthesize contrast <folder> --output out --bundel x", capsys)
    assert "invalid choice" in _problem("synthesise contrast exam", capsys)
    assert _problem("synthesize contrast <a folder> --output out", capsys) == ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_scripts_modules_and_targets_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [
        name
        for name in re.findall(r"python (?:-s )?((?:benchmarks|tools|experiments)/\S+?\.py)", text)
        if not (ROOT / name).is_file()
    ]
    modules = re.findall(r"python -m ((?:docs|experiments|monailabel_app)[\w.]*)", text)
    missing += [name for name in modules if importlib.util.find_spec(name) is None]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    missing += [name for name in re.findall(r"`(tests/[\w/.]+)`", text) if not (ROOT / name).exists()]
    missing += [name for name in re.findall(r"(?:^|`)make ([a-z][a-z-]+)", text, re.MULTILINE) if name not in targets]
    assert missing == []


def test_readme_is_read_in_three_minutes_and_every_link_of_it_leads_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= 600
    links = [link for link in _LINK.findall(text) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_variable_of_the_environment_is_told() -> None:
    code = [
        *(ROOT / "lib").rglob("*.py"),
        *(ROOT / "monailabel_app").rglob("*.py"),
        ROOT / "docs" / "mammosynth.service",
    ]
    read = {name for path in code for name in re.findall(r"MAMMOSYNTH_[A-Z]\w+", path.read_text(encoding="utf-8"))}
    told = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    assert "MAMMOSYNTH_ARCHIVE_PASSWORD" in read
    assert [name for name in sorted(read) if f"`{name}`" not in told] == []


def test_a_model_card_is_read_on_two_screens() -> None:
    cards = {path.parts[-3]: path.read_text(encoding="utf-8") for path in ROOT.glob("model_zoo/*/docs/README.md")}
    prose = {name: re.sub(r"(?m)^\|.*$", "", text) for name, text in cards.items()}
    assert {name: len(text.split()) for name, text in prose.items() if len(text.split()) > 850} == {}
    assert {name: text.count("\n|") for name, text in cards.items() if text.count("\n|") > 40} == {}
    for name, text in cards.items():
        assert "Research only" in text or "without weights" in text, name
        assert [link for link in _LINK.findall(text) if not link.startswith("http")], name


@pytest.fixture(scope="module")
def exam(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a reader has who has followed *Get started*, in few pixels."""
    folder = tmp_path_factory.mktemp("reader")
    arguments = ["--cases", "1", "--seed", "25", "--views", "CC", "--pixel-mm", "3.6", "--workers", "1"]
    assert main(["phantom", "--out", str(folder / "clinic"), *arguments]) == 0
    source = folder / "clinic" / "case-000025" / "L-CC-low-energy.dcm"
    (folder / "R-CC.dcm").write_bytes(source.read_bytes())
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", _RUNNING, ids=lambda page: page.name)
def test_its_python_runs(page: Path, exam: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(exam)
    blocks = _blocks(page, "python")
    assert blocks
    for block in blocks:
        exec(compile(block, f"{page.name}, Python", "exec"), {})
    written = exam / "contrast.nrrd"
    assert page.name == "programs.md" or written.is_file()


@pytest.mark.slow
def test_the_commands_of_get_started_do_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [arguments for arguments in _commands(ROOT / "docs" / "get-started.md") if "serve" not in arguments]
    assert [arguments.split()[0] for arguments in commands] == ["phantom", "synthesize"]
    for arguments in commands:
        assert main(shlex.split(arguments.replace("0.4", "3.6 --views CC --workers 1"))) == 0, arguments
    (written,) = (tmp_path / "out").rglob("*.dcm")
    _, example = tables.example()
    told = set(example.keys())
    assert [element.name for element in dcmread(written) if element.tag not in told] == [], "DICOM conformance"
