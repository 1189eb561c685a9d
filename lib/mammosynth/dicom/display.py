"""From stored to display values: modality transform, VOI transform, polarity; and a display of For Processing images.

All of them are point functions, so each is computed once for every value that the stored bits can hold and then looked
up. Numbers follow PS3.3 C.7.6.3.1.2 (photometric interpretation), C.11.1 (modality LUT), C.11.2 (VOI LUT) and
C.8.11.3.1.2 (pixel intensity relationship).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataset import Dataset
from skimage.filters import threshold_otsu

from mammosynth.dicom.attributes import integer_of, items_of, label_of, numbers_of, text_of, value_of
from mammosynth.dicom.stored import StoredValues, bands

_ROBUST_PERCENT = (0.1, 99.9)  # of the valid pixels, where a For Presentation image has no window
_BREAST_PERCENT = (
    0.5,
    99.8,
)  # of the breast's pixels, for For Processing images: skin line, and lead markers, saturate
_OTSU_BINS = 256


def padding_mask(stored: StoredValues, header: Dataset) -> np.ndarray | None:
    """Which pixels are image and not padding (PS3.3 C.7.5.1.1.2).

    Returns:
        (H, W) bool, False on Pixel Padding Value (0028,0120) up to Pixel Padding Range Limit (0028,0121); None if no
        pixel, or every pixel, is padding.
    """
    value = integer_of(header, "PixelPaddingValue")
    if value is None:
        return None
    limit = integer_of(header, "PixelPaddingRangeLimit")
    first, last = sorted(_as_stored(padding, stored) for padding in (value, value if limit is None else limit))
    padded = (stored.values >= first) & (stored.values <= last)
    return None if padded.all() or not padded.any() else ~padded


def presentation_display(
    stored: StoredValues, header: Dataset, valid: np.ndarray | None, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Display values of a For Presentation image.

    Args:
        stored: What the instance stores.
        header: Its attributes.
        valid: (H, W) bool, False on padding; None if every pixel is valid.
        name: How messages name the image.

    Returns:
        (H, W) float32 in [0, 1], MONOCHROME2 sense, padding 0; and warnings.
    """
    warnings: list[str] = []
    modality = _modality(stored, header, name, warnings)
    counts = _histogram(stored, valid)
    curve = _voi(modality, counts, header, name, warnings)
    if text_of(header, "PhotometricInterpretation") == "MONOCHROME1":
        curve = 1.0 - curve
    _check_presentation_lut_shape(header, name, warnings)
    return _look_up(curve, stored, valid), tuple(warnings)


def processing_display(
    stored: StoredValues, header: Dataset, valid: np.ndarray | None, name: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Display values of a For Processing image: attenuation, windowed to the breast.

    A detector that is linear in exposure gives I; by Lambert and Beer -ln(I) is linear in what was crossed. The window
    goes from the 0.5th to the 99.8th percentile of the pixels that Otsu's threshold on -ln(I) takes for breast. This is
    no vendor's processing: contrast differs from a For Presentation image of the same breast, hence a warning.

    Args:
        stored: What the instance stores.
        header: Its attributes.
        valid: (H, W) bool, False on padding; None if every pixel is valid.
        name: How messages name the image.

    Returns:
        (H, W) float32 in [0, 1], dense tissue bright, padding 0; and warnings.
    """
    warnings: list[str] = []
    modality = _modality(stored, header, name, warnings)
    counts = _histogram(stored, valid)
    intensity = modality * _intensity_sign(stored, modality, header, name, warnings)
    if text_of(header, "PixelIntensityRelationship") == "LOG":
        attenuation, counted = -intensity, counts
    else:
        if intensity[counts > 0].max() <= 0:  # linear, but higher values for fewer photons: measure from the brightest
            intensity = intensity - intensity[counts > 0].min()
        attenuation = -np.log(np.maximum(intensity, 1.0))
        counted = np.where(intensity > 1.0, counts, 0)  # dead borders and collimator blades would stretch the window
        if not counted.any():
            counted = counts
    threshold = _otsu(attenuation, counted)
    breast = np.where(attenuation > threshold, counted, 0)
    low, high = _percentiles(attenuation, breast if breast.any() else counted, _BREAST_PERCENT)
    warnings.append(
        f"{name}: a FOR PROCESSING image; shown as log attenuation, windowed to the breast, which is not the vendor's "
        "processing. Prefer the FOR PRESENTATION image if there is one."
    )
    return _look_up(_linear_between(attenuation, low, high), stored, valid), tuple(warnings)


def linear_window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, scaled to [0, 1]; a width of 1 or less is a threshold."""
    if width <= 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0.0, 1.0)


def linear_exact_window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.2, scaled to [0, 1]."""
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def sigmoid_window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.1, scaled to [0, 1]."""
    exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)  # float64 overflows beyond
    return 1.0 / (1.0 + np.exp(exponent))


WINDOWS: dict[str, Callable[[np.ndarray, float, float], np.ndarray]] = {  # values of VOI LUT Function (0028,1056)
    "LINEAR": linear_window,
    "LINEAR_EXACT": linear_exact_window,
    "SIGMOID": sigmoid_window,
}


def _modality(stored: StoredValues, header: Dataset, name: str, warnings: list[str]) -> np.ndarray:
    """Modality value of every possible stored value."""
    for item in items_of(header, "ModalityLUTSequence"):
        table = _lookup_table(item, stored, name, warnings)
        if table is not None:
            first, entries, _ = table
            return entries[np.clip(stored.range.astype(np.int64) - first, 0, entries.size - 1)]
    slope, intercept = numbers_of(header, "RescaleSlope"), numbers_of(header, "RescaleIntercept")
    if slope and slope[0] == 0:
        warnings.append(f"{name}: {label_of('RescaleSlope')} is 0 and is ignored.")
        return stored.range
    return stored.range * (slope[0] if slope else 1.0) + (intercept[0] if intercept else 0.0)


def _voi(modality: np.ndarray, counts: np.ndarray, header: Dataset, name: str, warnings: list[str]) -> np.ndarray:
    """Display value in [0, 1] of every possible stored value: first VOI LUT, else first window, else a robust range.

    The first alternative is the vendor's default. One that makes the whole image flat is skipped.
    """
    used = counts > 0
    for item in items_of(header, "VOILUTSequence"):
        table = _lookup_table(item, None, name, warnings)
        if table is not None:
            first, entries, bits = table
            if first > 32767 and modality[used].min() < 0:  # a signed first value, read as unsigned
                first -= 65536
            curve = entries[np.clip(np.rint(modality).astype(np.int64) - first, 0, entries.size - 1)]
            curve = curve / _lut_maximum(entries, bits, name, warnings)
            if np.ptp(curve[used]) > 0 or np.ptp(modality[used]) == 0:
                return curve
    function = text_of(header, "VOILUTFunction") or "LINEAR"
    if function not in WINDOWS:
        warnings.append(f"{name}: {label_of('VOILUTFunction')} is '{function}', which is unknown; LINEAR is used.")
        function = "LINEAR"
    for center, width in zip(numbers_of(header, "WindowCenter"), numbers_of(header, "WindowWidth"), strict=False):
        if width > 0:
            curve = WINDOWS[function](modality, center, width)
            if np.ptp(curve[used]) > 1e-3 or np.ptp(modality[used]) == 0:
                return curve
    low, high = _percentiles(modality, counts, _ROBUST_PERCENT)
    warnings.append(f"{name}: no usable VOI LUT or window; values from {low:g} to {high:g} are shown.")
    return _linear_between(modality, low, high)


def _lookup_table(
    item: Dataset, stored: StoredValues | None, name: str, warnings: list[str]
) -> tuple[int, np.ndarray, int] | None:
    """First mapped value, (N,) float64 entries and bits per entry of a Modality or VOI LUT item; None if unusable."""
    descriptor = numbers_of(item, "LUTDescriptor")
    data = value_of(item, "LUTData")
    if len(descriptor) != 3 or data is None:
        warnings.append(f"{name}: a lookup table without a valid {label_of('LUTDescriptor')} or LUT Data is ignored.")
        return None
    count, first, bits = int(descriptor[0]) or 65536, int(descriptor[1]), int(descriptor[2])
    count += 65536 if count < 0 else 0  # read as signed
    if stored is not None:
        first = _as_stored(first, stored)
    words = (
        np.frombuffer(data[: len(data) // 2 * 2], "<u2") if isinstance(data, bytes) else np.asarray(data).reshape(-1)
    )
    words = words.astype(np.int64) & 0xFFFF  # some files state SS
    if isinstance(data, bytes) and len(data) < 2 * count <= 2 * len(
        data
    ):  # PS3.3 C.11.1.1: 8-bit entries packed in words
        words = np.frombuffer(data, np.uint8).astype(np.int64)
    elif 0 < words.size <= (count + 1) // 2 and bits <= 8:
        words = np.stack([words & 0xFF, words >> 8], axis=1).reshape(-1)
    if not words.size or not 1 <= bits <= 16:
        warnings.append(f"{name}: a lookup table without entries, or of {bits} bits, is ignored.")
        return None
    if words.size < count:
        warnings.append(
            f"{name}: a lookup table has {words.size} entries, {count} are announced; the last one is repeated."
        )
    return first, words[:count].astype(np.float64), bits


def _lut_maximum(entries: np.ndarray, bits: int, name: str, warnings: list[str]) -> float:
    """What white is: 2^bits - 1 (PS3.3 C.11.2.1.1), unless the descriptor's bits cannot be meant."""
    white = float((1 << bits) - 1)
    if white / 2 <= entries.max() <= white or entries.max() == 0:
        return white
    warnings.append(
        f"{name}: the VOI LUT announces {bits} bits but reaches {entries.max():g}, which is taken for white."
    )
    return float(entries.max())


def _check_presentation_lut_shape(header: Dataset, name: str, warnings: list[str]) -> None:
    """Presentation LUT Shape repeats Photometric Interpretation in MG (PS3.3 C.8.11.3.1): it never inverts again."""
    shape, photometric = text_of(header, "PresentationLUTShape"), text_of(header, "PhotometricInterpretation")
    if shape and shape != {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}[photometric]:
        warnings.append(
            f"{name}: {label_of('PresentationLUTShape')} is '{shape}' with {photometric}; the latter is followed."
        )


def _intensity_sign(
    stored: StoredValues, modality: np.ndarray, header: Dataset, name: str, warnings: list[str]
) -> float:
    """+1 if higher values mean more X-rays, -1 if fewer: Pixel Intensity Relationship Sign, else measured."""
    sign = integer_of(header, "PixelIntensityRelationshipSign")
    if sign in (1, -1):
        return float(sign)
    # The two columns nearest the left and right edges: one is chest wall, the other air, which is the more uniform one.
    first = modality[(stored.values[:, :2] - stored.lowest).ravel()]
    last = modality[(stored.values[:, -2:] - stored.lowest).ravel()]
    air, tissue = (
        (first, last)
        if np.ptp(np.quantile(first, (0.2, 0.8))) < np.ptp(np.quantile(last, (0.2, 0.8)))
        else (last, first)
    )
    measured = 1.0 if np.median(air) >= np.median(tissue) else -1.0
    warnings.append(
        f"{name}: {label_of('PixelIntensityRelationshipSign')} is missing; air is "
        f"{'bright' if measured > 0 else 'dark'} at the image border, which gives the sign."
    )
    return measured


def _as_stored(value: int, stored: StoredValues) -> int:
    """A value whose VR (US or SS) may have been misread, in the sign of the stored values."""
    if stored.signed and value > 32767:
        return value - 65536
    return value + 65536 if value < 0 and not stored.signed else value


def _histogram(stored: StoredValues, valid: np.ndarray | None) -> np.ndarray:
    """How many valid pixels have each possible stored value."""
    counts = np.zeros(1 << stored.bits, np.int64)
    for rows in bands(len(stored.values)):
        values = stored.values[rows] if valid is None else stored.values[rows][valid[rows]]
        counts += np.bincount((values - stored.lowest).ravel(), minlength=counts.size)
    return counts


def _look_up(curve: np.ndarray, stored: StoredValues, valid: np.ndarray | None) -> np.ndarray:
    shown, pixels = curve.astype(np.float32), np.empty(stored.values.shape, np.float32)
    for rows in bands(len(pixels)):  # clipping clips nothing, and lets it be written in place
        np.take(shown, stored.values[rows] - stored.lowest, out=pixels[rows], mode="clip")
    if valid is not None:
        pixels[~valid] = 0.0
    return pixels


def _linear_between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(values)


def _percentiles(values: np.ndarray, counts: np.ndarray, percent: tuple[float, float]) -> tuple[float, float]:
    """Percentiles of values that occur `counts` times each."""
    order = np.argsort(values, kind="stable")
    cumulative = np.cumsum(counts[order])
    low, high = (values[order][np.searchsorted(cumulative, share / 100 * cumulative[-1])] for share in percent)
    return float(low), float(high)


def _otsu(values: np.ndarray, counts: np.ndarray) -> float:
    """The threshold that best divides values, which occur `counts` times each, in two classes (Otsu 1979)."""
    used = counts > 0
    histogram, edges = np.histogram(values[used], bins=_OTSU_BINS, weights=counts[used])
    if np.count_nonzero(histogram) < 2:
        return float(edges[-1])  # one class only
    return float(threshold_otsu(hist=(histogram, edges[1:])))  # the upper edge of the lower class's last bin
