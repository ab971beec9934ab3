"""What is in a copy: a tar of a manifest, the database, the sealed identity where it was wanted, and the blobs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from steelyard.backup.errors import BackupError
from steelyard.store.names import is_digest

MANIFEST, DATABASE, IDENTITY, BLOBS = "steelyard-backup.json", "steelyard.sqlite3", "identity.sealed", "blobs/"
FORMAT = 1
MAX_MANIFEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a copy says of itself."""

    format: int = FORMAT
    controller_id: str
    # Of the program that wrote it.
    version: str
    # UTC, ISO 8601: what was recorded until then is in the copy.
    taken_at: str
    database_digest: str
    database_bytes: int
    blob_count: int
    blob_bytes: int
    with_identity: bool

    def __post_init__(self) -> None:
        """Refuse what no backup says of itself."""
        texts = (self.controller_id, self.version, self.taken_at)
        numbers = (self.format, self.database_bytes, self.blob_count, self.blob_bytes)
        if (
            not all(isinstance(one, str) for one in texts)
            or not all(type(one) is int and one >= 0 for one in numbers)
            or not isinstance(self.database_digest, str)
            or not is_digest(self.database_digest)
            or type(self.with_identity) is not bool
        ):
            raise ValueError(f"{asdict(self)} is no manifest")

    def to_bytes(self) -> bytes:
        """Return it as the file begins with it."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"


def parse_manifest(content: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        BackupError: ``not_a_backup``, or ``backup_newer`` for one of a later format.
    """
    try:
        said = json.loads(content)
        if isinstance(said, dict) and type(said.get("format")) is int and said["format"] > FORMAT:
            raise BackupError(
                "backup_newer",
                f"the backup has format {said['format']} and this steelyard reads {FORMAT}; upgrade this one",
            )
        return Manifest(**said)
    except (ValueError, TypeError, RecursionError) as error:
        raise BackupError(
            "not_a_backup", "the file does not begin as `steelyard backup` writes one; name another file"
        ) from error
