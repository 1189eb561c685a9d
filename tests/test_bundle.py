"""Bundles: found, checked, loaded, run; and refused when damaged or when they could run code."""

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mammosynth.bundle import (
    METADATA,
    TARGETS,
    build_synthesizer,
    default_bundle,
    default_model_zoo,
    find_bundle,
    find_bundles,
    hash_file,
    load_bundle,
    read_config,
    refuse_code,
)
from mammosynth.errors import BundleError, InvalidParameterError, MissingAttributeError
from mammosynth.mammogram import Mammogram
from mammosynth.task import Rendering
from mammosynth.terms import ViewPosition
from tests.support.breasts import breast_image

RELEASED = default_model_zoo() / "breast_cem_residual"


def mammogram(view_position: ViewPosition | None = ViewPosition.CC, *, mirrored: bool = False) -> Mammogram:
    return Mammogram(breast_image(180, 120, mirrored=mirrored), "IM1.dcm", view_position=view_position)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RELEASED, tmp_path / "a_copy"))


def edit(file: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads(file.read_text())
    change(config)
    file.write_text(json.dumps(config))


def test_released_bundles_are_found_by_name() -> None:
    assert find_bundles()["breast_cem_residual"] == RELEASED
    assert find_bundles(RELEASED) == {"breast_cem_residual": RELEASED}


def test_a_bundle_is_named_or_lies_at_a_path(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copy.parent)
    assert find_bundle("breast_cem_residual") == RELEASED
    assert find_bundle("a_copy") == find_bundle("./a_copy") == Path("a_copy")
    assert find_bundle(str(copy)) == find_bundle(copy) == copy


def test_a_known_name_is_not_taken_for_a_folder_of_the_working_directory(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    own = copy.rename("breast_cem_residual")
    assert find_bundle("breast_cem_residual") == RELEASED
    assert find_bundle("./breast_cem_residual").resolve() == own.resolve()
    assert find_bundle(Path("breast_cem_residual")).resolve() == own.resolve()
    assert find_bundle("breast_cem_residual", own) == own  # another zoo, another bundle of that name


@pytest.mark.parametrize("name", ["nonsense", "", "./nonsense", Path("configs")])
def test_what_is_no_bundle_is_answered_with_the_known_ones(
    name: str | Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    with pytest.raises(BundleError, match=r"expected one of .*breast_cem_residual.*holds configs/metadata\.json"):
        find_bundle(name)


def test_released_contrast_model_says_what_it_is() -> None:
    bundle = load_bundle(RELEASED)
    assert bundle.task.name == "contrast"
    assert bundle.is_default
    assert bundle.description
    assert bundle.version in bundle.metadata["changelog"]
    assert bundle.weights_sha256 == bundle.metadata["mammosynth"]["weights_sha256"]
    assert list(bundle.synthesizer.parameters.model_fields) == ["uncertainty"]
    assert bundle.renderings == (Rendering.EXPECTED, Rendering.SAMPLED)


def test_released_files_are_small_and_complete() -> None:
    for name in ("LICENSE", "docs/README.md", "docs/data_license.txt", "models/model.safetensors"):
        assert 0 < (RELEASED / name).stat().st_size < 25e6, name


@pytest.mark.parametrize("folder", find_bundles().values(), ids=lambda folder: folder.name)
def test_inputs_of_a_bundle_are_the_channels_and_the_frame_named(folder: Path) -> None:
    inputs = read_config(folder, METADATA)["network_data_format"]["inputs"]["image"]
    preprocessing = build_synthesizer(folder).preprocessing
    assert tuple(inputs["channel_def"].values()) == preprocessing.CHANNELS
    assert inputs["spatial_shape"] in (list(preprocessing.frame_shape), ["4*n", "4*n"])  # or any, as MONAI writes it


@pytest.mark.slow
def test_synthesis_keeps_matrix_orientation_and_source_and_records_provenance() -> None:
    bundle, source = load_bundle(RELEASED), mammogram(mirrored=True)
    told: list[float] = []
    result = bundle.synthesize({"source": source}, seed=5, progress=lambda fraction, _: told.append(fraction))
    assert result.image.pixels.shape == source.pixels.shape
    assert result.image.pixels.dtype == np.float32
    assert result.image.pixels[:, -10:].mean() > result.image.pixels[:, :10].mean()
    assert result.image.view_position is ViewPosition.CC
    assert told == sorted(told)
    assert told[-1] == 1
    made = result.provenance
    assert (made.bundle, made.seed, made.rendering) == ("breast_cem_residual", 5, "expected")
    assert [(source.role, source.name) for source in made.sources] == [("source", "IM1.dcm")]
    assert made.weights_sha256 == hash_file(RELEASED / "models" / "model.safetensors", "breast_cem_residual")


def test_an_ensemble_is_loaded_from_one_file_and_gives_an_uncertainty(copy: Path) -> None:
    member = {"_target_": "mammosynth.networks.residual_unet.ResidualUNet", "in_channels": 8, "features": [4, 8]}
    network = {"_target_": "mammosynth.networks.ensemble.Ensemble", "members": [member, member]}
    edit(copy / "configs" / "inference.json", lambda config: config.update(network=network))
    edit(copy / "configs" / "metadata.json", lambda config: config["mammosynth"].pop("weights_sha256"))
    state = build_synthesizer(copy).network.state_dict()
    state["members.1.base"] = state["members.0.base"] + torch.tensor([0.2, 0.0])
    assert {key.split(".")[1] for key in state} == {"0", "1"}
    save_file(state, copy / "models" / "model.safetensors")
    result = load_bundle(copy).synthesize({"source": mammogram()}, parameters={"uncertainty": True})
    assert result.provenance.parameters == {"uncertainty": True}
    # Deviations of the release's own calibration: of the spread, 0.1, and of the grey value.
    image, uncertainty = result.image.pixels, result["uncertainty"].pixels
    calibration = load_bundle(RELEASED).synthesizer.calibration
    expected = calibration.deviation(image, np.full_like(image, 0.1))
    breast = image > 0.25
    np.testing.assert_allclose(uncertainty[breast], expected[breast], rtol=1e-3)
    assert breast.any()


@pytest.mark.slow
def test_mirrored_source_gives_the_mirrored_image() -> None:
    bundle = load_bundle(RELEASED)
    left, right = (
        bundle.synthesize({"source": mammogram(mirrored=mirrored)}).image.pixels for mirrored in (False, True)
    )
    np.testing.assert_allclose(left, right[:, ::-1], atol=1e-6)


@pytest.mark.slow
def test_view_position_has_an_effect() -> None:
    bundle = load_bundle(RELEASED)
    cc, mlo = (bundle.synthesize({"source": mammogram(view)}).image.pixels for view in ViewPosition)
    assert not np.array_equal(cc, mlo)


@pytest.mark.slow
def test_same_request_gives_the_same_pixels_from_any_thread() -> None:
    bundle, images = load_bundle(RELEASED), []
    threads = [
        threading.Thread(target=lambda: images.append(bundle.synthesize({"source": mammogram()}).image.pixels))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(images) == 3
    np.testing.assert_array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[0], images[2])


def test_missing_view_position_and_unknown_parameter_are_refused() -> None:
    bundle = load_bundle(RELEASED)
    with pytest.raises(MissingAttributeError, match="set view_position"):
        bundle.synthesize({"source": mammogram(None)})
    with pytest.raises(InvalidParameterError, match="parameter 'gain' is unknown"):
        bundle.synthesize({"source": mammogram()}, parameters={"gain": 2})


def test_missing_bundle_is_refused_with_the_names_beside_it() -> None:
    with pytest.raises(BundleError, match=r"no model bundle; bundles beside it: .*breast_cem_residual"):
        load_bundle(default_model_zoo() / "nothing")


def test_of_a_task_without_a_default_its_own_models_are_named(copy: Path) -> None:
    edit(copy / METADATA, lambda metadata: metadata["mammosynth"].pop("default"))
    with pytest.raises(BundleError, match=r"for contrast; name one \(--bundle\): a_copy, a folder of yours"):
        default_bundle("contrast", copy)
    with pytest.raises(BundleError, match=r"no default bundle for mirror; name one \(--bundle\): a folder"):
        default_bundle("mirror", copy)


def test_missing_weights_are_refused(copy: Path) -> None:
    (copy / "models" / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"a_copy has no weights \(models/model\.safetensors is missing\)"):
        load_bundle(copy)


def test_weights_with_another_hash_are_refused(copy: Path) -> None:
    weights = copy / "models" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(BundleError, match="its hash is not the one in metadata"):
        load_bundle(copy)


def test_weights_cut_off_or_of_another_network_are_refused(copy: Path) -> None:
    weights = copy / "models" / "model.safetensors"
    edit(copy / "configs" / "metadata.json", lambda config: config["mammosynth"].pop("weights_sha256"))
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="does not fit the network"):
        load_bundle(copy)
    weights.write_bytes(whole)
    state = load_file(weights)
    save_file({key: value for key, value in list(state.items())[1:]}, weights)
    with pytest.raises(BundleError, match="does not fit the network"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["network"].update(_target_="os.system"), r"_target_ 'os\.system' is refused"),
        (lambda c: c["network"].update(_target_="torch.load"), r"_target_ 'torch\.load' is refused"),
        # A function, and a class that is only imported into an accepted module.
        (lambda c: c["network"].update(_target_="mammosynth.synthesis.engine.run_whole"), "is refused"),
        (lambda c: c["network"].update(_target_="mammosynth.preprocessing.pairs.Path"), "is refused"),
        (lambda c: c["network"].update(_target_="mammosynth.networks.nothing.Net"), "does not exist"),
        (lambda c: c["network"].update(bias="$__import__('os').getcwd()"), "is code or a macro"),
        (lambda c: c["network"].update(features=[24, "$48"]), "is code or a macro"),
        (lambda c: c.update(more={"deep": [{"_target_": "subprocess.run"}]}), r"'subprocess\.run' is refused"),
        (lambda c: c["network"].update(_mode_="debug"), "key '_mode_' is not accepted"),
        (lambda c: c["network"].update(bias="%other.json#x"), "is code or a macro"),
        (lambda c: c["synthesizer"].update(network="@nothing"), "cannot be built"),
        (lambda c: c["network"].update(colour=1), "cannot be built"),
        (lambda c: c.update(synthesizer={"_target_": "torch.nn.Identity"}), "'synthesizer' is a Identity"),
        (lambda c: c.pop("synthesizer"), "cannot be built"),
    ],
)
def test_configuration_that_is_wrong_or_could_run_code_is_refused(
    copy: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit(copy / "configs" / "inference.json", change)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_refused_configuration_has_run_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    with pytest.raises(BundleError):
        refuse_code({"x": f"$open({str(witness)!r}, 'w')"}, "a bundle", TARGETS)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("metadata.json", "{", "is not JSON"),
        ("metadata.json", "[]", "holds a list, expected an object"),
        ("metadata.json", "{}", "expected 'version' and 'mammosynth'"),
        ("metadata.json", '{"version": "1", "mammosynth": {"task": "paint"}}', r"'task' \(contrast"),
        ("inference.json", "", "is not JSON"),
    ],
)
def test_damaged_configuration_is_refused(copy: Path, file: str, text: str, message: str) -> None:
    (copy / "configs" / file).write_text(text)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_unusable_device_is_refused() -> None:
    with pytest.raises(BundleError, match="device 'nonsense' cannot be used"):
        load_bundle(RELEASED, device="nonsense")
