"""Finished rounds that no controller has acknowledged: written durably before anybody hears of them.

A round is a folder ``JOB@ATTEMPT@PASS@ROUND`` that appears by one rename: ``entry.json``, the serialized round
``round.binpb``, and the outputs of its evaluation blocks by digest.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from steelyard_agent.state.blob_cache import DIGEST
from steelyard_agent.state.durable import remove_tree, sync_file, sync_folder, write_durably
from steelyard_agent.state.errors import DiskFullError, is_disk_full

_log = logging.getLogger(__name__)

# A job's id becomes part of a folder's name.
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME = re.compile(rf"({JOB_ID.pattern})@(\d{{1,9}})@(\d{{1,2}})@(\d{{1,9}})")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class RoundKey:
    """The name under which a round is recorded, once; ``pass_kind`` is the wire's enum value."""

    job_id: str
    attempt: int
    pass_kind: int
    round_index: int

    def __post_init__(self) -> None:
        """Refuse what cannot be a folder's name."""
        if _NAME.fullmatch(self.folder_name) is None:
            raise ValueError(f"{self.folder_name!r} cannot name a round")

    @property
    def folder_name(self) -> str:
        """How the round's folder is called."""
        return f"{self.job_id}@{self.attempt}@{self.pass_kind}@{self.round_index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBlob:
    """A file of a round that travels as a blob of its own."""

    digest: str
    size_bytes: int

    def __post_init__(self) -> None:
        """Refuse a digest that is none."""
        if DIGEST.fullmatch(self.digest) is None or self.size_bytes < 0:
            raise ValueError(f"blob {self.digest!r} of {self.size_bytes} bytes makes no sense")


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A round in the outbox: the epoch of the lease it ran under, its result and its outputs.

    ``controller_id`` is whose job made it, "" for the one without certificates and in entries of earlier versions.
    """

    key: RoundKey
    epoch: int
    result: OutboxBlob
    outputs: tuple[OutboxBlob, ...] = ()
    controller_id: str = ""


def encode_entry(entry: OutboxEntry) -> bytes:
    """Return the entry as JSON."""
    return json.dumps(asdict(entry)).encode("utf-8")


def decode_entry(content: bytes) -> OutboxEntry:
    """Read what ``encode_entry`` wrote.

    Raises:
        ValueError: The bytes are no entry.
    """
    try:
        record = json.loads(content)
        return OutboxEntry(
            key=RoundKey(**record.pop("key")),
            result=OutboxBlob(**record.pop("result")),
            outputs=tuple(OutboxBlob(**blob) for blob in record.pop("outputs")),
            **record,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not an outbox entry: {error}") from error


class Outbox:
    """The rounds that wait to be acknowledged, in the order in which they were finished. Not thread safe."""

    def __init__(self, folder: Path) -> None:
        """Read ``folder``; what a killed agent left half-written is removed, what cannot be read is moved aside."""
        self._folder = folder
        self._entries: dict[RoundKey, OutboxEntry] = {}
        for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns):
            if path.name.startswith(".unfinished-"):
                remove_tree(path)
            elif not path.name.startswith("damaged-"):
                self._load(path)

    def __contains__(self, key: RoundKey) -> bool:
        return key in self._entries

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return every round that waits."""
        return tuple(self._entries.values())

    def find(self, key: RoundKey) -> OutboxEntry | None:
        """Return the round of this key, None when it does not wait."""
        return self._entries.get(key)

    def put(
        self, key: RoundKey, *, epoch: int, result: bytes, outputs: Mapping[str, Path], controller_id: str = ""
    ) -> OutboxEntry:
        """Keep a finished round; ``outputs`` maps digests to files, which are moved in.

        Raises:
            DiskFullError: There is no room; nothing is left half-written, and the files are where they were.
            OSError: The folder cannot be written; the same.
        """
        import hashlib

        entry = OutboxEntry(
            key=key,
            epoch=epoch,
            result=OutboxBlob(digest=hashlib.sha256(result).hexdigest(), size_bytes=len(result)),
            outputs=tuple(OutboxBlob(digest=digest, size_bytes=p.stat().st_size) for digest, p in outputs.items()),
            controller_id=controller_id,
        )
        unfinished = self._folder / f".unfinished-{key.folder_name}"
        try:
            self._write(unfinished, entry, result, outputs)
        except OSError as error:
            _give_back(unfinished, outputs)
            remove_tree(unfinished)
            if is_disk_full(error):
                import shutil

                raise DiskFullError(
                    needed_bytes=len(result), free_bytes=shutil.disk_usage(self._folder).free, folder=self._folder
                ) from error
            raise
        self._entries[key] = entry
        return entry

    def result_path(self, entry: OutboxEntry) -> Path:
        """Return the file of the serialized round."""
        return self._folder / entry.key.folder_name / "round.binpb"

    def output_path(self, entry: OutboxEntry, blob: OutboxBlob) -> Path:
        """Return the file of one evaluation block's outputs."""
        return self._folder / entry.key.folder_name / blob.digest

    def remove(self, key: RoundKey) -> None:
        """Forget a round that was recorded; a key that is not here is fine (it was acknowledged twice)."""
        if self._entries.pop(key, None) is None:
            return
        # Renamed first: a kill in the middle of the removal must not leave half an entry under its name.
        doomed = self._folder / f".unfinished-{key.folder_name}"
        (self._folder / key.folder_name).rename(doomed)
        remove_tree(doomed)

    def _write(self, unfinished: Path, entry: OutboxEntry, result: bytes, outputs: Mapping[str, Path]) -> None:
        import shutil

        remove_tree(unfinished)
        unfinished.mkdir()
        for digest, path in outputs.items():
            shutil.move(path, unfinished / digest)
            sync_file(unfinished / digest)
        write_durably(unfinished / "round.binpb", result)
        write_durably(unfinished / "entry.json", encode_entry(entry))
        unfinished.replace(self._folder / entry.key.folder_name)
        sync_folder(self._folder)

    def _load(self, path: Path) -> None:
        try:
            entry = _read_entry(path)
        except (OSError, ValueError) as error:
            _log.warning("%s is not a round (%s); it was renamed and is not sent", path, error)
            # The newest of a name is kept: a folder that is in the way would keep the agent from starting.
            aside = path.with_name(f"damaged-{path.name}")
            remove_tree(aside)
            path.rename(aside)
            return
        self._entries[entry.key] = entry


def _give_back(unfinished: Path, outputs: Mapping[str, Path]) -> None:
    for digest, path in outputs.items():
        if (unfinished / digest).exists():
            (unfinished / digest).replace(path)


def _read_entry(path: Path) -> OutboxEntry:
    entry = decode_entry((path / "entry.json").read_bytes())
    if entry.key.folder_name != path.name:
        raise ValueError(f"the folder holds {entry.key.folder_name}")
    return entry
