"""A real measurement as a bundle: recomputed by a process that shares nothing with the controller that made it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from steelyard.bundle import read_measurements, verify_bundle, write_bundle
from steelyard.bundle.archive import open_bundle
from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.tasks.metrics.device_outputs import read_labels
from steelyard.tasks.npz import read_npz, write_npz
from steelyard_protocol.v1 import control_pb2, result_pb2
from tests.controller.bundle.planted import blob_of_kind, manifest_of, members_of, replace_blob
from tests.support.anywhere import ANYWHERE
from tests.support.models import conv_model

OPTIONS = MeasurementOptions(
    min_round_count=3, max_round_count=3, sample_window_ms=20, gate=ANYWHERE, operators=True, requirements=("p90<1s",)
)
_VERIFY = """
import builtins, json, sys
real = builtins.__import__
def guarded(name, *rest, **named):
    if name.split(".")[0] in ("grpc", "onnx", "onnxruntime", "sqlalchemy", "steelyard_agent"):
        raise AssertionError(f"verifying imports {name}")
    return real(name, *rest, **named)
builtins.__import__ = guarded
from steelyard.bundle.verify import verify_bundle
found = verify_bundle(sys.argv[1])
print(json.dumps([found.agrees, found.digest, found.figure_count, found.jobs[0].stops[-1].looks]))
"""


@pytest.fixture(scope="module")
def measured(shared_client: Client, tmp_path_factory: pytest.TempPathFactory) -> control_pb2.Job:
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    arrays = {
        "x_eval": rng.standard_normal((60, 1, 12, 12)).astype(np.float32),
        "y_eval": rng.integers(0, 10, 60),
        "x_calib": rng.standard_normal((20, 1, 12, 12)).astype(np.float32),
    }
    np.savez(folder / "data.npz", **arrays)
    conv_model(folder / "conv.onnx")
    original = shared_client.add_model(folder / "conv.onnx")
    task = shared_client.add_task(folder / "data.npz", original)
    compressed = shared_client.compress(original, "static-int8", task=task)
    compressed.wait()
    job = shared_client.measure([original, compressed.variant()], task=task, options=OPTIONS)
    return job.wait()


def test_a_bundle_carries_everything_and_verifies_without_a_controller(
    shared_client: Client, measured: control_pb2.Job, tmp_path: Path
) -> None:
    written = write_bundle(shared_client, [measured.job_id[:12]], tmp_path / "b.zip")
    kinds = {one.kind for one in written.manifest.members}
    assert kinds >= {"record", "measurement", "round", "outputs", "labels", "numeric"}
    done = subprocess.run([sys.executable, "-c", _VERIFY, str(written.path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    agrees, digest, figure_count, looks = json.loads(done.stdout)
    assert agrees is True
    assert digest == written.digest
    assert figure_count > 300
    assert looks == [0, 3]
    with open_bundle(written.path) as archive:
        (claimed,) = read_measurements(archive)
        record = json.loads(archive.read(written.manifest.jobs[0].record_name))
    assert claimed == shared_client.measurement(measured.job_id).measurement
    assert claimed.variants[0].evaluated_count == 60
    assert claimed.variants[0].operators.operators
    lineage = next(one["lineage"] for one in record["artifacts"] if "lineage" in one)
    assert "static-int8" in lineage["recipe_toml"]


def test_every_raw_sample_is_in_it(shared_client: Client, measured: control_pb2.Job, tmp_path: Path) -> None:
    path = write_bundle(shared_client, [measured.job_id], tmp_path / "b.zip").path
    members = members_of(path)
    stored = [
        result_pb2.RoundResult.FromString(members[one.name]) for one in manifest_of(path).members if one.kind == "round"
    ]
    recorded = list(shared_client.rounds(measured.job_id))
    assert sorted(map(_key, stored)) == sorted(map(_key, recorded))
    assert sum(len(block.latency_ns) for one in stored for block in one.blocks) > 10


def test_one_other_answer_of_the_device_is_found(
    shared_client: Client, measured: control_pb2.Job, tmp_path: Path
) -> None:
    path = write_bundle(shared_client, [measured.job_id], tmp_path / "b.zip").path
    digest = blob_of_kind(path, "outputs")
    answers = read_npz(members_of(path)[f"blobs/{digest}"], what="outputs")["argmax"].copy()
    truth = read_labels(members_of(path)[f"blobs/{blob_of_kind(path, 'labels')}"])
    wrong = int(np.argmax(answers != truth))
    answers[wrong] = truth[wrong]
    replace_blob(path, digest, write_npz({"argmax": answers}))
    found = verify_bundle(path)
    assert not found.agrees
    assert "accuracy" in found.differences[0].where or "correct" in found.differences[0].where


def test_without_names_it_says_the_same(shared_client: Client, measured: control_pb2.Job, tmp_path: Path) -> None:
    path = write_bundle(shared_client, [measured.job_id], tmp_path / "b.zip", anonymous=True, with_models=True).path
    found = verify_bundle(path)
    assert found.agrees
    everything = b"".join(members_of(path).values())
    device = shared_client.device(measured.device).description
    assert device.device_id.encode() not in everything
    assert shared_client.controller().controller_id.encode() not in everything
    assert shared_client.controller().state_directory.encode() not in everything


def test_rounds_that_were_added_bring_the_measurement_that_they_extend(
    shared_client: Client, measured: control_pb2.Job, tmp_path: Path
) -> None:
    more = shared_client.extend(measured.job_id, max_round_count=5)
    more.wait()
    found = verify_bundle(write_bundle(shared_client, [more.job_id], tmp_path / "b.zip").path)
    assert found.agrees
    assert [one.job_id for one in found.jobs[0].stops] == [measured.job_id, more.job_id]
    assert [one.looks[0] for one in found.jobs[0].stops] == [0, 3]


def _key(one: result_pb2.RoundResult) -> bytes:
    return one.SerializeToString(deterministic=True)
