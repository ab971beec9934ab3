"""A copy of a state directory and back, while somebody writes, and from files that are not what they should be."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steelyard.backup.contents import MANIFEST, Manifest, parse_manifest
from steelyard.backup.errors import BackupError
from steelyard.backup.restore import read_manifest, restore_backup
from steelyard.backup.write import write_backup
from steelyard.errors import SteelyardError
from steelyard.identity.errors import IdentityError
from steelyard.store.blobs import BlobStore
from steelyard.store.store import Store
from steelyard_protocol.v1 import result_pb2
from tests.controller.store.messages import artifact, job, round_key

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)
PASSPHRASE = "correct horse battery"


class State:
    """A state directory with a few models, and a round that names its outputs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.store = Store(folder / "steelyard.sqlite3")
        self.store.controller_id("controller-1")
        self.blobs = BlobStore(folder / "blobs")
        self.outputs = self.blobs.put_bytes(b"outputs")
        self.loose = self.blobs.put_bytes(b"never registered")
        self.store.create_job(job(), b"", "request-1")
        for index in range(3):
            self.add_model(f"model {index}")
        result = result_pb2.RoundResult(job_id="job-0001")
        result.blocks.add(label="a", outputs_digest=self.outputs)
        self.round = self.blobs.put_bytes(result.SerializeToString())
        self.store.record_round(round_key(), segment=0, result_digest=self.round, recorded_at_ns=1)

    def add_model(self, content: str) -> str:
        digest = self.blobs.put_bytes(content.encode())
        self.store.put_artifact(artifact(f"m-{digest[:8]}", digest=digest))
        return digest


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def models(folder: Path) -> list[str]:
    store = Store(folder / "steelyard.sqlite3")
    try:
        return [one.digest for one in store.list_artifacts(1000)[0]]
    finally:
        store.close()


def test_what_the_database_names_comes_back_and_nothing_else(state: State, tmp_path: Path) -> None:
    written = write_backup(state.folder, tmp_path / "copy.tar", NOW)
    assert (written.manifest.blob_count, written.damaged_digests) == (5, ())
    assert stat.S_IMODE((tmp_path / "copy.tar").stat().st_mode) == 0o600
    assert read_manifest(tmp_path / "copy.tar") == written.manifest
    assert restore_backup(tmp_path / "copy.tar", tmp_path / "new") == written.manifest
    assert models(tmp_path / "new") == models(state.folder)
    blobs = BlobStore(tmp_path / "new" / "blobs")
    assert set(blobs.digests()) == {*models(state.folder), state.round, state.outputs}
    assert blobs.read_bytes(state.outputs) == b"outputs"
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert sorted(one.name for one in tmp_path.iterdir()) == ["copy.tar", "new", "state"]


def test_a_copy_under_load_holds_every_blob_that_its_database_names(state: State, tmp_path: Path) -> None:
    stop, added = threading.Event(), []

    def add() -> None:
        # The store belongs to the thread that opened it.
        store = Store(state.folder / "steelyard.sqlite3")
        while not stop.is_set():
            digest = state.blobs.put_bytes(f"busy {len(added)}".encode())
            store.put_artifact(artifact(f"busy-{len(added)}", digest=digest))
            added.append(digest)
        store.close()

    thread = threading.Thread(target=add)
    thread.start()
    try:
        while len(added) < 5:
            stop.wait(0.01)
        for index in range(3):
            known = list(added)
            write_backup(state.folder, tmp_path / f"{index}.tar", NOW)
            restore_backup(tmp_path / f"{index}.tar", tmp_path / f"new-{index}")
            found = models(tmp_path / f"new-{index}")
            # All that was registered before the copy began, and for each model its blob.
            assert set(known) <= set(found)
            assert set(found) <= set(BlobStore(tmp_path / f"new-{index}" / "blobs").digests())
    finally:
        stop.set()
        thread.join()


def test_the_identity_comes_along_encrypted_and_only_where_it_is_wanted(state: State, tmp_path: Path) -> None:
    (state.folder / "identity").mkdir()
    (state.folder / "identity" / "authority.pem").write_bytes(b"-- a key --")
    write_backup(state.folder, tmp_path / "with.tar", NOW, passphrase=PASSPHRASE)
    write_backup(state.folder, tmp_path / "without.tar", NOW)
    assert b"-- a key --" not in (tmp_path / "with.tar").read_bytes() + (tmp_path / "without.tar").read_bytes()
    restore_backup(tmp_path / "with.tar", tmp_path / "a", passphrase=PASSPHRASE)
    key = tmp_path / "a" / "identity" / "authority.pem"
    assert key.read_bytes() == b"-- a key --"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (key, key.parent)] == [0o600, 0o700]
    restore_backup(tmp_path / "with.tar", tmp_path / "b")
    assert not (tmp_path / "b" / "identity").exists()
    with pytest.raises(IdentityError, match="not opened by this passphrase"):
        restore_backup(tmp_path / "with.tar", tmp_path / "c", passphrase="another passphrase")
    with pytest.raises(BackupError, match="without --with-identity"):
        restore_backup(tmp_path / "without.tar", tmp_path / "c", passphrase=PASSPHRASE)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a", "b", "state", "with.tar", "without.tar"]


def test_a_controller_without_keys_has_no_identity_to_copy(state: State, tmp_path: Path) -> None:
    with pytest.raises(BackupError) as refused:
        write_backup(state.folder, tmp_path / "copy.tar", NOW, passphrase=PASSPHRASE)
    assert refused.value.reason == "no_identity"
    with pytest.raises(BackupError, match="holds no controller's state"):
        write_backup(tmp_path, tmp_path / "copy.tar", NOW)
    assert not (tmp_path / "copy.tar").exists()


def test_a_damaged_blob_is_left_out_and_named(state: State, tmp_path: Path) -> None:
    digest = state.add_model("changes")
    state.blobs.path(digest).write_bytes(b"changed")
    written = write_backup(state.folder, tmp_path / "copy.tar", NOW)
    assert written.damaged_digests == (digest,)
    restore_backup(tmp_path / "copy.tar", tmp_path / "new")
    assert not BlobStore(tmp_path / "new" / "blobs").has(digest)


def test_a_directory_that_holds_something_is_not_written_over(state: State, tmp_path: Path) -> None:
    write_backup(state.folder, tmp_path / "copy.tar", NOW)
    with pytest.raises(BackupError) as refused:
        restore_backup(tmp_path / "copy.tar", state.folder)
    assert refused.value.reason == "state_not_empty"
    (tmp_path / "empty").mkdir()
    restore_backup(tmp_path / "copy.tar", tmp_path / "empty")
    assert models(tmp_path / "empty") == models(state.folder)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            changed = change(member.name, content.read())
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.size = len(changed[1])
                new.addfile(info, io.BytesIO(changed[1]))


CHANGES: dict[str, Callable[[str, bytes], tuple[str, bytes] | None]] = {
    "a blob with other bytes": lambda name, data: (name, b"x" * len(data) if name.startswith("blobs/") else data),
    "a blob that is missing": lambda name, data: None if name.startswith("blobs/") else (name, data),
    "a blob with a path": lambda name, data: (name.replace("blobs/", "blobs/../"), data),
    "another database": lambda name, data: (name, data[:-1] + b"x" if name.endswith("sqlite3") else data),
    "no manifest": lambda name, data: None if name == MANIFEST else (name, data),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_was_changed_is_refused_and_leaves_nothing(change: str, state: State, tmp_path: Path) -> None:
    write_backup(state.folder, tmp_path / "copy.tar", NOW)
    rewritten(tmp_path / "copy.tar", tmp_path / "changed.tar", CHANGES[change])
    with pytest.raises(BackupError) as refused:
        restore_backup(tmp_path / "changed.tar", tmp_path / "new")
    assert refused.value.reason in {"backup_damaged", "not_a_backup"}
    assert sorted(one.name for one in tmp_path.iterdir()) == ["changed.tar", "copy.tar", "state"]


def test_links_in_a_file_are_refused(state: State, tmp_path: Path) -> None:
    write_backup(state.folder, tmp_path / "copy.tar", NOW)
    with tarfile.open(tmp_path / "copy.tar", "a") as archive:
        link = tarfile.TarInfo("blobs/" + hashlib.sha256(b"link").hexdigest())
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BackupError, match="is no plain file"):
        restore_backup(tmp_path / "copy.tar", tmp_path / "new")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999), flip=st.booleans())
def test_a_file_cut_short_or_flipped_anywhere_never_restores_other_bytes(
    share: float, flip: bool, state: State, tmp_path: Path
) -> None:
    copy, broken, new = tmp_path / "copy.tar", tmp_path / "broken.tar", tmp_path / "new"
    if not copy.exists():
        write_backup(state.folder, copy, NOW)
    content = copy.read_bytes()
    position = int(share * len(content))
    changed = bytes([content[position] ^ 0x5A])
    broken.write_bytes(content[:position] + (changed + content[position + 1 :] if flip else b""))
    try:
        restore_backup(broken, new)
    except SteelyardError:
        assert not new.exists()
        return
    # The padding of a tar says nothing; what counts is whole.
    assert models(new) == models(state.folder)
    new.rename(tmp_path / f"done-{len(list(tmp_path.iterdir()))}")


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reading_of_a_manifest(content: bytes) -> None:
    with pytest.raises(BackupError):
        parse_manifest(content)


def test_a_manifest_comes_back_as_it_was_and_a_newer_one_is_refused() -> None:
    manifest = Manifest(
        controller_id="c",
        version="1",
        taken_at=NOW.isoformat(),
        database_digest="0" * 64,
        database_bytes=1,
        blob_count=2,
        blob_bytes=3,
        with_identity=False,
    )
    assert parse_manifest(manifest.to_bytes()) == manifest
    with pytest.raises(BackupError) as refused:
        parse_manifest(manifest.to_bytes().replace(b'"format": 1', b'"format": 2'))
    assert refused.value.reason == "backup_newer"


def test_a_damaged_database_is_not_copied_as_if_it_were_whole(state: State, tmp_path: Path) -> None:
    state.store.close()
    database = state.folder / "steelyard.sqlite3"
    content = bytearray(database.read_bytes())
    content[100:4096] = b"\xff" * 3996
    database.write_bytes(content)
    with pytest.raises(SteelyardError, match="database"):
        write_backup(state.folder, tmp_path / "copy.tar", NOW)
    assert not (tmp_path / "copy.tar").exists()
