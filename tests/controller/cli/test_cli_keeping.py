"""`steelyard gc`, `backup` and `restore`, as they are typed."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from steelyard.control.connect import connect
from steelyard.settings import Settings
from tests.controller.cli.running import Ran, run_command

pytestmark = pytest.mark.usefixtures("measured")


def test_gc_says_what_it_would_remove_and_what_is_named(steelyard) -> None:
    ran = steelyard("gc", "--dry-run")
    assert ran.code == 0, ran.err
    assert "would remove 0 blobs, 0.0 MB" in ran.out
    assert "named, kept:" in ran.out


def test_gc_tells_programs_the_same(steelyard) -> None:
    ran = steelyard("gc", "--dry-run", "--json")
    told = ran.document
    assert told["dry_run"] is True
    assert told["referenced_blob_count"] > 0
    assert told["removed_blob_count"] == 0


def test_a_grace_that_would_remove_uploads_under_way_is_refused(steelyard) -> None:
    ran = steelyard("gc", "--grace", "10m")
    assert "give 3600 s or more" in ran.is_refused()


def test_samples_of_young_measurements_are_kept(steelyard) -> None:
    ran = steelyard("gc", "--keep-samples", "90d", "--dry-run")
    assert ran.code == 0, ran.err
    assert "raw samples" not in ran.out


def test_a_backup_beside_a_running_controller_is_restored_into_an_empty_folder(
    steelyard, measured: Ran, tmp_path: Path
) -> None:
    wrote = steelyard("backup", "copy.tar", "--json")
    assert wrote.code == 0, wrote.err
    manifest = wrote.document
    with tarfile.open(tmp_path / "copy.tar") as archive:
        assert len([name for name in archive.getnames() if "blob" in name]) == manifest["blob_count"] > 0
    restored = tmp_path / "restored"
    back = run_command("--state-directory", str(restored), "restore", "copy.tar")
    assert back.code == 0, back.err
    assert manifest["controller_id"][:8] in back.err
    job_id = measured.document["measurements"][0]["job_id"]
    with connect(settings=Settings(state_directory=restored, agent_listen="127.0.0.1:0")) as client:
        again = client.measurement(job_id).measurement
    assert [variant.label for variant in again.variants] == ["original", "static-int8"]


def test_a_backup_is_not_written_over(steelyard, tmp_path: Path) -> None:
    (tmp_path / "copy.tar").write_text("mine")
    ran = steelyard("backup", "copy.tar")
    assert "--force" in ran.is_refused()
    assert (tmp_path / "copy.tar").read_text() == "mine"


def test_a_state_directory_in_use_is_not_restored_into(steelyard) -> None:
    assert steelyard("backup", "copy.tar").code == 0
    ran = steelyard("restore", "copy.tar")
    assert "empty" in ran.is_refused()


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100], ids=["empty", "text"])
def test_what_is_no_backup_is_refused_and_leaves_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "odd.tar").write_bytes(content)
    ran = run_command("--state-directory", str(tmp_path / "new"), "restore", "odd.tar")
    assert "odd.tar" in ran.is_refused()
    assert not (tmp_path / "new").exists()


def test_a_passphrase_without_keys_is_refused(steelyard, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("word\n")
    ran = steelyard("backup", "copy.tar", "--passphrase-file", "secret")
    assert "--with-identity" in ran.is_refused()
    assert not (tmp_path / "copy.tar").exists()
