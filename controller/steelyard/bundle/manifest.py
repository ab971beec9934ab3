"""The manifest of a bundle: who wrote it, which measurements it holds, and the SHA-256 of every member."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from steelyard.bundle.errors import BundleError
from steelyard.errors import IncompleteError

FORMAT = "steelyard-bundle"
# Rises when an older program could no longer read what a newer one writes.
SCHEMA_VERSION = 1
MANIFEST_NAME = "manifest.json"
KINDS = frozenset({"record", "measurement", "round", "trace", "outputs", "labels", "numeric", "model"})
_BLOB_KINDS = KINDS - {"record", "measurement"}
_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file of a bundle: a blob is named by the SHA-256 of its bytes, everything else by what it is."""

    name: str
    kind: str
    sha256: str
    size_bytes: int

    def __post_init__(self) -> None:
        """Refuse a member that no bundle has."""
        if self.kind not in KINDS or not _DIGEST.fullmatch(self.sha256) or self.size_bytes < 0:
            raise ValueError(f"member {self.name[:80]!r} of kind {self.kind[:40]!r} makes no sense")
        if self.kind in _BLOB_KINDS and self.name != blob_name(self.sha256):
            raise ValueError(f"blob {self.name[:80]!r} has another name than its SHA-256 {self.sha256}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledJob:
    """One measurement of a bundle."""

    job_id: str
    title: str
    device_name: str

    def __post_init__(self) -> None:
        """Refuse an id that is no file name."""
        if not _JOB_ID.fullmatch(self.job_id):
            raise ValueError(f"job id {self.job_id[:80]!r} is none")

    @property
    def record_name(self) -> str:
        """Name of the member with all that the figures follow from."""
        return f"jobs/{self.job_id}/record.json"

    @property
    def measurement_name(self) -> str:
        """Name of the member with what was computed."""
        return f"jobs/{self.job_id}/measurement.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle holds.

    ``written_by`` is Steelyard's version, ``versions`` are those of what computed with it; "analysis" is the build of
    its own analysis (see ``bundle.build``).
    """

    title: str
    written_by: str
    versions: Mapping[str, str]
    is_anonymous: bool
    jobs: tuple[BundledJob, ...]
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        """Refuse a manifest whose members are not those of its jobs."""
        names = [one.name for one in self.members]
        if not self.jobs or len({job.job_id for job in self.jobs}) < len(self.jobs) or len(set(names)) < len(names):
            raise ValueError(
                f"it lists {len(self.jobs)} measurements and {len(names)} members, none or some of them twice"
            )
        kinds = {one.name: one.kind for one in self.members}
        wanted = {job.record_name: "record" for job in self.jobs}
        wanted |= {job.measurement_name: "measurement" for job in self.jobs}
        if {name: kind for name, kind in kinds.items() if kind not in _BLOB_KINDS} != wanted:
            raise ValueError("it does not list one record and one measurement for each job")

    def to_json(self) -> bytes:
        """Return the manifest's bytes: the same manifest gives the same ones."""
        document = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **asdict(self)}
        return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def blob_name(digest: str) -> str:
    """Return the name of the member that holds a blob."""
    return f"blobs/{digest}"


def bundle_digest(manifest_bytes: bytes) -> str:
    """Return what names a bundle's whole content, whatever its compression: the SHA-256 of its manifest."""
    return hashlib.sha256(manifest_bytes).hexdigest()


def parse_manifest(content: bytes) -> Manifest:
    """Return the manifest that these bytes say.

    Raises:
        BundleError: ``bad_manifest``.
        IncompleteError: ``newer_bundle``: the layout is one that this version does not know.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _bad(f"is no JSON ({type(error).__name__})") from error
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise _bad(f"is not one of format {FORMAT!r}")
    version = document.pop("schema_version", None)
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise _other_version(version, document.get("written_by"))
    try:
        return Manifest(
            **{
                **_checked(Manifest, document),
                "versions": {_text(key): _text(value) for key, value in document["versions"].items()},
                "jobs": tuple(BundledJob(**_checked(BundledJob, one)) for one in document["jobs"]),
                "members": tuple(Member(**_checked(Member, one)) for one in document["members"]),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _bad(f"makes no sense: {error}") from error


def _checked(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain values of a document, refusing unknown keys and other types than the class declares."""
    declared = {one.name: str(one.type) for one in fields(kind)}
    if not isinstance(document, dict) or set(document) != set(declared):
        keys = sorted(set(document) ^ set(declared)) if isinstance(document, dict) else document
        raise ValueError(f"{kind.__name__} has other keys than it should: {str(keys)[:200]}")
    types = {"str": str, "int": int, "bool": bool}
    for key, value in document.items():
        wanted = types.get(declared[key])
        if wanted is not None and type(value) is not wanted:
            raise ValueError(f"{key} is {str(value)[:80]!r}, not a {declared[key]}")
    return dict(document)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:80]!r} is no text")
    return value


def _other_version(version: object, written_by: object) -> IncompleteError | BundleError:
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        return IncompleteError(
            "newer_bundle",
            f"the bundle was written by steelyard {str(written_by)[:40]} in layout {version}, and this version reads "
            f"layout {SCHEMA_VERSION}: verify it with steelyard {str(written_by)[:40]} or newer",
        )
    return _bad(f"has the schema_version {str(version)[:40]!r}, which never was one")


def _bad(what: str) -> BundleError:
    return BundleError("bad_manifest", f"the bundle's {MANIFEST_NAME} {what}: get the bundle again from who wrote it")
