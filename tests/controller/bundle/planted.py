"""A controller with planted measurements, as the writer of bundles calls it, and tampering with what it wrote."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from steelyard.analysis.layer_message import layers_message
from steelyard.analysis.measurement import build_measurement
from steelyard.analysis.record import read_record
from steelyard.analysis.stop import StopPolicy
from steelyard.bundle import WrittenBundle, open_bundle, write_bundle
from steelyard.bundle.manifest import Manifest
from steelyard.errors import NotFoundError
from steelyard.layers.contract import Layer, LayerTable
from steelyard.tasks.npz import write_npz
from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2
from tests.controller.analysis.planted_rounds import (
    digest_of,
    evaluation_round,
    latency_rounds,
    outputs_with,
    request_of,
    round_of,
    size_of,
)

LABELS = ("original", "static-int8")
TRUTH = {"original": 1.2e6, "static-int8": 0.6e6}
DEVICE_NAME = "janes-bench-pi5"
DEVICE_ID = "d3b07384d113edec49eaa6238ad5ff00"
OTHER_DEVICE = "lab-rack-orin-7"
CONTROLLER_ID = "c0ffee00c0ffee00c0ffee00c0ffee00"
METER = "shelly:http://192.168.7.45"
METER_TEXT = "Shelly plug serial 98F4AB1C2D3E at http://192.168.7.45"
HOME = "/home/jane.doe/models/secret-project"
# Everything about who and where that the planted messages hold.
ORIGINALS = (
    DEVICE_NAME,
    DEVICE_ID,
    OTHER_DEVICE,
    CONTROLLER_ID,
    "192.168.7.45",
    "98F4AB1C2D3E",
    "jane.doe",
    "janes-mac",
)


class PlantedClient:
    """What the writer asks of a client, answered from messages and blobs."""

    def __init__(self, records: Sequence[control_pb2.MeasurementRecord], blobs: Mapping[str, bytes]) -> None:
        self.records = {one.job.job_id: one for one in records}
        self.blobs = dict(blobs)

    def job(self, text: str) -> control_pb2.Job:
        found = [one.job for job_id, one in self.records.items() if job_id.startswith(text)]
        if not found:
            raise NotFoundError("job_not_found", f"no job {text!r}")
        return found[0]

    def jobs(self) -> list[control_pb2.Job]:
        return [one.job for one in self.records.values()]

    def measurement_record(self, job_id: str) -> control_pb2.MeasurementRecord:
        return self.records[job_id]

    def measurement(self, job_id: str) -> control_pb2.GetMeasurementResponse:
        measurement = build_measurement(read_record(self.records[job_id], self.download))
        return control_pb2.GetMeasurementResponse(measurement=measurement)

    def download(self, digest: str) -> bytes:
        return self.blobs[digest]

    def controller(self) -> control_pb2.GetControllerResponse:
        return control_pb2.GetControllerResponse(
            controller_id=CONTROLLER_ID, version="0.1.0", state_directory="/home/jane.doe/.local/state/steelyard"
        )


def planted_client(*, seed: int = 1, job_id: str = "job-0001") -> PlantedClient:
    """One finished measurement: two models, a task, the numeric check, a meter, layers, names in every corner."""
    blobs: dict[str, bytes] = {}

    def put(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return digest

    labels = np.arange(400, dtype=np.int64) % 10
    request = request_of(LABELS, device=DEVICE_NAME, task_id="t1", requirements=["p90<5ms"], meters=[METER])
    request.plan.numeric.data_digest = digest_of("inputs of the check")
    request.plan.numeric.sample_count = 4
    request.plan.operators.window_ms = 100
    rounds = [*_evaluation(labels, put), *stopped_rounds(request, seed=seed), _numeric(put)]
    for one in rounds:
        one.job_id = job_id
        for block in one.blocks:
            block.notes.append(f"{block.label}: loaded from {HOME}/{block.label}.onnx by jane.doe@example.org")
            block.circumstances.add(name="kernel", value="6.6.51 on janes-mac.local")
    record = control_pb2.MeasurementRecord(
        job=control_pb2.Job(
            job_id=job_id,
            kind=control_pb2.JOB_KIND_MEASUREMENT,
            state=control_pb2.JOB_STATE_RECORDED,
            device=DEVICE_NAME,
            title=request.title,
        ),
        request=request,
        rounds=[round_reference(one, put(one.SerializeToString())) for one in rounds],
        artifacts=[_artifact(label) for label in LABELS],
        task=control_pb2.Task(task_id="t1", name="digits", labels_digest=put(write_npz({"labels": labels}))),
        device=_device(),
        controller_id=CONTROLLER_ID,
        layers=[layers_message(label, _layers()) for label in LABELS],
        numeric=[_answers(label, put) for label in LABELS],
    )
    record.history.sessions.add(job_id="earlier", series="a" * 64, figure="p50", value_ns=1e6)
    record.traces.add(meter=METER, trace_digest=put(_trace().SerializeToString()))
    # Planted models are named by the SHA-256 of their labels: those are their bytes.
    models = {digest_of(label): label.encode() for label in LABELS}
    return PlantedClient([record], {**blobs, **models})


def stopped_rounds(request: control_pb2.SubmitMeasurementRequest, *, seed: int) -> list[result_pb2.RoundResult]:
    """As many timed rounds as the stop rule grants, asked as a controller asks it."""
    recorded = latency_rounds(TRUTH, request.max_round_count, seed=seed)
    policy, count = StopPolicy.of(request, job_id="job-0001"), 0
    while not (decision := policy.decide(recorded[:count])).stop:
        count += decision.round_count
    return recorded[:count]


def write(path: Path, client: PlantedClient | None = None, **settings: object) -> WrittenBundle:
    return write_bundle(client or planted_client(), ["job-0001"], path, **settings)  # type: ignore[arg-type]


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write_members(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def with_manifest(members: Mapping[str, bytes], change: Callable[[dict[str, object]], None]) -> dict[str, bytes]:
    """The members with another manifest."""
    document = json.loads(members["manifest.json"])
    change(document)
    return {**members, "manifest.json": json.dumps(document).encode()}


def consistently(path: Path, changed: Mapping[str, bytes]) -> None:
    """Rewrite a bundle with changed JSON members, its manifest telling their new checksums as a forger's would."""
    members = {**members_of(path), **changed}

    def tell(document: dict[str, object]) -> None:
        for one in document["members"]:  # type: ignore[attr-defined]
            if one["name"] in changed:
                one["sha256"] = hashlib.sha256(changed[one["name"]]).hexdigest()
                one["size_bytes"] = len(changed[one["name"]])

    write_members(path, with_manifest(members, tell))


def replace_blob(path: Path, old: str, content: bytes) -> None:
    """Rewrite a bundle with another blob in the place of one, every checksum and name that follows changed with it."""
    members, kinds = members_of(path), {one.name: one.kind for one in manifest_of(path).members}
    pending = [(old, content)]
    while pending:
        old, content = pending.pop()
        new = hashlib.sha256(content).hexdigest()
        del members[f"blobs/{old}"]
        members[f"blobs/{new}"], kinds[f"blobs/{new}"] = content, kinds.pop(f"blobs/{old}")
        for name, data in list(members.items()):
            if old.encode() in data and name != "manifest.json":
                changed = data.replace(old.encode(), new.encode())
                if name.startswith("blobs/"):
                    # A round that names the blob gets another digest itself.
                    pending.append((name.removeprefix("blobs/"), changed))
                else:
                    members[name] = changed

    def tell(document: dict[str, object]) -> None:
        document["members"] = [
            {
                "name": name,
                "kind": kind,
                "sha256": hashlib.sha256(members[name]).hexdigest(),
                "size_bytes": len(members[name]),
            }
            for name, kind in kinds.items()
        ]

    write_members(path, with_manifest(members, tell))


def manifest_of(path: Path) -> Manifest:
    with open_bundle(path) as archive:
        return archive.manifest


def blob_of_kind(path: Path, kind: str, index: int = 0) -> str:
    return [one.sha256 for one in manifest_of(path).members if one.kind == kind][index]


def _evaluation(labels: np.ndarray, put: Callable[[bytes], str]) -> list[result_pb2.RoundResult]:
    made = evaluation_round(LABELS)
    for block, correct in zip(made.blocks, (380, 376), strict=True):
        block.outputs_digest = put(outputs_with(labels, correct))
    return [made]


def _numeric(put: Callable[[bytes], str]) -> result_pb2.RoundResult:
    blocks = [
        result_pb2.BlockResult(
            artifact_digest=digest_of(label),
            label=label,
            status=result_pb2.BLOCK_STATUS_OK,
            runtime_name="onnxruntime",
            providers=["CPUExecutionProvider"],
            outputs_digest=put(_outputs(0.0)),
        )
        for label in LABELS
    ]
    return round_of(result_pb2.PASS_NUMERIC, 0, blocks)


def _outputs(off: float) -> bytes:
    return write_npz({"output.logits": np.linspace(-1.0, 1.0, 40, dtype=np.float32).reshape(4, 10) + np.float32(off)})


def _answers(label: str, put: Callable[[bytes], str]) -> control_pb2.NumericAnswers:
    answers = control_pb2.NumericAnswers(label=label)
    answers.reference.outputs_digest = put(_outputs(1e-7))
    answers.reference.runtime = "onnxruntime 1.32.0"
    answers.others.add(device=OTHER_DEVICE, runtime="onnxruntime 1.32.0", outputs_digest=put(_outputs(0.5)))
    return answers


def _layers() -> LayerTable:
    conv = Layer(
        index=0,
        name="/conv/Conv",
        kind="Conv",
        inputs=("image",),
        outputs=("logits",),
        mac_count=9000,
        parameter_count=90,
        byte_count=None,
        weight_dtype="float32",
    )
    return LayerTable(
        layers=(conv, replace(conv, index=1, mac_count=None, byte_count=12, reason="a shape is not known")),
        parameter_count=90,
    )


def _artifact(label: str) -> control_pb2.Artifact:
    made = control_pb2.Artifact(digest=digest_of(label), name=f"model-{label}", size_bytes=size_of(label))
    made.lineage.recipe_toml = f'name = "{label}"\n# from {HOME}\n'
    return made


def _device() -> common_pb2.DeviceDescription:
    made = common_pb2.DeviceDescription(device_id=DEVICE_ID, name=DEVICE_NAME, model="Raspberry Pi 5 Model B Rev 1.0")
    made.runtimes.add(name="litert", reason=f"{HOME}/lib/libtflite.so is missing on janes-mac.local")
    made.meters.add(name="package_energy", unit="J", reason="no sensor; looked at /sys/class/powercap")
    return made


def _trace() -> control_pb2.MeterTrace:
    return control_pb2.MeterTrace(
        meter=METER, description=METER_TEXT, start_ns=1, step_ns=[10, 10], power_w=[1.0, 2.0, 1.5], rate_hz=1.0
    )


def round_reference(result: result_pb2.RoundResult, digest: str) -> control_pb2.RoundReference:
    key = result_pb2.ResultKey(
        job_id=result.job_id, attempt=result.attempt, pass_kind=result.pass_kind, round_index=result.round_index
    )
    return control_pb2.RoundReference(key=key, result_digest=digest, segment=result.segment)


def everything_in(path: Path) -> bytes:
    """Every byte of a bundle, as it lies and unpacked, arrays within arrays included."""
    parts = [path.read_bytes()]
    for name, content in members_of(path).items():
        parts += [name.encode(), content]
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as inner:
                parts += [inner.read(info) for info in inner.infolist()]
    return b"\n".join(parts)
