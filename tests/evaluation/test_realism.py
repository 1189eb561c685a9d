import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mammosynth.errors import DataError
from mammosynth.evaluation.realism import (
    STATISTICS,
    ImageStatistics,
    format_realism,
    phantom_statistics,
    read_real,
    realism_report,
    roi_power,
    spectral_slope,
    summary_statistics,
)
from mammosynth.phantom.parameters import Density
from tests.support.tables import write_table


def power_law_field(beta: float, size: int = 512, seed: int = 0) -> np.ndarray:
    """A Gaussian random field whose power falls as 1 / frequency ** beta; mean 0.3, standard deviation 0.05."""
    axis = np.fft.fftfreq(size)
    frequency = np.hypot(axis[:, None], axis[: size // 2 + 1])
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((size, size)))
    field = np.fft.irfft2(noise * frequency ** (-beta / 2), s=(size, size))
    return (0.3 + 0.05 * field / field.std()).astype(np.float32)


def half_disc(image: np.ndarray) -> np.ndarray:
    """The image as a breast: half a disc at column 0, air elsewhere."""
    row, column = np.ogrid[: image.shape[0], : image.shape[1]]
    inside = np.hypot(row - image.shape[0] / 2, column) < 0.45 * image.shape[0]
    return np.where(inside, np.clip(image, 0.06, 1), 0).astype(np.float32)


def report_of(real: list[ImageStatistics], phantom: list[ImageStatistics], seed: int = 0) -> dict[str, Any]:
    return realism_report(real, phantom, seed=seed, repeats=1, halves=1)


def drawn(mean: float, count: int, seed: int, per_patient: int = 1) -> list[ImageStatistics]:
    rng = np.random.default_rng(seed)
    return [
        ImageStatistics(
            values=rng.normal(mean, 1.0, len(STATISTICS)),
            octaves=rng.normal(mean, 1.0, 5),
            patient=f"{seed}-{n // per_patient}",
            density=list(Density)[n % 3],
        )
        for n in range(count)
    ]


@pytest.mark.parametrize("beta", [1.5, 2.5, 3.0, 3.5])
def test_beta_of_a_power_law_field_is_found(beta: float) -> None:
    slopes = []
    for seed in range(3):
        field = power_law_field(beta, seed=seed)
        slopes.append(spectral_slope(roi_power(field, np.ones(field.shape, bool))))
    assert np.mean(slopes) == pytest.approx(beta, abs=0.12)


def test_beta_does_not_depend_on_brightness_or_contrast() -> None:
    field, everywhere = power_law_field(3.0), np.ones((512, 512), bool)
    assert spectral_slope(roi_power(0.1 + 0.4 * field, everywhere)) == pytest.approx(
        spectral_slope(roi_power(field, everywhere)), abs=1e-4
    )


def test_regions_that_leave_the_mask_are_not_used() -> None:
    field, mask = power_law_field(3.0), np.zeros((512, 512), bool)
    mask[100:300, 50:250] = True
    spoiled = np.where(mask, field, 1000.0).astype(np.float32)
    assert np.array_equal(roi_power(spoiled, mask), roi_power(field, mask))


def test_a_breast_without_room_for_a_region_is_refused() -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:160, 100:300] = True
    with pytest.raises(DataError, match=r"25\.6 mm"):
        roi_power(power_law_field(3.0), mask)


def test_statistics_of_an_image_are_those_of_its_breast() -> None:
    statistics = summary_statistics(half_disc(power_law_field(3.0)), 0.4, patient="P1", density=Density.B)
    beta, mean, variance, skewness, kurtosis, _ = statistics.values
    assert beta == pytest.approx(3.0, abs=0.25)
    assert mean == pytest.approx(0.3, abs=0.03)
    assert variance == pytest.approx(0.05**2, rel=0.5)
    assert abs(skewness) < 0.6
    assert kurtosis == pytest.approx(3, abs=1)
    assert (np.diff(statistics.octaves) < 0).all()
    assert (statistics.patient, statistics.density) == ("P1", Density.B)


def test_finer_pixels_are_averaged_to_the_common_grid() -> None:
    image = half_disc(power_law_field(3.0))
    fine = np.kron(image, np.ones((4, 4), np.float32))
    assert summary_statistics(fine, 0.1).values == pytest.approx(summary_statistics(image, 0.4).values, rel=1e-3)


def test_coarser_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.8 mm, expected at most 0\.4"):
        summary_statistics(half_disc(power_law_field(3.0)), 0.8)


@pytest.mark.slow
def test_images_from_the_same_source_are_not_told_apart() -> None:
    report = report_of(drawn(0, 40, 1), drawn(0, 40, 2))
    for auc in report["auc"].values():
        assert 0.3 < auc["value"] < 0.7
    assert all(row["ks"] < 0.35 for row in report["statistics"].values())


@pytest.mark.slow
def test_images_that_differ_are_told_apart_and_by_what_is_said() -> None:
    report = report_of(drawn(0, 40, 1, per_patient=2), drawn(2, 30, 2))
    assert report["real_patients"] == 20
    for name, auc in report["auc"].items():
        assert auc["value"] > 0.95
        assert auc["low"] <= auc["value"] <= auc["high"]
        assert report["floor"][name]["mean"] < 0.7
    assert report["statistics"]["beta"]["ks"] > 0.5
    assert report["beta"]["a"]["phantom"]["n"] == 10
    assert report["beta"]["d"]["real"]["n"] == 0
    assert all(row["ratio"] > 1 for row in report["octaves"].values())
    json.dumps(report)


@pytest.mark.slow
def test_images_of_one_patient_do_not_help_to_recognise_each_other() -> None:
    rng = np.random.default_rng(3)
    values = np.repeat(rng.normal(0, 1, (20, 6)), 4, axis=0) + rng.normal(0, 0.01, (80, 6))
    images = [ImageStatistics(row, np.zeros(5), patient=f"{n // 4}") for n, row in enumerate(values)]
    assert report_of(images[:40], images[40:])["auc"]["random forest"]["value"] < 0.75


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report_and_its_table_names_every_statistic() -> None:
    first, second = (report_of(drawn(0, 14, 1), drawn(1, 14, 2), seed=5) for _ in range(2))
    assert first == second
    for word in (*STATISTICS, "logistic", "forest", "none"):
        assert word in format_realism(first)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(DataError, match="at least 12"):
        report_of(drawn(0, 5, 1), drawn(0, 40, 2))


def write_data(folder: Path, rows: list[dict[str, str]]) -> Path:
    (folder / "full" / "cc_low_energy").mkdir(parents=True)
    write_table(folder / "full" / "cc_index.csv", rows)
    return folder


ROW = {"split": "val", "file": "a.jpg", "patient": "P1", "density": "C"}


def test_real_images_are_read_with_patient_density_and_split(tmp_path: Path) -> None:
    folder = write_data(tmp_path, [ROW, {**ROW, "file": "b.jpg", "density": "_", "split": "test"}])
    pixels = np.kron(half_disc(power_law_field(3.0, size=256)), np.ones((4, 4)))
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray((255 * pixels).astype(np.uint8)).save(folder / "full" / "cc_low_energy" / name, quality=95)
    first, second = read_real(folder)
    assert (first.split, first.patient, first.density) == ("val", "P1", Density.C)
    assert (second.split, second.density) == ("test", None)
    assert first.values[1] == pytest.approx(0.3, abs=0.03)


def test_a_folder_without_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"full/cc_index\.csv is missing"):
        read_real(tmp_path)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="patient, density are missing"):
        read_real(write_data(tmp_path, [{"split": "val", "file": "a.jpg"}]))


def test_every_bad_file_is_listed(tmp_path: Path) -> None:
    folder = write_data(tmp_path, [ROW, {**ROW, "file": "b.jpg"}])
    (folder / "full" / "cc_low_energy" / "a.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"2 of 2 images(.|\n)*a\.jpg(.|\n)*b\.jpg"):
        read_real(folder)


@pytest.mark.slow
def test_a_phantom_is_measured_like_a_real_image() -> None:
    (phantom,) = phantom_statistics(1, seed=3)
    assert phantom.patient == "phantom 3"
    assert 1.5 < phantom.values[0] < 4.5
    assert 0.1 < phantom.values[1] < 0.6
