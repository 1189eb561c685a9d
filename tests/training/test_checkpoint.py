"""A checkpoint comes back as it was written, or is refused in one sentence."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mammosynth.atomic import UNFINISHED
from mammosynth.errors import OutputError
from mammosynth.preprocessing.pairs import ContrastPair
from mammosynth.tasks.contrast.specification import SPECIFICATION as CONTRAST
from mammosynth.training.checkpoint import CHECKPOINT, read_checkpoint, write_checkpoint
from mammosynth.training.template import Template
from mammosynth.training.train import TrainingResult, train_model
from tests.support.templates import tiny_pair, write_template

STATE = {"identity": "{}", "networks": {"weight": torch.arange(4096.0)}, "step": 7, "rows": [{"loss": 0.5}]}
WHAT_TO_DO = "put back a copy of it, start over with --restart, or choose another output folder"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "mine" / CHECKPOINT
    write_checkpoint(path, STATE)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(OutputError) as refused:
        read_checkpoint(path)
    text = str(refused.value)
    assert text.startswith("mine/run/checkpoint.pt: ")
    assert text.endswith(WHAT_TO_DO)
    assert "\n" not in text
    return text


def old_format(path: Path, state: dict[str, Any]) -> None:
    """As 0.1.0 wrote it."""
    torch.save(state, path)


def test_what_was_written_comes_back(path: Path) -> None:
    state = read_checkpoint(path)
    assert torch.equal(state["networks"].pop("weight"), STATE["networks"]["weight"])
    assert state == {**STATE, "networks": {}}


def test_every_flipped_byte_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    places = np.random.default_rng(1).integers(0, len(content), 200)
    for place in [*range(100), *places.tolist(), len(content) - 1]:
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        refusal(path)


def test_every_cut_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    for size in (0, 1, 21, 22, 30, 95, 96, 500, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        refusal(path)
    path.write_bytes(content + b"\0")
    assert "its SHA-256 is not the one" in refusal(path)


def test_a_file_of_another_make_is_refused_by_what_it_is(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"checkpoint 1 ", b"checkpoint 23 ", 1))
    assert "is of format 23, expected 1: of another version" in refusal(path)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    assert "is no checkpoint, or its beginning is damaged" in refusal(path)
    write_checkpoint(path, [1, 2])  # type: ignore[arg-type]
    assert "holds no state of a training run" in refusal(path)


class _Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


@pytest.mark.parametrize("write", [write_checkpoint, old_format], ids=["hashed", "before"])
def test_code_in_a_checkpoint_is_not_run(
    write: Any, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(path, {**STATE, "step": _Code()})
    assert "holds no state of a training run" in refusal(path)
    path.write_bytes(pickle.dumps(_Code()))
    refusal(path)
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_without_hash_is_still_read_and_its_damage_noticed(path: Path) -> None:
    old_format(path, STATE)
    assert read_checkpoint(path)["step"] == 7
    content = path.read_bytes()
    weight = content.index(STATE["networks"]["weight"].numpy().tobytes())
    path.write_bytes(content[: weight + 99] + b"\xff" + content[weight + 100 :])
    assert "is damaged: the checksum of a part is wrong" in refusal(path)
    for size in (3, 500, len(content) - 30):
        path.write_bytes(content[:size])
        assert "is damaged: cut short" in refusal(path)


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"checkpoint.pt: cannot be written \(No space left on device\)"):
        write_checkpoint(path, {**STATE, "step": 8})
    monkeypatch.undo()
    assert read_checkpoint(path)["step"] == 7
    assert [each.name for each in path.parent.iterdir()] == ["checkpoint.pt"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    recipe = {"steps": 3, "batch_size": 2, "validate_every": 2, "sample_every": 0, "threads": 1}
    return Template.find(CONTRAST, write_template(tmp_path_factory.mktemp("zoo") / "plain", **recipe))


@pytest.fixture(scope="module")
def pairs() -> list[ContrastPair]:
    return [tiny_pair(seed) for seed in range(3)]


def train(pairs: list[ContrastPair], output: Path, template: Template, *, steps: int = 3) -> TrainingResult:
    """The first steps of a run of three."""
    asked = iter(range(100))
    return train_model(
        pairs[:2],
        pairs[2:],
        output=output,
        template=template,
        recipe=template.recipe({"threads": 1}),
        should_stop=lambda: next(asked) == steps,
    )


def test_a_run_that_was_begun_without_hashes_goes_on(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    train(pairs, tmp_path, template, steps=1)
    old_format(tmp_path / CHECKPOINT, read_checkpoint(tmp_path / CHECKPOINT))
    assert train(pairs, tmp_path, template, steps=1).step == 2


def test_a_damaged_run_is_refused_until_its_copy_is_put_back(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    train(pairs, tmp_path, template, steps=1)
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(OutputError, match=f"is damaged: its SHA-256 .*; {WHAT_TO_DO}"):
        train(pairs, tmp_path, template)
    assert path.read_bytes() == content[:-9]
    path.write_bytes(content)
    assert train(pairs, tmp_path, template).completed


def test_what_a_killed_run_was_writing_is_removed_by_the_next(
    pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    train(pairs, tmp_path, template, steps=1)
    half, own = tmp_path / "run" / f"{UNFINISHED}0123-checkpoint.pt", tmp_path / "run" / "notes.txt"
    for path in (half, own):
        path.write_bytes(b"half")
    assert train(pairs, tmp_path, template).completed
    assert not half.exists()
    assert own.exists()


def without_step(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != "step"}


def with_another_network(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "networks": {"other": torch.zeros(3)}}


def with_an_identity_of_old(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "identity": "[]"}


@pytest.mark.parametrize("change", [without_step, with_another_network, with_an_identity_of_old])
def test_a_state_of_another_version_is_refused_in_words(
    change: Any, pairs: list[ContrastPair], template: Template, tmp_path: Path
) -> None:
    train(pairs, tmp_path, template, steps=1)
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, change(read_checkpoint(path)))
    with pytest.raises(OutputError, match=f"does not fit this version of the software .*; {WHAT_TO_DO}"):
        train(pairs, tmp_path, template)
