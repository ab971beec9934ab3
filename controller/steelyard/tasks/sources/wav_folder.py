"""Recordings: a folder a class, or a list of files with labels; as waves or as log-mel features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from steelyard.spelling import meant
from steelyard.tasks.errors import TaskError
from steelyard.tasks.sources.contract import SourceData
from steelyard.tasks.sources.drawing import Draw
from steelyard.tasks.sources.labelled_files import files_by_folder, listed_files, split_files
from steelyard.tasks.sources.waves import log_mel, mel_weights, of_length, read_wave

_FEATURES = ("wave", "log-mel")


@dataclass(frozen=True, slots=True, kw_only=True)
class WavFolder:
    """``folder`` with a folder a class, or ``list``, a CSV with ``file`` and ``label``.

    Each recording becomes ``samples`` samples at ``sample_rate``: its middle, or itself with silence on both sides.
    ``features`` "wave" gives float32 [samples]; "log-mel" [frames, mels] with ``window``, ``hop`` (samples), ``mels``,
    ``low_hz`` and ``high_hz`` (0: half the sample rate).
    """

    kind: ClassVar[str] = "wav"

    sample_rate: int
    samples: int
    folder: str = "."
    list: str = ""
    resample: bool = False
    features: str = "wave"
    window: int = 400
    hop: int = 160
    mels: int = 40
    low_hz: float = 20.0
    high_hz: float = 0.0
    seed: int = 0
    evaluation_count: int = 0
    calibration_count: int = 0
    validation_count: int = 0
    training_count: int = 0

    def __post_init__(self) -> None:
        """Refuse rates and lengths of nothing, and windows that do not fit."""
        if self.features not in _FEATURES:
            raise TaskError("invalid_setting", f"wav: features is {self.features!r}; {meant(self.features, _FEATURES)}")
        for name in ("sample_rate", "samples", "window", "hop", "mels"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TaskError("invalid_setting", f"wav: {name} is {value!r}; write a whole number above 0")
        if self.features == "log-mel" and self.window > self.samples:
            raise TaskError(
                "invalid_setting",
                f"wav: a window of {self.window} samples is longer than the {self.samples} of a sample",
            )
        if not 0 <= self.low_hz < (self.high_hz or self.sample_rate / 2) <= self.sample_rate / 2:
            raise TaskError(
                "invalid_setting",
                f"wav: low_hz {self.low_hz:g} and high_hz {self.high_hz:g} do not lie in order up to half the rate",
            )

    def read(self, folder: Path) -> SourceData:
        """Return the recordings; see ``Source.read``."""
        below = folder / self.folder
        files = listed_files(folder / self.list) if self.list else files_by_folder(below, _waves_below)
        draw = Draw.of(self)
        told = {
            "kind": self.kind,
            "folder": self.folder,
            "list": self.list,
            "sample_rate": self.sample_rate,
            "features": self.features,
        }
        return split_files({"": files}, draw, self._recordings, source=below, told=told)

    def _recordings(self, paths: Sequence[Path]) -> NDArray[Any]:
        weights = mel_weights(
            self.sample_rate, self.window, self.mels, self.low_hz, self.high_hz or self.sample_rate / 2
        )
        parts = []
        for path in paths:
            wave = of_length(read_wave(path, self.sample_rate, resample=self.resample), self.samples)
            parts.append(wave if self.features == "wave" else log_mel(wave, weights, window=self.window, hop=self.hop))
        return np.stack(parts)


def _waves_below(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise TaskError("data_not_found", f"there is no folder {folder}; check the path")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav" and path.is_file())
    if not found:
        raise TaskError("empty_data", f"{folder} holds no .wav file; check the folder")
    return found
