"""Devices, artifacts with their lineage, and raw rounds, with seeded numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steelyard_protocol.v1 import common_pb2, control_pb2, result_pb2

MIB = 1024 * 1024
NO_SENSOR = "no sensor; looked at powercap, hwmon and power_supply"
STARTED_S = 1_790_000_000


def device() -> common_pb2.DeviceDescription:
    """Return a Raspberry Pi 5 as its agent describes it."""
    description = common_pb2.DeviceDescription(
        device_id="d3b07384d113edec49eaa6238ad5ff00",
        name="pi5-bench",
        model="Raspberry Pi 5 Model B Rev 1.0",
        profile="raspberry-pi-5",
        architecture="aarch64",
        operating_system="Debian GNU/Linux 12 (bookworm)",
        kernel="6.6.51+rpt-rpi-2712",
        processor="Cortex-A76",
        logical_core_count=4,
        processor_features=["asimd", "asimddp", "fphp"],
        memory_bytes=8 * 1024 * MIB,
        python_version="3.11.2",
    )
    description.runtimes.add(name="onnxruntime", version="1.32.0", providers=["CPUExecutionProvider"])
    description.runtimes.add(name="litert", reason="ai-edge-litert is not installed")
    description.meters.add(
        name="cpu_temperature",
        value=48.2,
        unit="Cel",
        status=common_pb2.READING_STATUS_MEASURED,
        source="/sys/class/thermal/thermal_zone0/temp",
    )
    description.meters.add(
        name="package_energy", unit="J", status=common_pb2.READING_STATUS_UNAVAILABLE, reason=NO_SENSOR
    )
    return description


def artifact(label: str = "original", *, parent: control_pb2.Artifact | None = None) -> control_pb2.Artifact:
    """Return an artifact; with a parent, a static int8 variant of it."""
    made = control_pb2.Artifact(
        digest=digest_of(label),
        name=f"fashion-resnet.{label}" if parent else "fashion-resnet",
        format=common_pb2.ARTIFACT_FORMAT_ONNX,
        size_bytes=382_871,
    )
    made.created_at.FromSeconds(STARTED_S - 60)
    image = made.signature.inputs.add(name="image", dtype="float32")
    image.dimensions.add(symbol="batch")
    for size in (1, 28, 28):
        image.dimensions.add(size=size)
    logits = made.signature.outputs.add(name="logits", dtype="float32")
    logits.dimensions.add(symbol="batch")
    logits.dimensions.add(size=10)
    if parent is not None:
        _give_lineage(made.lineage, parent)
    return made


def digest_of(label: str) -> str:
    """Return the digest that a variant of this label has in these messages."""
    return (label.encode().hex() * 64)[:64]


def rounds(count: int = 3, *, samples: int = 5, seed: int = 1) -> list[result_pb2.RoundResult]:
    """Return ``count`` latency rounds of two artifacts in ABBA order; in the last one the second block failed."""
    rng = np.random.default_rng(seed)
    results = []
    for index in range(count):
        result = result_pb2.RoundResult(
            job_id="job-7f3a", attempt=1, pass_kind=result_pb2.PASS_LATENCY, round_index=index, segment=index // 2
        )
        order = ("original", "static-int8") if index % 2 == 0 else ("static-int8", "original")
        for label in order:
            _add_block(result, label, rng.integers(500_000, 600_000, samples))
        results.append(result)
    del results[-1].blocks[1].latency_ns[:]
    results[-1].blocks[1].status = result_pb2.BLOCK_STATUS_CRASHED
    results[-1].blocks[1].error.message = "the worker died of SIGSEGV"
    results[-1].blocks[1].ClearField("memory")
    return results


def _add_block(result: result_pb2.RoundResult, label: str, latencies: Sequence[int]) -> None:
    block = result.blocks.add(
        artifact_digest=digest_of(label),
        label=label,
        status=result_pb2.BLOCK_STATUS_OK,
        model_load_ns=12_000_000,
        first_inference_ns=2_000_000,
        inner_batch_count=1,
        sample_count=len(latencies),
        memory=memory(60 * MIB),
        runtime_name="onnxruntime",
        runtime_version="1.32.0",
        providers=["CPUExecutionProvider"],
        wall_ns=400_000_000,
    )
    block.latency_ns.extend(int(value) for value in latencies)
    block.started_at.FromSeconds(STARTED_S)


def _give_lineage(lineage: control_pb2.Lineage, parent: control_pb2.Artifact) -> None:
    lineage.parent_digest = parent.digest
    lineage.recipe_name = "static-int8"
    lineage.recipe_toml = 'name = "static-int8"\n\n[[steps]]\nkind = "static-int8"\nper_channel = true\n'
    lineage.steps.add(
        kind="static-int8",
        settings_json='{"calibration": "minmax", "per_channel": true}',
        tool_versions=["onnxruntime 1.32.0", "onnx 1.23.2"],
    )
    lineage.calibration_digest = "cd" * 32
    lineage.calibration_sample_count = 500
    lineage.seed = 0
    lineage.duration_s = 6.4
    lineage.created_at.FromSeconds(STARTED_S - 60)


def memory(steady_bytes: int) -> result_pb2.MemoryProfile:
    profile = result_pb2.MemoryProfile(peak_resident_bytes=steady_bytes + 2 * MIB, peak_source="VmHWM after clear_refs")
    growth = steady_bytes - 42 * MIB
    for name, share in (("imported", 0.0), ("loaded", 0.6), ("first_run", 0.97), ("steady", 1.0)):
        file_bytes = 24 * MIB
        anonymous = int(18 * MIB + growth * share)
        profile.phases.add(
            name=name,
            resident_bytes=anonymous + file_bytes,
            anonymous_bytes=anonymous,
            file_bytes=file_bytes,
            shared_bytes=0,
        )
    return profile
