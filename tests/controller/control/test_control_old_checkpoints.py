"""What trainings kept that nobody went on with is forgotten, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from steelyard.control.old_checkpoints import KEPT_DAYS, forget_old

_DAY_S = 86_400
_NOW_S = 2_000_000_000.0


def keep(folder: Path, name: str, *, age_days: float) -> Path:
    """Write the folder of a training whose last file is of this age."""
    made = folder / name
    made.mkdir(parents=True)
    (made / "last.pt").write_bytes(b"weights")
    for path in (made / "last.pt", made):
        os.utime(path, (_NOW_S - age_days * _DAY_S,) * 2)
    return made


def test_trainings_that_nobody_went_on_with_are_forgotten(tmp_path: Path) -> None:
    old, young = keep(tmp_path, "a", age_days=KEPT_DAYS + 1), keep(tmp_path, "b", age_days=KEPT_DAYS - 1)
    assert forget_old(tmp_path, now_s=_NOW_S) == 1
    assert (old.exists(), young.exists()) == (False, True)


def test_a_training_that_was_written_to_lately_is_kept_however_old_its_folder(tmp_path: Path) -> None:
    folder = keep(tmp_path, "a", age_days=KEPT_DAYS + 1)
    os.utime(folder / "last.pt", (_NOW_S, _NOW_S))
    assert forget_old(tmp_path, now_s=_NOW_S) == 0


def test_no_folder_is_nothing_to_forget(tmp_path: Path) -> None:
    assert forget_old(tmp_path / "none", now_s=_NOW_S) == 0
