"""Calibration samples as every peer gets them: arrays in files, read one sample at a time."""

import json
import sys
from pathlib import Path

import numpy as np


def read_request() -> dict:
    """Return what this program is asked for: "model", "samples" (a folder), "out" and "settings"."""
    return json.loads(Path(sys.argv[1]).read_text())


def feeds(folder: str) -> list:
    """Return the samples, a batch of one each; the arrays stay in their files until they are asked for."""
    names = json.loads((Path(folder) / "inputs.json").read_text())
    arrays = {name: np.load(Path(folder) / f"{index}.npy", mmap_mode="r") for index, name in enumerate(names)}
    return _Feeds(arrays)


class _Feeds(list):
    """A list of samples by input name, each read when it is asked for."""

    def __init__(self, arrays: dict) -> None:
        super().__init__()
        self._arrays = arrays
        self._count = len(next(iter(arrays.values())))

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index):
        if not 0 <= index < self._count:
            raise IndexError(index)
        return {name: np.array(array[index : index + 1]) for name, array in self._arrays.items()}

    def __iter__(self):
        return (self[index] for index in range(self._count))
