"""Sound: WAV files as float32 between -1 and 1, and log-mel features of them. numpy and scipy alone."""

from __future__ import annotations

import struct
import warnings
from math import gcd
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from steelyard.tasks.errors import TaskError

# The smallest energy that is told from silence: -100 dB of full scale.
_FLOOR = 1e-10

# Damaged headers end scipy's reader in errors of many kinds: a file without "fmt " in an UnboundLocalError.
_UNREADABLE = (
    ArithmeticError,
    EOFError,
    IndexError,
    MemoryError,
    OSError,
    TypeError,
    UnboundLocalError,
    ValueError,
    struct.error,
)


def read_wave(path: Path, sample_rate: int, *, resample: bool) -> NDArray[np.float32]:
    """Return a WAV file as float32 [samples], its channels averaged, at ``sample_rate``.

    Integers are divided by their full scale, unsigned bytes are centred first. Another rate is refused, or resampled by
    a polyphase filter (``scipy.signal.resample_poly``).

    Raises:
        TaskError: a file that is missing or no WAV, or another rate.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # Chunks that scipy does not know (tags, cue points) are no trouble.
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, stored = wavfile.read(path)
    except FileNotFoundError as error:
        raise TaskError("data_not_found", f"there is no file {path}; check the path") from error
    except _UNREADABLE as error:
        raise TaskError("invalid_wav", f"{path} cannot be read as WAV ({error}); convert it to PCM WAV") from error
    if stored.size == 0:
        raise TaskError("empty_data", f"{path} holds no sound; remove it")
    mono = _scaled(stored, path)
    mono = mono.mean(axis=1) if mono.ndim == 2 else mono
    if rate == sample_rate:
        return mono.astype(np.float32)
    if not resample:
        raise TaskError(
            "other_sample_rate",
            f"{path} has {rate} samples a second and {sample_rate} are declared; convert it, or set resample = true",
        )
    from scipy.signal import resample_poly

    divisor = gcd(int(rate), sample_rate)
    return np.asarray(resample_poly(mono, sample_rate // divisor, int(rate) // divisor), dtype=np.float32)


def of_length(wave: NDArray[np.float32], sample_count: int) -> NDArray[np.float32]:
    """Return the middle of a wave, or the wave with silence on both sides: [sample_count]."""
    spare = wave.size - sample_count
    if spare >= 0:
        return wave[spare // 2 : spare // 2 + sample_count]
    left = -spare // 2
    return np.pad(wave, (left, -spare - left))


def mel_weights(sample_rate: int, window: int, mel_count: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Return triangular filters [mel_count, window // 2 + 1] on the mel scale of O'Shaughnessy."""
    frequencies = np.linspace(0.0, sample_rate / 2, window // 2 + 1)
    low, high = (2595.0 * np.log10(1.0 + edge / 700.0) for edge in (low_hz, high_hz))
    edges = 700.0 * (10.0 ** (np.linspace(low, high, mel_count + 2) / 2595.0) - 1.0)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rising, falling))


def log_mel(wave: NDArray[np.float32], weights: NDArray[np.float64], *, window: int, hop: int) -> NDArray[np.float32]:
    """Return the natural log of mel energies, float32 [frames, mel_count]: Hann windows, power spectrum, no padding."""
    frame_count = 1 + (wave.size - window) // hop
    starts = hop * np.arange(frame_count)
    frames = wave[starts[:, None] + np.arange(window)[None]] * np.hanning(window + 1)[:-1]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return np.log(np.maximum(power @ weights.T, _FLOOR)).astype(np.float32)


def _scaled(stored: NDArray[np.generic], path: Path) -> NDArray[np.float64]:
    if stored.dtype == np.uint8:
        return (stored.astype(np.float64) - 128.0) / 128.0
    if stored.dtype.kind == "i":
        # scipy keeps 24 bits in the upper ones of 32.
        return np.asarray(stored.astype(np.float64) / 2.0 ** (8 * stored.dtype.itemsize - 1))
    if stored.dtype.kind == "f" and np.isfinite(stored).all():
        return stored.astype(np.float64)
    raise TaskError("invalid_wav", f"{path} holds {stored.dtype} samples that are no finite numbers; convert it")
