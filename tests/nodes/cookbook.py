"""What the equalizer is held against: Robert Bristow-Johnson's cookbook filters and Butterworth cascades of them, in scipy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfreqz

Sections = NDArray[np.float64]  # (n, 6): b0 b1 b2 a0 a1 a2, a0 = 1


def biquad(kind: str, frequency: float, gain_db: float, q: float, rate: int) -> list[float]:
    root, omega = 10 ** (gain_db / 40), 2 * np.pi * frequency / rate
    cos, alpha = np.cos(omega), np.sin(omega) / (2 * q)
    up, down, beta = root + 1, root - 1, 2 * np.sqrt(root) * alpha
    match kind:
        case "low_pass":
            above = [(1 - cos) / 2, 1 - cos, (1 - cos) / 2]
        case "high_pass":
            above = [(1 + cos) / 2, -(1 + cos), (1 + cos) / 2]
        case "band_pass":
            above = [alpha, 0.0, -alpha]
        case "notch":
            above = [1.0, -2 * cos, 1.0]
        case "all_pass":
            above = [1 - alpha, -2 * cos, 1 + alpha]
        case "peaking":
            return [1 + alpha * root, -2 * cos, 1 - alpha * root, 1 + alpha / root, -2 * cos, 1 - alpha / root]
        case "low_shelf":
            above = [root * (up - down * cos + beta), 2 * root * (down - up * cos), root * (up - down * cos - beta)]
            return [*above, up + down * cos + beta, -2 * (down + up * cos), up + down * cos - beta]
        case "high_shelf":
            above = [root * (up + down * cos + beta), -2 * root * (down + up * cos), root * (up + down * cos - beta)]
            return [*above, up - down * cos + beta, 2 * (down - up * cos), up - down * cos - beta]
        case _:
            raise ValueError(kind)
    return [*above, 1 + alpha, -2 * cos, 1 - alpha]


def first_order(kind: str, frequency: float, rate: int) -> list[float]:
    """The analogue one by the bilinear transform."""
    pitch = np.tan(np.pi * frequency / rate)
    above = [pitch, pitch, 0.0] if kind == "low_pass" else [1.0, -1.0, 0.0]
    return [*above, 1 + pitch, pitch - 1, 0.0]


def sections(
    kind: str, frequency: float, gain_db: float = 0.0, q: float = 0.7071, slope: int = 12, rate: int = 48000
) -> Sections:
    order = slope // 6
    if kind not in {"low_pass", "high_pass"}:
        found = [biquad(kind, frequency, gain_db, q, rate)]
    else:
        sharpness = [0.5 / np.sin((2 * n + 1) * np.pi / (2 * order)) for n in range(order // 2)]
        found = [biquad(kind, frequency, 0.0, each * q / np.sqrt(0.5), rate) for each in sharpness]
        found += [first_order(kind, frequency, rate)] * (order % 2)
    return np.array([np.array(section) / section[3] for section in found])


def response(chain: Sections, frequencies: NDArray[np.float64], rate: int = 48000) -> NDArray[np.complex128]:
    answer: NDArray[np.complex128] = sosfreqz(chain, frequencies, fs=rate)[1]
    return answer
