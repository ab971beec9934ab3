"""Rounds with a planted truth, as devices send them, and the job that asked for them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from steelyard.analysis.measurement import MeasurementInput
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2, result_pb2

MIB = 1024 * 1024
ROUND_NS = 2_000_000_000
STARTED_NS = 1_790_000_000_000_000_000
NO_SENSOR = "no sensor; looked at powercap"
Failure = tuple["result_pb2.BlockStatus.ValueType", str]


def digest_of(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()


def block(label: str, p50_ns: float, rng: np.random.Generator, *, count: int = 100) -> result_pb2.BlockResult:
    """A good block: log-normal samples around ``p50_ns``, loads in 5 ms, peaks 10 MiB above what was imported."""
    samples = np.exp(rng.normal(np.log(p50_ns), 0.01, count)).astype(np.int64)
    made = result_pb2.BlockResult(
        artifact_digest=digest_of(label),
        label=label,
        status=result_pb2.BLOCK_STATUS_OK,
        model_load_ns=int(5e6 * rng.uniform(0.99, 1.01)),
        first_inference_ns=int(2e6 * rng.uniform(0.99, 1.01)),
        warmup_steady=True,
        inner_batch_count=1,
        latency_ns=samples.tolist(),
        runtime_name="onnxruntime",
        runtime_version="1.32.0",
        providers=["CPUExecutionProvider"],
    )
    memory = made.memory
    memory.phases.add(name="imported", resident_bytes=50 * MIB)
    memory.phases.add(name="loaded", resident_bytes=55 * MIB, anonymous_bytes=20 * MIB)
    memory.peak_resident_bytes = 60 * MIB
    memory.peak_source = "VmHWM"
    return made


def failed_block(label: str, failure: Failure) -> result_pb2.BlockResult:
    status, message = failure
    error = common_pb2.ErrorInfo(reason="planted", message=message)
    return result_pb2.BlockResult(artifact_digest=digest_of(label), label=label, status=status, error=error)


def latency_rounds(
    truth: Mapping[str, float],
    count: int,
    *,
    seed: int = 1,
    wobble: float = 0.002,
    failures: Mapping[tuple[int, str], Failure] | None = None,
    segments: Sequence[int] = (),
    slower_from: Mapping[int, float] | None = None,
) -> list[result_pb2.RoundResult]:
    """``count`` rounds of ``truth`` (label -> p50 in ns); each launch is off by ``wobble``, each round by 1 %.

    ``failures`` by (round, label); ``segments`` by round; ``slower_from`` multiplies a segment's latencies.
    """
    rng = np.random.default_rng(seed)
    rounds = []
    for index in range(count):
        segment = segments[index] if segments else 0
        drift = np.exp(rng.normal(0.0, 0.01)) * (slower_from or {}).get(segment, 1.0)
        blocks = []
        for label, p50_ns in truth.items():
            failure = (failures or {}).get((index, label))
            launch = drift * np.exp(rng.normal(0.0, wobble))
            blocks.append(failed_block(label, failure) if failure else block(label, p50_ns * launch, rng))
        rounds.append(round_of(result_pb2.PASS_LATENCY, index, blocks, segment=segment))
    return rounds


def round_of(
    pass_kind: result_pb2.Pass.ValueType, index: int, blocks: Iterable[result_pb2.BlockResult], *, segment: int = 0
) -> result_pb2.RoundResult:
    made = result_pb2.RoundResult(
        job_id="job-0001", attempt=1, pass_kind=pass_kind, round_index=index, segment=segment, blocks=blocks
    )
    made.started_at.FromNanoseconds(STARTED_NS + index * ROUND_NS)
    made.finished_at.FromNanoseconds(STARTED_NS + (index + 1) * ROUND_NS)
    return made


def evaluation_round(labels: Sequence[str], failures: Mapping[str, Failure] | None = None) -> result_pb2.RoundResult:
    blocks = []
    for label in labels:
        if failures and label in failures:
            blocks.append(failed_block(label, failures[label]))
            continue
        blocks.append(
            result_pb2.BlockResult(
                artifact_digest=digest_of(label),
                label=label,
                status=result_pb2.BLOCK_STATUS_OK,
                outputs_digest=digest_of(f"outputs of {label}"),
                notes=[f"{label} was evaluated"],
            )
        )
    return round_of(result_pb2.PASS_EVALUATION, 0, blocks)


def energy_round(values: Mapping[str, float | None], reason: str = "too short") -> result_pb2.RoundResult:
    blocks = []
    for label, value in values.items():
        made = result_pb2.BlockResult(artifact_digest=digest_of(label), label=label, status=result_pb2.BLOCK_STATUS_OK)
        made.readings.add(name="package_energy", value=12.0, unit="J", status=common_pb2.READING_STATUS_MEASURED)
        reading = made.readings.add(name="energy_per_inference", unit="J")
        if value is None:
            reading.reason = reason
        else:
            reading.value = value
        blocks.append(made)
    return round_of(result_pb2.PASS_ENERGY, 0, blocks)


def outputs_with(labels: np.ndarray, correct_count: int) -> bytes:
    """Device outputs (.npz) of which the first ``correct_count`` are right."""
    answers = labels.copy()
    answers[correct_count:] = (answers[correct_count:] + 1) % 10
    stream = io.BytesIO()
    np.savez(stream, argmax=answers.astype(np.int64))
    return stream.getvalue()


def request_of(labels: Sequence[str], **fields: object) -> control_pb2.SubmitMeasurementRequest:
    settings: dict[str, object] = {"min_round_count": 6, "max_round_count": 40, "budget_ms": 600_000, "device": "pi5"}
    plan = plan_pb2.Plan(
        artifacts=[
            plan_pb2.PlannedArtifact(artifact_digest=digest_of(label), label=label, size_bytes=size_of(label))
            for label in labels
        ],
        timing=plan_pb2.TimingSpec(sample_window_ms=200),
    )
    return control_pb2.SubmitMeasurementRequest(plan=plan, title="planted", **{**settings, **fields})


def size_of(label: str) -> int:
    return 1000 - 100 * min(len(label), 9)


def given(
    labels: Sequence[str],
    rounds: Sequence[result_pb2.RoundResult],
    *,
    correct: Mapping[str, int] | None = None,
    sample_count: int = 2000,
    device: common_pb2.DeviceDescription | None = None,
    **fields: object,
) -> MeasurementInput:
    """What was recorded of a job; ``correct`` (label -> right answers) brings a task and its outputs."""
    truth = np.arange(sample_count, dtype=np.int64) % 10
    described = device or common_pb2.DeviceDescription(device_id="d1e2f3a4", name="pi5")
    return MeasurementInput(
        job=control_pb2.Job(job_id="job-0001", device="pi5"),
        request=request_of(labels, **fields),
        rounds=rounds,
        artifacts={
            digest_of(label): control_pb2.Artifact(
                digest=digest_of(label), name=f"model-{label}", size_bytes=size_of(label)
            )
            for label in labels
        },
        task=control_pb2.Task(task_id="t1", name="digits") if correct is not None else None,
        truth={"labels": truth} if correct is not None else {},
        outputs={label: outputs_with(truth, count) for label, count in (correct or {}).items()},
        device=described,
        controller_id="laptop",
    )
