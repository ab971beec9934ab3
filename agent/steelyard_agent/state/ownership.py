"""Whose a state directory is: what root writes into a user's stays that user's, or the agent could not read it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Give = Callable[[Path, int, int], None]


def _give(path: Path, user_id: int, group_id: int) -> None:
    os.chown(path, user_id, group_id, follow_symlinks=False)


@contextmanager
def keeping_the_owner(root: Path, names: Sequence[str], *, user_id: int, give: Give = _give) -> Iterator[None]:
    """Give folders that are made meanwhile, and the files ``names`` in ``root``, to the owner of the nearest folder.

    For root alone (``user_id`` 0, the caller's): nobody else writes as another user.

    Raises:
        OSError: The owner cannot be set.
    """
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    kept = root.parents[len(made) - 1] if made else root
    owner = kept.stat()
    try:
        yield
    finally:
        if user_id == 0 != owner.st_uid:
            for path in (*made, *(root / name for name in names)):
                _hand_over(path, owner, give)


def _hand_over(path: Path, owner: os.stat_result, give: Give) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    # A link, or a second name of somebody else's file, was not written by us.
    ours = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
    if ours and found.st_uid != owner.st_uid:
        give(path, owner.st_uid, owner.st_gid)
