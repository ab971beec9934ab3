"""Verifying a bundle: every figure computed again from the raw samples, without a controller, a model or a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.record import read_record
from steelyard.analysis.stop_replay import StopReplay, replay_stops
from steelyard.bundle.archive import BundleArchive, OnProgress, open_bundle
from steelyard.bundle.build import own_version, shown_version
from steelyard.bundle.compare import RELATIVE_TOLERANCE, Comparison, Difference, compare_messages
from steelyard.bundle.errors import BundleError
from steelyard.bundle.manifest import BundledJob, Manifest
from steelyard.bundle.messages import from_json
from steelyard.bundle.record_check import check_record
from steelyard.errors import SteelyardError
from steelyard_protocol.v1 import control_pb2, measurement_pb2

# What the analysis raises of values that no device and no controller of ours recorded.
_NONSENSE = (ValueError, LookupError, ArithmeticError, TypeError, AssertionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobVerification:
    """One measurement: what was compared, what differs, and what the stop rule says of its rounds.

    ``has_unknown`` is set when the bundle claims fields that this version does not know; they were not compared.
    """

    job: BundledJob
    comparison: Comparison
    stops: tuple[StopReplay, ...]
    has_unknown: bool

    @property
    def troubles(self) -> tuple[str, ...]:
        """Everything that does not agree, a sentence each."""
        stops = [one.trouble for one in self.stops if one.trouble]
        return (*(one.sentence for one in self.comparison.differences), *stops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of a bundle. ``digest`` names its content; figures were compared within ``relative_tolerance``."""

    path: Path
    digest: str
    manifest: Manifest
    jobs: tuple[JobVerification, ...]
    relative_tolerance: float = RELATIVE_TOLERANCE

    @property
    def agrees(self) -> bool:
        """Whether every figure, verdict and decision follows from the samples."""
        return not any(job.troubles for job in self.jobs)

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Every figure that differs, in order."""
        return tuple(one for job in self.jobs for one in job.comparison.differences)

    @property
    def figure_count(self) -> int:
        """How many figures, verdicts and sentences were compared."""
        return sum(job.comparison.figure_count for job in self.jobs)

    @property
    def other_version(self) -> str:
        """The version and build of the analysis that wrote the bundle where it is not this one, else ""."""
        return "" if _is_ours(self.manifest) else _written_by(self.manifest)


def verify_bundle(path: Path | str, *, on_progress: OnProgress | None = None) -> Verification:
    """Check every checksum, compute everything again, and compare it with what the bundle claims.

    Nothing is written anywhere.

    Raises:
        BundleError: the archive is damaged, was changed, or holds what no bundle does.
        UsageError: there is no such file, or it is nothing like a bundle.
        IncompleteError: a newer version wrote it in a layout that this one does not know.
    """
    with open_bundle(path) as archive:
        archive.check_members(on_progress)
        jobs = tuple(_verify_job(archive, job) for job in archive.manifest.jobs)
        return Verification(path=Path(path), digest=archive.digest, manifest=archive.manifest, jobs=jobs)


def read_measurements(archive: BundleArchive) -> list[measurement_pb2.Measurement]:
    """Return what a bundle claims of each measurement; checked against its checksums, and not recomputed."""
    return [_claimed(archive, job)[0] for job in archive.manifest.jobs]


def _claimed(archive: BundleArchive, job: BundledJob) -> tuple[measurement_pb2.Measurement, bool]:
    return from_json(measurement_pb2.Measurement, archive.read(job.measurement_name), job.measurement_name)


def _verify_job(archive: BundleArchive, job: BundledJob) -> JobVerification:
    record, record_unknown = from_json(control_pb2.MeasurementRecord, archive.read(job.record_name), job.record_name)
    claimed, claim_unknown = _claimed(archive, job)
    recomputed, stops = _recompute(archive, job, record)
    return JobVerification(
        job=job,
        comparison=compare_messages(claimed, recomputed, same_version=_is_ours(archive.manifest)),
        stops=stops,
        has_unknown=record_unknown or claim_unknown,
    )


def _recompute(
    archive: BundleArchive, job: BundledJob, record: control_pb2.MeasurementRecord
) -> tuple[measurement_pb2.Measurement, tuple[StopReplay, ...]]:
    try:
        given = read_record(record, archive.read_blob)
        check_record(job.job_id, record, given.rounds, _kinds(archive))
        return build_measurement(given), replay_stops(record, given.rounds)
    except BundleError:
        raise
    except (SteelyardError, *_NONSENSE) as error:
        raise BundleError(
            "not_recomputable",
            f"the figures of job {job.job_id[:12]} cannot be computed from what the bundle holds "
            f"({str(error)[:200] or type(error).__name__}): it was changed",
        ) from error


def _kinds(archive: BundleArchive) -> Mapping[str, str]:
    return {one.sha256: one.kind for one in archive.manifest.members if one.name.startswith("blobs/")}


def _written_by(manifest: Manifest) -> str:
    return shown_version(manifest.written_by, manifest.versions.get("analysis", ""))


def _is_ours(manifest: Manifest) -> bool:
    return _written_by(manifest) == own_version()
