from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.cores import CoreGroup
from steelyard_agent.description import DeviceDescription, RuntimeDescription
from steelyard_agent.jobs.block_messages import OutputsBlob, block_result
from steelyard_agent.jobs.description_message import description_message
from steelyard_agent.jobs.messages import reading_message
from steelyard_agent.jobs.planned_blocks import BlobPaths, block_for
from steelyard_agent.readings import Kind, Reading, Scope, Status, unavailable
from steelyard_agent.surroundings.contract import BlockSurroundings, Circumstance, ThrottleReport, ThrottleVerdict
from steelyard_agent.worker.block import Block, Timing, WorkerResult
from steelyard_agent.worker.codec import decode_block, decode_runtime_options, encode_block
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockStatus
from steelyard_protocol.v1 import common_pb2, plan_pb2, result_pb2
from tests.agent.jobs.fakes import DEGREES, plan_of
from tests.support.fake_controller import digest_of

OUT = Path("/work/outputs.npz")


def paths(*contents: bytes) -> BlobPaths:
    return BlobPaths(by_digest={digest_of(content): Path("/blobs") / digest_of(content) for content in contents})


def test_a_plan_that_says_nothing_leaves_every_default() -> None:
    plan = plan_of(b"m")
    block = block_for(plan, plan.artifacts[0], result_pb2.PASS_LATENCY, paths=paths(b"m"), output_path=OUT)
    assert block == Block(
        kind="latency", runtime_name="onnxruntime", model_path=f"/blobs/{digest_of(b'm')}", timing=Timing()
    )


def test_everything_that_a_plan_says_reaches_the_worker() -> None:
    plan = plan_of(b"m", evaluation=b"data")
    artifact = plan.artifacts[0]
    artifact.runtime.MergeFrom(
        plan_pb2.RuntimeSpec(
            providers=[plan_pb2.Provider(name="XNN", options={"k": "v"})],
            intra_op_thread_count=4,
            inter_op_thread_count=1,
            graph_optimization=plan_pb2.GRAPH_OPTIMIZATION_BASIC,
            spinning=False,
            arena=True,
            allow_fallback=True,
            options={"session.x": "1"},
        )
    )
    artifact.input_shapes["x"].sizes.extend([1, 3])
    plan.timing.MergeFrom(
        plan_pb2.TimingSpec(
            sample_window_ms=1, warmup_window_ms=2, warmup_tolerance=0.5, warmup_cap_ms=3, min_sample_count=4
        )
    )
    plan.inputs.seed, plan.inputs.data_digest = 9, plan.evaluation.data_digest
    plan.evaluation.reducer, plan.evaluation.top_count = plan_pb2.REDUCER_TOP_K, 3
    plan.evaluation.score_threshold, plan.evaluation.output_quota_bytes = 0.25, 77
    plan.energy.window_ms = 5000
    where = paths(b"m", b"data")
    latency = block_for(plan, artifact, result_pb2.PASS_LATENCY, paths=where, output_path=OUT)
    assert decode_runtime_options(latency.runtime) == RuntimeOptions(
        providers=(ProviderSpec(name="XNN", options={"k": "v"}),),
        intra_op_thread_count=4,
        inter_op_thread_count=1,
        graph_optimization="basic",
        arena=True,
        allow_fallback=True,
        options={"session.x": "1"},
        input_shapes={"x": (1, 3)},
        spinning=False,
    )
    assert latency.timing == Timing(
        sample_window_ms=1, warmup_window_ms=2, warmup_tolerance=0.5, warmup_cap_ms=3, min_sample_count=4
    )
    assert (latency.seed, latency.batch_size, latency.output_path) == (9, 0, "")
    assert latency.data_path.endswith(digest_of(b"data"))
    assert decode_block(encode_block(latency)) == latency
    evaluation = block_for(plan, artifact, result_pb2.PASS_EVALUATION, paths=where, output_path=OUT)
    assert (evaluation.kind, evaluation.batch_size, evaluation.output_path) == ("evaluation", 8, str(OUT))
    assert (evaluation.reducer, evaluation.top_count) == ("top_k", 3)
    assert (evaluation.score_threshold, evaluation.output_quota_bytes) == (0.25, 77)
    energy = block_for(plan, artifact, result_pb2.PASS_ENERGY, paths=where, output_path=OUT)
    assert (energy.kind, energy.energy_window_ms) == ("energy", 5000)


@pytest.mark.parametrize("reducer", [r for r in plan_pb2.Reducer.values() if r != plan_pb2.REDUCER_UNSPECIFIED])
def test_every_reducer_of_the_wire_has_a_name_for_the_worker(reducer: plan_pb2.Reducer.ValueType) -> None:
    plan = plan_of(b"m", evaluation=b"d")
    plan.evaluation.reducer = reducer
    block = block_for(plan, plan.artifacts[0], result_pb2.PASS_EVALUATION, paths=paths(b"m", b"d"), output_path=OUT)
    assert f"REDUCER_{block.reducer.upper()}" == plan_pb2.Reducer.Name(reducer)


def test_what_was_measured_reaches_the_wire_and_what_was_not_stays_unset() -> None:
    artifact = plan_of(b"m").artifacts[0]
    result = WorkerResult(
        runtime_version="1.2",
        providers=("CPU", "GPU"),
        placements={"CPU": 2, "GPU": None},
        model_load_ns=0,
        latency_ns=(5, 6),
        memory_phases={"loaded": {"resident_bytes": 10, "file_bytes": 0}},
        peak_resident_bytes=20,
        peak_source="VmHWM",
        notes=("from the worker",),
        sample_count=2,
        warmup_steady=False,
    )
    message = block_result(
        artifact,
        status=BlockStatus.OK,
        reason="",
        message="",
        started_at_unix_ns=1_500_000_000_000_000_001,
        wall_ns=3,
        result=result,
        notes=["from the supervisor"],
        readings=[DEGREES],
        outputs=OutputsBlob(digest="f" * 64, size_bytes=4),
    )
    assert message.status == result_pb2.BLOCK_STATUS_OK
    assert not message.HasField("error")
    assert list(message.latency_ns) == [5, 6]
    assert message.HasField("model_load_ns")
    assert not message.HasField("first_inference_ns")
    assert message.HasField("warmup_steady")
    phase = message.memory.phases[0]
    assert (phase.name, phase.resident_bytes, phase.HasField("file_bytes")) == ("loaded", 10, True)
    assert not phase.HasField("shared_bytes")
    assert list(message.notes) == ["from the supervisor", "from the worker"]
    assert message.readings[0].value == 41.5
    assert [(one.provider, one.node_count) for one in message.placements] == [("CPU", 2), ("GPU", 0)]
    assert [one.HasField("node_count") for one in message.placements] == [True, False]
    assert (message.outputs_digest, message.outputs_size_bytes) == ("f" * 64, 4)
    assert message.started_at.ToNanoseconds() == 1_500_000_000_000_000_001
    assert (message.label, message.artifact_digest) == ("a", digest_of(b"m"))


@pytest.mark.parametrize("status", [status for status in BlockStatus if status is not BlockStatus.OK])
def test_every_bad_end_has_its_status_its_reason_and_its_sentence(status: BlockStatus) -> None:
    message = block_result(
        plan_of(b"m").artifacts[0],
        status=status,
        reason="why",
        message="x" * 5000,
        started_at_unix_ns=0,
        wall_ns=0,
    )
    assert result_pb2.BlockStatus.Name(message.status) == f"BLOCK_STATUS_{status.value}"
    assert (message.error.reason, len(message.error.message)) == ("why", 4000)


FINITE = st.floats(allow_nan=False)
MEASURED = st.builds(
    Reading,
    name=st.text(min_size=1),
    value=FINITE,
    status=st.sampled_from([Status.MEASURED, Status.ESTIMATED]),
    source=st.text(),
    scope=st.sampled_from(Scope),
    unit=st.text(),
    kind=st.sampled_from(Kind),
    reason=st.text(),
    resolution=st.none() | FINITE,
    rate_hz=st.none() | FINITE,
)


@given(MEASURED)
def test_a_reading_keeps_every_field_on_the_wire(reading: Reading) -> None:
    message = common_pb2.Reading.FromString(reading_message(reading).SerializeToString())
    assert (message.name, message.value, message.source, message.unit, message.reason) == (
        reading.name,
        reading.value,
        reading.source,
        reading.unit,
        reading.reason,
    )
    assert common_pb2.ReadingStatus.Name(message.status) == f"READING_STATUS_{reading.status.value}"
    assert common_pb2.ReadingScope.Name(message.scope) == f"READING_SCOPE_{reading.scope.value}"
    assert common_pb2.ReadingKind.Name(message.kind) == f"READING_KIND_{reading.kind.value}"
    assert (message.resolution if message.HasField("resolution") else None) == reading.resolution
    assert (message.rate_hz if message.HasField("rate_hz") else None) == reading.rate_hz


def test_an_unavailable_reading_has_a_reason_and_no_value() -> None:
    nothing = unavailable("power", reason="no sensor", source="", scope=Scope.SYSTEM, unit="W", kind=Kind.SAMPLED)
    message = reading_message(nothing)
    assert not message.HasField("value")
    assert message.reason == "no sensor"


def test_a_description_keeps_what_the_device_said() -> None:
    device = DeviceDescription(
        device_id="id",
        name="pi",
        model="Pi 5",
        profile="raspberry-pi-5",
        architecture="aarch64",
        operating_system="Debian",
        kernel="6.12",
        processor="Cortex-A76",
        logical_core_count=4,
        processor_features=("asimddp",),
        memory_bytes=8 * 2**30,
        python_version="3.11",
        runtimes=(
            RuntimeDescription(name="onnxruntime", version="1.2", providers=("CPU",), reason="CUDA: no driver"),
            RuntimeDescription(name="litert", reason="not installed"),
        ),
        meters=(DEGREES,),
        least_energy_window_ms=31_500,
        core_groups=(CoreGroup(name="all", core_ids=(0, 3), capacity=1024, features=("asimddp", "i8mm")),),
    )
    message = description_message(device)
    (group,) = message.core_groups
    assert (list(group.core_ids), group.capacity, list(group.features)) == ([0, 3], 1024, ["asimddp", "i8mm"])
    assert not group.HasField("max_frequency_hz")
    assert (message.name, message.logical_core_count, list(message.processor_features)) == ("pi", 4, ["asimddp"])
    assert [(one.name, one.reason) for one in message.runtimes] == [("onnxruntime", ""), ("litert", "not installed")]
    assert message.meters[0].name == "cpu_temperature"
    assert message.least_energy_window_ms == 31_500


def test_a_description_fits_a_hello_whatever_environments_the_device_has() -> None:
    absent = tuple((f"Provider{index}", "not in the installed build " * 50) for index in range(20))
    runtimes = tuple(
        RuntimeDescription(
            name="onnxruntime", version="1.2", providers=("CPU",), environment=name, unusable_providers=absent
        )
        for name in ("", *(f"env{index}" for index in range(30)))
    )
    device = DeviceDescription(
        device_id="id",
        name="pi",
        model="",
        profile="",
        architecture="",
        operating_system="",
        kernel="",
        processor="",
        logical_core_count=4,
        processor_features=(),
        memory_bytes=1,
        python_version="",
        runtimes=runtimes,
        meters=(),
    )
    message = description_message(device)
    assert message.ByteSize() <= 32 * 1024
    assert [one.environment for one in message.runtimes] == [one.environment for one in runtimes]
    assert len(message.runtimes[0].unusable_providers) == 20
    assert not message.runtimes[-1].unusable_providers


def test_the_throttle_verdict_and_circumstances_of_a_block_travel() -> None:
    around = BlockSurroundings(
        throttle=ThrottleReport(verdict=ThrottleVerdict.YES, evidence=("it was hot",), not_looked_at=("denied",)),
        circumstances=(
            Circumstance(name="governor", value="ondemand"),
            Circumstance(name="power_mode", value=None, reason="nvpmodel is not installed"),
        ),
    )
    message = block_result(
        plan_of(b"m").artifacts[0],
        status=BlockStatus.OK,
        reason="",
        message="",
        started_at_unix_ns=1,
        wall_ns=2,
        around=around,
    )
    assert message.throttle.verdict == result_pb2.THROTTLE_VERDICT_YES
    assert (list(message.throttle.evidence), list(message.throttle.not_looked_at)) == (["it was hot"], ["denied"])
    told, refused = message.circumstances
    assert (told.name, told.value, told.reason) == ("governor", "ondemand", "")
    assert (refused.HasField("value"), refused.reason) == (False, "nvpmodel is not installed")


def test_a_block_whose_circumstances_nobody_looked_at_says_nothing_of_them() -> None:
    message = block_result(
        plan_of(b"m").artifacts[0], status=BlockStatus.OK, reason="", message="", started_at_unix_ns=1, wall_ns=2
    )
    assert not message.HasField("throttle")
    assert list(message.circumstances) == []
