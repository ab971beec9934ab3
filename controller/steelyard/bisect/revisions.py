"""Revisions of a model file in a git repository, and the file as it was at each."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from steelyard.errors import UsageError, first_line

_TIMEOUT_S = 60.0
# As many as log2 makes bearable; a slip of a range must not read a history of years.
_MOST_REVISIONS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A commit and the first line of its message."""

    commit: str
    subject: str


def revisions_of(path: Path, good: str, bad: str) -> list[Revision]:
    """Return ``good`` and every later commit up to ``bad`` that touched ``path``, the oldest first.

    Raises:
        UsageError: ``no_repository``, ``no_revision``, ``no_change`` or ``many_revisions``.
    """
    ends = {name: _commit(path, name) for name in (good, bad)}
    listed = _git(
        path,
        "log",
        "--format=%H %s",
        "--reverse",
        "--first-parent",
        f"{ends[good]}..{ends[bad]}",
        "--",
        "./" + path.name,
    )
    revisions = [
        Revision(commit=line[:40], subject=line[41:]) for line in listed.decode("utf-8", "replace").splitlines()
    ]
    if not revisions:
        raise UsageError("no_change", f"no commit of {good}..{bad} touches {path}: is {good} the older one?")
    if len(revisions) > _MOST_REVISIONS:
        raise UsageError(
            "many_revisions", f"{len(revisions)} commits of {good}..{bad} touch {path}: name a later {good}"
        )
    return [Revision(commit=ends[good], subject=good), *revisions]


def read_file(path: Path, commit: str) -> bytes:
    """Return the file's bytes at a commit.

    Raises:
        UsageError: ``no_file``: it is not there, or only a pointer to it (Git LFS) is.
    """
    data = _git(path, "show", f"{commit}:./{path.name}")
    if data.startswith(b"version https://git-lfs"):
        raise UsageError(
            "lfs_pointer", f"{path} is a Git LFS pointer at {commit[:12]}: run `git lfs fetch --all` first"
        )
    return data


def _commit(path: Path, revision: str) -> str:
    if revision.startswith("-"):
        raise UsageError("no_revision", f"{revision!r} is no revision: name a commit, a tag or a branch")
    return _git(path, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode("ascii").strip()


def _git(path: Path, *arguments: str) -> bytes:
    folder = path.parent if path.parent.is_dir() else Path()
    try:
        ran = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError("no_git", f"git could not be run ({first_line(error)}): install it, or name models") from error
    if ran.returncode == 0:
        return ran.stdout
    said = ran.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[-1] if said else f"`git {' '.join(arguments[:2])}` found nothing"
    raise UsageError("no_revision", f"{path}: {why.removeprefix('fatal: ')[:300]}; check the path and the revisions")
