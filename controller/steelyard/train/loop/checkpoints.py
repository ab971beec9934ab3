"""How far a training came, in files that are whole or not there: written aside, flushed, renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steelyard.train.errors import TrainingError

_LAST = "last.pt"
_BEST = "best.pt"


class Checkpoints:
    """The files of one training in a folder of its own: where it is, and the best model so far."""

    def __init__(self, folder: Path) -> None:
        """Name the folder, which is made at the first write."""
        self._folder = folder

    def inside(self, name: str) -> Checkpoints:
        """Return the files of a part of the training (a round of pruning)."""
        return Checkpoints(self._folder / name)

    def keep_last(self, state: Mapping[str, Any]) -> None:
        """Keep all that is needed to go on: numbers, texts, lists, mappings and tensors."""
        self._write(_LAST, state)

    def last(self) -> dict[str, Any] | None:
        """Return what was kept last, None for nothing.

        Raises:
            TrainingError: checkpoint_unreadable.
        """
        return self._read(_LAST)

    def keep_best(self, state: Mapping[str, Any]) -> None:
        """Keep a model that is better than all before."""
        self._write(_BEST, state)

    def best(self) -> dict[str, Any] | None:
        """Return the best model so far, None for none.

        Raises:
            TrainingError: checkpoint_unreadable.
        """
        return self._read(_BEST)

    def _write(self, name: str, state: Mapping[str, Any]) -> None:
        import torch

        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f"{name}.{os.getpid()}"
        with aside.open("wb") as file:
            torch.save(dict(state), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._folder / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        import torch

        path = self._folder / name
        if not path.is_file():
            return None
        try:
            found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise TrainingError(
                "checkpoint_unreadable",
                f"{path} cannot be read ({type(error).__name__}: {error}); remove the folder to train from the start",
            ) from error
        return found
