"""Writing a bundle: all that the figures of some measurements follow from, in one file, at once or not at all."""

from __future__ import annotations

import getpass
import hashlib
import platform
import socket
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard import __version__
from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.record import read_record, read_rounds, read_traces
from steelyard.bundle.anonymous import Anonymiser, left_in, without_text
from steelyard.bundle.archive import OnProgress
from steelyard.bundle.build import analysis_build
from steelyard.bundle.compare import compare_messages
from steelyard.bundle.contents import blobs_of, models_of
from steelyard.bundle.manifest import MANIFEST_NAME, BundledJob, Manifest, Member, blob_name, bundle_digest
from steelyard.bundle.messages import to_json
from steelyard.bundle.selection import measurement_jobs
from steelyard.errors import IncompleteError, SteelyardError, UsageError
from steelyard_protocol.v1 import control_pb2, measurement_pb2, result_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

# The oldest time that a zip file can name: the bytes must not depend on the clock.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_FILE_MODE = 0o100644
_COMPRESSION_LEVEL = 6
# What computed the figures, beside Steelyard itself.
_LIBRARIES = ("numpy", "protobuf", "scipy")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBundle:
    """A bundle that was written. ``digest`` names its content, whatever compressed it."""

    path: Path
    digest: str
    size_bytes: int
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One measurement as it goes into the bundle, and the blobs that are in memory already, by digest."""

    record: control_pb2.MeasurementRecord
    measurement: measurement_pb2.Measurement
    kinds: Mapping[str, str]


def write_bundle(
    client: Client,
    jobs: Sequence[str],
    path: Path | str,
    *,
    title: str = "",
    with_models: bool = False,
    anonymous: bool = False,
    on_progress: OnProgress | None = None,
) -> WrittenBundle:
    """Write the measurements that ``jobs`` name (ids, first characters of ids, or titles) into one zip file.

    The figures are recomputed from what is written before anything is: a bundle that would not verify is not made.

    Raises:
        UsageError: a job that nobody knows or that is no measurement; names that cannot be told from other words.
        IncompleteError: a job is not finished, or measured nothing.
        OSError: the file cannot be written.
    """
    path = Path(path)
    store = _Blobs(client.download)
    found = measurement_jobs(client, jobs)
    parts = [_collect(client, job, store) for job in found]
    anonymiser = Anonymiser()
    if anonymous:
        parts = _anonymise(parts, store, anonymiser, client.controller().state_directory)
    kinds = {digest: kind for part in parts for digest, kind in part.kinds.items()}
    if with_models:
        kinds |= {digest: "model" for part in parts for digest in models_of(part.record)}
    partial = path.with_name(f".{path.name}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            writer = _Writer(archive, anonymiser.originals, on_progress)
            manifest, content = writer.write(parts, kinds, store, title=title, anonymous=anonymous)
        size_bytes = partial.stat().st_size
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return WrittenBundle(path=path, digest=bundle_digest(content), size_bytes=size_bytes, manifest=manifest)


class _Blobs:
    """Blobs by digest: fetched once, those of our own making beside them. Models are not kept."""

    def __init__(self, download: Callable[[str], bytes]) -> None:
        self._download = download
        self._held: dict[str, bytes] = {}

    def read(self, digest: str) -> bytes:
        if digest not in self._held:
            self._held[digest] = self._download(digest)
        return self._held[digest]

    def fetch(self, digest: str) -> bytes:
        """Return a blob without keeping it."""
        return self._held[digest] if digest in self._held else self._download(digest)

    def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self._held[digest] = content
        return digest


class _Writer:
    """Writes members in the order of their names, with fixed times and modes."""

    def __init__(self, archive: zipfile.ZipFile, originals: Sequence[str], on_progress: OnProgress | None) -> None:
        self._archive = archive
        self._originals = originals
        self._on_progress = on_progress
        self._members: list[Member] = []

    def write(
        self, parts: Sequence[_Part], kinds: Mapping[str, str], store: _Blobs, *, title: str, anonymous: bool
    ) -> tuple[Manifest, bytes]:
        """Write every member, the manifest last, and return it with its bytes."""
        jobs = tuple(_bundled(part) for part in sorted(parts, key=lambda part: part.record.job.job_id))
        texts = {
            name: (kind, content)
            for job, part in zip(jobs, sorted(parts, key=lambda part: part.record.job.job_id), strict=True)
            for name, kind, content in (
                (job.record_name, "record", to_json(part.record)),
                (job.measurement_name, "measurement", to_json(part.measurement)),
            )
        }
        total = len(kinds) + len(texts)
        for digest in sorted(kinds):
            self._member(blob_name(digest), kinds[digest], store.fetch(digest), total)
        for name in sorted(texts):
            self._member(name, *texts[name], total)
        titles = list(dict.fromkeys(job.title for job in jobs))
        manifest = Manifest(
            title=title or ", ".join(titles),
            written_by=__version__,
            versions={
                "analysis": analysis_build(),
                "python": platform.python_version(),
                **{name: version(name) for name in _LIBRARIES},
            },
            is_anonymous=anonymous,
            jobs=jobs,
            members=tuple(self._members),
        )
        content = manifest.to_json()
        self._check(MANIFEST_NAME, content)
        self._put(MANIFEST_NAME, content)
        return manifest, content

    def _member(self, name: str, kind: str, content: bytes, total: int) -> None:
        self._check(name, content, kind)
        # A model's weights hardly shrink, and they are most of a bundle.
        self._put(name, content, zipfile.ZIP_STORED if kind == "model" else zipfile.ZIP_DEFLATED)
        digest = hashlib.sha256(content).hexdigest()
        self._members.append(Member(name=name, kind=kind, sha256=digest, size_bytes=len(content)))
        if self._on_progress is not None:
            self._on_progress(len(self._members), total)

    def _check(self, name: str, content: bytes, kind: str = "") -> None:
        found = left_in(content, self._originals)
        if found:
            way = (
                "leave --with-models out" if kind == "model" else "rename it before you measure, or bundle it as it is"
            )
            raise UsageError("not_anonymous", f"{found!r} is still in {name} ({kind or 'manifest'}): {way}")

    def _put(self, name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
        entry = zipfile.ZipInfo(name, date_time=_ZIP_EPOCH)
        entry.create_system = _UNIX
        entry.external_attr = _FILE_MODE << 16
        entry.compress_type = method
        self._archive.writestr(entry, content, compresslevel=_COMPRESSION_LEVEL)


def _bundled(part: _Part) -> BundledJob:
    return BundledJob(
        job_id=part.record.job.job_id,
        title=part.measurement.title,
        device_name=part.measurement.device_name,
    )


def _collect(client: Client, job: control_pb2.Job, store: _Blobs) -> _Part:
    record = client.measurement_record(job.job_id)
    if not record.rounds:
        raise IncompleteError(
            "nothing_measured", f"job {job.job_id[:12]} recorded no round: there is nothing to bundle"
        )
    claimed = client.measurement(job.job_id).measurement
    part = _part(record, store)
    if compare_messages(claimed, part.measurement, same_version=True).differences:
        raise SteelyardError(
            "figures_changed",
            f"the figures of job {job.job_id[:12]} are not those that its rounds give here: this program is "
            f"steelyard {__version__} and the controller {client.controller().version}; use the same one, or try again",
        )
    return part


def _part(record: control_pb2.MeasurementRecord, store: _Blobs) -> _Part:
    given = read_record(record, store.read)
    return _Part(record=record, measurement=build_measurement(given), kinds=blobs_of(record, given.rounds))


def _anonymise(parts: Sequence[_Part], store: _Blobs, anonymiser: Anonymiser, state_directory: str) -> list[_Part]:
    for part in parts:
        anonymiser.learn_record(part.record)
        for trace in read_traces(part.record, store.read):
            anonymiser.learn_trace(trace)
    anonymiser.learn("path", [state_directory])
    anonymiser.learn("path", [str(Path.home())] if len(Path.home().parts) > 2 else [])
    anonymiser.learn("host", [socket.gethostname()])
    anonymiser.learn("user", [_user()])
    # Twice: what the first turn finds in one text by its form stands in others in a form that nobody knows.
    for part in parts:
        _anonymous_record(part.record, store, anonymiser)
    anonymiser.settle()
    return [_same_figures(part, _anonymous_record(part.record, store, anonymiser), store) for part in parts]


def _anonymous_record(
    record: control_pb2.MeasurementRecord, store: _Blobs, anonymiser: Anonymiser
) -> control_pb2.MeasurementRecord:
    """Return a record whose rounds and traces are blobs of their own, without names."""
    made = anonymiser.message(record)
    for reference, result in zip(made.rounds, read_rounds(record, store.read), strict=True):
        reference.result_digest = store.put(_bytes(anonymiser.message(result)))
    for one, trace in zip(made.traces, read_traces(record, store.read), strict=True):
        one.trace_digest = store.put(_bytes(anonymiser.message(trace)))
    return made


def _same_figures(part: _Part, record: control_pb2.MeasurementRecord, store: _Blobs) -> _Part:
    """Return the anonymous part, which must say what the original says, number by number."""
    try:
        made = _part(record, store)
        was, shown = without_text(part.measurement), without_text(made.measurement)
        differences = [one.where for one in compare_messages(was, shown, same_version=True).differences]
    except (SteelyardError, ValueError, LookupError) as error:
        differences = [str(error)]
    if differences:
        raise UsageError(
            "not_anonymous",
            f"without its names job {record.job.job_id[:12]} says something else ({differences[0][:200]}): a device or "
            "a meter is called by a word that figures depend on; bundle it without --anonymous",
        )
    return made


def _bytes(message: result_pb2.RoundResult | control_pb2.MeterTrace) -> bytes:
    return message.SerializeToString(deterministic=True)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # No name for this number, as in many containers.
        return ""
