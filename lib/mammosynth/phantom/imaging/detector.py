"""What the detector does to an image: blur of the converter, quantum noise that shares it, and electronic noise."""

from __future__ import annotations

import numpy as np
import scipy.fft

from mammosynth.phantom.imaging.beams import Detector

_NATIVE_PIXEL_MM = 0.1  # to which electronic noise refers; larger pixels are sums of such ones
_RESOLVED = 0.99  # a converter that passes more than this at half the sampling frequency is not seen to blur
_PADDING_MM = 2.4  # images are mirrored so far beyond their borders; the blur does not reach farther


def detect(
    signal: np.ndarray,
    quantum_variance: np.ndarray | None,
    electronic_variance: float,
    *,
    detector: Detector,
    pixel_mm: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """An image as it is read out.

    Quantum noise is blurred with the signal, so that its power follows the square of the converter's modulation
    transfer; in a converter that does not blur it is white. The aperture of the pixel blurs only the signal, and is
    already in it.

    Args:
        signal: (H, W), means over the areas of pixels.
        quantum_variance: (H, W) in the square of its unit, before blur; None: no noise of any kind.
        electronic_variance: Likewise, white.
        detector: Which.
        pixel_mm: Spacing.
        rng: Where noise is drawn.

    Returns:
        (H, W) float32.
    """
    image = signal
    if quantum_variance is not None:
        image = signal + np.sqrt(quantum_variance) * rng.standard_normal(signal.shape, dtype=np.float32)
    image = blur(image, detector, pixel_mm)
    if quantum_variance is not None:
        image = image + np.float32(electronic_variance**0.5) * rng.standard_normal(signal.shape, dtype=np.float32)
    return image.astype(np.float32, copy=False)


def blur(image: np.ndarray, detector: Detector, pixel_mm: float) -> np.ndarray:
    """The converter's blur, where pixels resolve it; (H, W) to (H, W)."""
    if detector.converter_mtf(np.array([0.5 / pixel_mm]))[0] > _RESOLVED:
        return image
    padding = int(np.ceil(_PADDING_MM / pixel_mm))
    padded = np.pad(image.astype(np.float32, copy=False), padding, mode="symmetric")
    size = [scipy.fft.next_fast_len(n, real=True) for n in padded.shape]
    across, along = np.fft.fftfreq(size[0], pixel_mm), np.fft.rfftfreq(size[1], pixel_mm)
    transfer = detector.converter_mtf(np.hypot(across[:, None], along)).astype(np.float32)
    spectrum = scipy.fft.rfft2(padded, size, overwrite_x=True)
    spectrum *= transfer
    blurred = scipy.fft.irfft2(spectrum, size, overwrite_x=True)
    return np.ascontiguousarray(blurred[padding : padding + image.shape[0], padding : padding + image.shape[1]])


def electronic_noise_kev(detector: Detector, pixel_mm: float) -> float:
    """Standard deviation per pixel, as absorbed energy."""
    return detector.electronic_noise_kev * pixel_mm / _NATIVE_PIXEL_MM
