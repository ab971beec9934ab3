"""Checks a plan before anything is fetched: it comes from the network, and some of its texts become paths."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import isfinite

from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.mode_check import check_axes, check_cores, check_mode
from steelyard_agent.jobs.numeric_turn import check_numeric, check_numeric_grant
from steelyard_agent.jobs.profile_check import check_profile, check_profile_grant
from steelyard_agent.state.blob_cache import DIGEST
from steelyard_agent.state.outbox import JOB_ID
from steelyard_protocol.v1.common_pb2 import ARTIFACT_FORMAT_ONNX, ARTIFACT_FORMAT_TFLITE
from steelyard_protocol.v1.plan_pb2 import (
    REDUCER_UNSPECIFIED,
    GraphOptimization,
    Plan,
    PlannedArtifact,
    Reducer,
    RuntimeSpec,
)
from steelyard_protocol.v1.result_pb2 import (
    PASS_ENERGY,
    PASS_EVALUATION,
    PASS_LATENCY,
    PASS_NUMERIC,
    PASS_OPERATORS,
    PASS_PREPARATION,
    PASS_ROOFLINE,
)
from steelyard_protocol.v1.session_pb2 import JobOffer, RoundGrant

_PASSES = frozenset(
    {PASS_LATENCY, PASS_EVALUATION, PASS_ENERGY, PASS_PREPARATION, PASS_OPERATORS, PASS_NUMERIC, PASS_ROOFLINE}
)
MAX_ARTIFACT_COUNT = 64
MAX_ROUND_COUNT = 1000
_MAX_BLOB_BYTES = 64 * 1024**3
_MAX_LABEL_CHARACTERS = 100
_MAX_WINDOW_MS = 3_600_000
_MAX_PULSE_COUNT = 32
_MAX_PULSE_MS = 60_000
_MAX_BLOCK_TIMEOUT_MS = 24 * 3_600_000
_MAX_THREAD_COUNT = 1024
_MAX_LIST = 64
_MAX_RANK = 16


def check_offer(offer: JobOffer, environments: Collection[str] = ()) -> None:
    """Refuse an offer whose job cannot be run as it stands; ``environments`` are the other runtime environments here.

    Raises:
        InvalidPlanError: The sentence names the first value that makes no sense.
    """
    _demand(JOB_ID.fullmatch(offer.job_id) is not None, f"job id {offer.job_id[:120]!r} is not a name")
    _within("lease_ttl_ms", offer.lease_ttl_ms, 1, 7 * 24 * 3_600_000)
    check_plan(offer.plan)
    for artifact in offer.plan.artifacts:
        _check_environment(artifact, environments)


def check_plan(plan: Plan) -> None:
    """Refuse a plan that makes no sense.

    Raises:
        InvalidPlanError: The sentence names the first value that makes no sense.
    """
    _within("the number of artifacts", len(plan.artifacts), 1, MAX_ARTIFACT_COUNT)
    labels = [artifact.label for artifact in plan.artifacts]
    for label in labels:
        _demand(labels.count(label) == 1, f"two artifacts are labelled {label[:120]!r}")
    for artifact in plan.artifacts:
        _check_artifact(artifact)
    _within("block_timeout_ms", plan.block_timeout_ms, 1, _MAX_BLOCK_TIMEOUT_MS)
    if plan.HasField("memory_limit_bytes"):
        _within("memory_limit_bytes", plan.memory_limit_bytes, 1, 2**50)
    _held(lambda: check_cores(plan.core_ids, plan.core_selection))
    _check_timing(plan)
    _held(lambda: check_mode(plan))
    _held(lambda: check_profile(plan, _check_blob, _check_runtime))
    _held(lambda: check_numeric(plan, _check_blob))
    _check_gate(plan)
    _check_data(plan)


def check_grant(grant: RoundGrant, plan: Plan) -> None:
    """Refuse a grant of rounds that the plan does not have.

    Raises:
        InvalidPlanError: The sentence names the value.
    """
    _demand(grant.pass_kind in _PASSES, "the grant names no known pass")
    _within("round_count", grant.round_count, 1, MAX_ROUND_COUNT)
    _within("first_round", grant.first_round, 0, 999_999_999 - MAX_ROUND_COUNT)
    if grant.pass_kind == PASS_EVALUATION:
        _demand(plan.HasField("evaluation"), "an evaluation round was granted but the plan names no data for it")
    _held(lambda: check_profile_grant(grant.pass_kind, plan))
    _held(lambda: check_numeric_grant(grant.pass_kind, plan))


def _check_artifact(artifact: PlannedArtifact) -> None:
    label = artifact.label
    _demand(
        0 < len(label) <= _MAX_LABEL_CHARACTERS and label.isprintable(), f"label {label[:120]!r} is not a short line"
    )
    _check_blob(f"artifact {label!r}", artifact.artifact_digest, artifact.size_bytes)
    _demand(
        artifact.format in {ARTIFACT_FORMAT_ONNX, ARTIFACT_FORMAT_TFLITE}, f"artifact {label!r} has no known format"
    )
    _check_runtime(label, artifact.runtime)
    _held(lambda: check_axes(artifact))
    _within(f"the number of input shapes of {label!r}", len(artifact.input_shapes), 0, _MAX_LIST)
    for name, shape in artifact.input_shapes.items():
        _within(f"the rank of input {name[:120]!r}", len(shape.sizes), 0, _MAX_RANK)
        for size in shape.sizes:
            _within(f"a size of input {name[:120]!r}", size, 1, 2**31 - 1)


def _check_runtime(label: str, runtime: RuntimeSpec) -> None:
    _demand(0 < len(runtime.name) <= _MAX_LABEL_CHARACTERS, f"artifact {label!r} names no runtime")
    _within(f"the number of providers of {label!r}", len(runtime.providers), 0, _MAX_LIST)
    for provider in runtime.providers:
        _demand(bool(provider.name), f"a provider of {label!r} has no name")
    for field in ("intra_op_thread_count", "inter_op_thread_count"):
        if runtime.HasField(field):
            _within(f"{field} of {label!r}", getattr(runtime, field), 1, _MAX_THREAD_COUNT)
    _demand(
        runtime.graph_optimization in GraphOptimization.values(),
        f"graph_optimization of {label!r} is {runtime.graph_optimization}, which this agent does not know",
    )


def _check_environment(artifact: PlannedArtifact, environments: Collection[str]) -> None:
    """Refuse an environment that is not here; the names come from the network and are looked up, never opened."""
    name = artifact.runtime.environment
    if name and name not in environments:
        listed = ", ".join(sorted(environments))
        there = f"it has {listed}; name one of these, or add it there" if listed else "it has none; add it there"
        raise InvalidPlanError(
            f"this device has no runtime environment {name[:80]!r}, {there} with steelyard-agent environment add and "
            "start the agent again"
        )


def _check_timing(plan: Plan) -> None:
    # 0 stands for the agent's default.
    for field in ("sample_window_ms", "warmup_window_ms", "warmup_cap_ms"):
        _within(field, getattr(plan.timing, field), 0, _MAX_WINDOW_MS)
    _within("warmup_tolerance", plan.timing.warmup_tolerance, 0, 1)
    _within("min_sample_count", plan.timing.min_sample_count, 0, 1_000_000)
    for field in ("window_ms", "idle_ms", "longest_window_ms"):
        _within(f"energy {field}", getattr(plan.energy, field), 0, _MAX_WINDOW_MS)
    _within("energy least_inference_count", plan.energy.least_inference_count, 0, 1_000_000)
    if plan.energy.HasField("marker"):
        _within("pulse_count of the load marker", plan.energy.marker.pulse_count, 2, _MAX_PULSE_COUNT)
        _within("pulse_ms of the load marker", plan.energy.marker.pulse_ms, 10, _MAX_PULSE_MS)


def _check_gate(plan: Plan) -> None:
    if plan.timing.HasField("most_contention"):
        _within("most_contention", plan.timing.most_contention, 0, 1)
    gate = plan.gate
    # Unset ones read 0, which lies within.
    for field, value, least, most in (
        ("most_temperature_rise_c", gate.most_temperature_rise_c, 0, 200),
        ("most_temperature_c", gate.most_temperature_c, -50, 200),
        ("most_other_load", gate.most_other_load, 0, 65_536),
        ("least_available_bytes", gate.least_available_bytes, 0, 2**50),
        ("least_charge", gate.least_charge, 0, 1),
    ):
        _within(f"{field} of the gate", value, least, most)
    _within("longest_wait_ms of the gate", gate.longest_wait_ms, 0, _MAX_WINDOW_MS)
    _demand(len(gate.governor) <= _MAX_LABEL_CHARACTERS, "the governor of the gate is no name")


def _check_data(plan: Plan) -> None:
    if plan.inputs.data_digest:
        _check_blob("the input data", plan.inputs.data_digest, plan.inputs.data_size_bytes)
    for what, reducer in (("evaluation", plan.evaluation.reducer), ("processing", plan.processing.reducer)):
        _demand(reducer in Reducer.values(), f"the reducer of the {what} is {reducer}, which this agent does not know")
    if plan.HasField("evaluation"):
        evaluation = plan.evaluation
        _check_blob("the evaluation data", evaluation.data_digest, evaluation.data_size_bytes)
        _demand(evaluation.reducer != REDUCER_UNSPECIFIED, "the evaluation names no reducer")
        _within("batch_size", evaluation.batch_size, 0, 65_536)
        _demand(isfinite(evaluation.score_threshold), f"score_threshold is {evaluation.score_threshold}")
        _within("top_count", evaluation.top_count, 0, 1_000_000)
        _within("output_quota_bytes", evaluation.output_quota_bytes, 0, _MAX_BLOB_BYTES)


def _check_blob(what: str, digest: str, size_bytes: int) -> None:
    _demand(
        DIGEST.fullmatch(digest) is not None,
        f"the digest {digest[:80]!r} of {what} is not a SHA-256 in lower-case hexadecimal",
    )
    _within(f"the size of {what}", size_bytes, 1, _MAX_BLOB_BYTES)


def _within(what: str, value: float, low: float, high: float) -> None:
    # A NaN fails every comparison and is refused here as well.
    _demand(low <= value <= high, f"{what} is {value}, not between {low} and {high}")


def _held(check: Callable[[], None]) -> None:
    try:
        check()
    except ValueError as error:
        _demand(False, str(error))


def _demand(holds: bool, sentence: str) -> None:
    if not holds:
        raise InvalidPlanError(f"the plan cannot be run: {sentence}; correct it and submit the job again")
