"""Forget what trainings kept that nobody went on with."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

# Long enough to come back from a holiday to an interrupted recipe.
KEPT_DAYS = 30
_DAY_S = 86_400


def forget_old(folder: Path, *, now_s: float) -> int:
    """Remove the folders of trainings that were last written ``KEPT_DAYS`` ago or more, and return how many.

    Args:
        folder: has a folder a training; it may not be there.
        now_s: the time since the epoch.
    """
    if not folder.is_dir():
        return 0
    old = [one for one in folder.iterdir() if one.is_dir() and now_s - _last_written_s(one) >= KEPT_DAYS * _DAY_S]
    for one in old:
        shutil.rmtree(one, ignore_errors=True)
    return len(old)


def _last_written_s(folder: Path) -> float:
    # Another job may remove what it has behind it meanwhile.
    with suppress(FileNotFoundError):
        return max(one.stat().st_mtime for one in (folder, *folder.rglob("*")))
    return float("inf")
