"""Writing bundles: the same content gives the same bytes, whole or not at all, and nothing that would not verify."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.bundle import open_bundle, read_measurements, verify_bundle, write_bundle
from steelyard.errors import IncompleteError, NotFoundError, SteelyardError, UsageError
from steelyard_protocol.v1 import control_pb2
from tests.controller.analysis.planted_rounds import digest_of
from tests.controller.bundle.planted import LABELS, PlantedClient, manifest_of, members_of, planted_client, write


def test_what_was_written_verifies_and_says_what_the_controller_said(tmp_path: Path) -> None:
    client = planted_client()
    written = write(tmp_path / "made" / "bundle.zip", client)
    found = verify_bundle(written.path)
    assert found.agrees
    assert found.digest == written.digest
    # Two variants with some dozen estimates each, requirements, numeric checks, rounds and quantiles.
    assert found.figure_count > 300
    assert found.jobs[0].stops[-1].reason.startswith("every verdict was settled")
    with open_bundle(written.path) as archive:
        (claimed,) = read_measurements(archive)
    assert claimed == client.measurement("job-0001").measurement
    assert claimed.variants[1].correct_count == 376
    assert claimed.variants[0].numeric.other_devices[0].startswith("lab-rack-orin-7")


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / f"{name}.zip", planted_client()) for name in "ab")
    assert first.path.read_bytes() == second.path.read_bytes()
    other = write(tmp_path / "c.zip", planted_client(seed=2))
    assert other.digest != first.digest


def test_members_are_sorted_and_named_by_their_content(tmp_path: Path) -> None:
    names = list(members_of(write(tmp_path / "bundle.zip").path))
    assert names == sorted(names)
    assert names[-3:] == ["jobs/job-0001/measurement.json", "jobs/job-0001/record.json", "manifest.json"]


def test_every_kind_of_evidence_is_in_it_and_models_only_when_asked_for(tmp_path: Path) -> None:
    without = {one.kind for one in manifest_of(write(tmp_path / "a.zip").path).members}
    assert without == {"record", "measurement", "round", "trace", "outputs", "labels", "numeric"}
    manifest = manifest_of(write(tmp_path / "b.zip", with_models=True).path)
    models = {one.sha256 for one in manifest.members if one.kind == "model"}
    assert models == {digest_of(label) for label in LABELS}


def test_several_measurements_share_a_bundle_by_ids_or_by_their_title(tmp_path: Path) -> None:
    one, two = planted_client(), planted_client(seed=5, job_id="job-0002")
    client = PlantedClient([*one.records.values(), *two.records.values()], {**one.blobs, **two.blobs})
    by_title = write_bundle(client, ["planted"], tmp_path / "title.zip")  # type: ignore[arg-type]
    by_id = write_bundle(client, ["job-0002", "job-0001"], tmp_path / "ids.zip", title="planted")  # type: ignore[arg-type]
    assert [job.job_id for job in by_title.manifest.jobs] == ["job-0001", "job-0002"]
    assert by_title.digest == by_id.digest
    assert verify_bundle(by_title.path).agrees


def test_a_job_that_cannot_be_bundled_is_refused_with_its_reason(tmp_path: Path) -> None:
    client = planted_client()
    job = client.records["job-0001"].job
    with pytest.raises(NotFoundError, match="neither a job nor the title"):
        write_bundle(client, ["nothing"], tmp_path / "b.zip")  # type: ignore[arg-type]
    job.state = control_pb2.JOB_STATE_RUNNING
    with pytest.raises(IncompleteError, match="not finished"):
        write(tmp_path / "b.zip", client)
    job.state, job.kind = control_pb2.JOB_STATE_RECORDED, control_pb2.JOB_KIND_COMPRESSION
    with pytest.raises(UsageError, match="not a measurement"):
        write(tmp_path / "b.zip", client)
    job.kind = control_pb2.JOB_KIND_MEASUREMENT
    del client.records["job-0001"].rounds[:]
    with pytest.raises(IncompleteError, match="recorded no round"):
        write(tmp_path / "b.zip", client)
    assert list(tmp_path.iterdir()) == []


def test_figures_that_the_samples_do_not_give_are_not_bundled(tmp_path: Path) -> None:
    class Liar(PlantedClient):
        def measurement(self, job_id: str) -> control_pb2.GetMeasurementResponse:
            response = super().measurement(job_id)
            response.measurement.variants[1].p50_latency.value *= 0.9
            return response

    honest = planted_client()
    with pytest.raises(SteelyardError, match="not those that its rounds give"):
        write(tmp_path / "b.zip", Liar(list(honest.records.values()), honest.blobs))


def test_a_bundle_is_written_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(b"what was there")
    client = planted_client()
    # Models are fetched last: the archive is half written by then.
    del client.blobs[digest_of(LABELS[1])]
    with pytest.raises(KeyError):
        write(path, client, with_models=True)
    assert path.read_bytes() == b"what was there"
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    written = write(tmp_path / "b.zip", on_progress=lambda done, total: told.append((done, total)))
    count = len(written.manifest.members)
    assert told == [(done, count) for done in range(1, count + 1)]
    told.clear()
    verify_bundle(written.path, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == sum(one.size_bytes for one in written.manifest.members)
