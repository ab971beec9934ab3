from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from steelyard.bisect.revisions import read_file, revisions_of
from steelyard.errors import UsageError


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """models/net.onnx as 1, 2 and 3, with a commit between that does not touch it; 1 is tagged v1."""
    folder = tmp_path / "repository"
    (folder / "models").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for number in (1, 2, 3):
        (folder / "models" / "net.onnx").write_text(str(number))
        git(folder, "add", ".")
        git(folder, "commit", "-qm", f"net {number}")
        if number == 1:
            git(folder, "tag", "v1")
            (folder / "notes.txt").write_text("nothing of a model")
            git(folder, "add", ".")
            git(folder, "commit", "-qm", "notes")
    return folder


def test_only_commits_that_touch_the_file_are_candidates(repository: Path) -> None:
    path = repository / "models" / "net.onnx"

    revisions = revisions_of(path, "v1", "main")

    assert [one.subject for one in revisions] == ["v1", "net 2", "net 3"]
    assert [read_file(path, one.commit) for one in revisions] == [b"1", b"2", b"3"]


def test_a_file_that_is_gone_from_the_working_tree_is_still_found(repository: Path) -> None:
    path = repository / "models" / "net.onnx"
    path.unlink()

    assert len(revisions_of(path, "v1", "main")) == 3


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ("main", "v1", "is main the older one"),
        ("v9", "main", "check the path and the revisions"),
        ("--output=/tmp/x", "main", "is no revision"),
        ("main", "main", "no commit of main..main touches"),
    ],
)
def test_a_range_that_leads_nowhere_is_refused(repository: Path, good: str, bad: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        revisions_of(repository / "models" / "net.onnx", good, bad)

    assert says in str(refused.value)


def test_outside_of_a_repository_there_are_no_revisions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a git repository"):
        revisions_of(tmp_path / "net.onnx", "a", "b")


def test_a_pointer_to_large_file_storage_is_no_model(repository: Path) -> None:
    path = repository / "models" / "net.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    git(repository, "commit", "-qam", "pointer")

    with pytest.raises(UsageError, match="git lfs fetch"):
        read_file(path, "HEAD")
