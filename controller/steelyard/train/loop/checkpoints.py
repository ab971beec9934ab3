"""How far a training came, in files that are whole or not there: written aside, flushed, renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from steelyard.compress.lack_of_memory import is_lack_of_memory
from steelyard.errors import first_line
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
        """Keep all that is needed to go on: numbers, texts, lists, mappings and tensors.

        Raises:
            TrainingError: checkpoint_unwritable; what was kept before is still there.
        """
        self._write(_LAST, state)

    def last(self) -> dict[str, Any] | None:
        """Return what was kept last, None for nothing.

        Raises:
            TrainingError: checkpoint_unreadable.
        """
        return self._read(_LAST)

    def keep_best(self, state: Mapping[str, Any]) -> None:
        """Keep a model that is better than all before.

        Raises:
            TrainingError: checkpoint_unwritable; the one before is still there.
        """
        self._write(_BEST, state)

    def best(self) -> dict[str, Any] | None:
        """Return the best model so far, None for none.

        Raises:
            TrainingError: checkpoint_unreadable.
        """
        return self._read(_BEST)

    def unreadable(self, error: Exception) -> TrainingError:
        """Return the error for what was kept last, which is no state of this training."""
        return _unreadable(self._folder / _LAST, f"{type(error).__name__}: {first_line(error)}")

    def _write(self, name: str, state: Mapping[str, Any]) -> None:
        aside = self._folder / f"{name}.{os.getpid()}"
        try:
            _write_whole(aside, state)
            aside.replace(self._folder / name)
        except (OSError, RuntimeError) as error:
            # PyTorch tells a write that failed in words of its own.
            if is_lack_of_memory(error):
                raise
            raise TrainingError(
                "checkpoint_unwritable",
                f"how far the training came cannot be kept in {self._folder} ({first_line(error)}); free space or "
                "correct the rights there and run it again, which goes on behind the last epoch that was kept",
            ) from error
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)

    def _read(self, name: str) -> dict[str, Any] | None:
        import torch

        path = self._folder / name
        if not path.is_file():
            return None
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise _unreadable(path, f"{type(error).__name__}: {first_line(error)}") from error
        if not isinstance(found, dict):
            raise _unreadable(path, f"it holds a {type(found).__name__}")
        return found


def _write_whole(path: Path, state: Mapping[str, Any]) -> None:
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())


def _unreadable(path: Path, why: str) -> TrainingError:
    return TrainingError(
        "checkpoint_unreadable", f"{path} cannot be read ({why}); remove the folder to train from the start"
    )
