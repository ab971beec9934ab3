"""The roofline probe in a plan: asked for by a client, spelled out by the controller."""

from __future__ import annotations

import asyncio

from steelyard.control.probe_models import ProbeFile, float_product, int8_product
from steelyard.store.blobs import BlobStore
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

_PROBE_WINDOW_MS = 200
# The runtimes that read the generated models, and whether each multiplies whole numbers as such: OpenVINO turns a
# MatMulInteger into one of floats.
_READS_PROBES = {"onnxruntime": True, "openvino": False}
_MOST_MODELS = 8


async def complete_roofline(blobs: BlobStore, request: control_pb2.SubmitMeasurementRequest) -> None:
    """Spell out the roofline probe where one is asked for: threads, and models for the runtimes of the plan.

    Raises:
        BlobError: the models cannot be stored.
    """
    plan = request.plan
    plan.ClearField("roofline")
    if not request.probe_roofline:
        return
    first = plan.artifacts[0].runtime
    plan.roofline.window_ms = _PROBE_WINDOW_MS
    plan.roofline.thread_count = first.intra_op_thread_count or 1
    runtimes = _distinct_runtimes(plan)
    says_threads = len({one.intra_op_thread_count for one in runtimes}) > 1
    for runtime in runtimes:
        # Made in a thread: they take longer than an event loop may stand still.
        for file in await asyncio.to_thread(_files, takes_integers=_READS_PROBES[runtime.name]):
            if len(plan.roofline.models) < _MOST_MODELS:
                await asyncio.to_thread(_add, plan, blobs, runtime, file, says_threads=says_threads)


def roofline_digests(plan: plan_pb2.Plan) -> frozenset[str]:
    """Return the blobs that the probe of a plan needs."""
    return frozenset(model.artifact_digest for model in plan.roofline.models)


def _distinct_runtimes(plan: plan_pb2.Plan) -> list[plan_pb2.RuntimeSpec]:
    """Return the runtimes of the plan that read ONNX, each once; the probe runs in the first one's environment."""
    environment = plan.artifacts[0].runtime.environment
    found: dict[bytes, plan_pb2.RuntimeSpec] = {}
    for planned in plan.artifacts:
        runtime = planned.runtime
        is_onnx = planned.format == common_pb2.ARTIFACT_FORMAT_ONNX
        if is_onnx and runtime.name in _READS_PROBES and runtime.environment == environment:
            found.setdefault(runtime.SerializeToString(deterministic=True), runtime)
    return list(found.values())


def _files(*, takes_integers: bool) -> list[ProbeFile]:
    return [float_product(), int8_product()] if takes_integers else [float_product()]


def _add(
    plan: plan_pb2.Plan, blobs: BlobStore, runtime: plan_pb2.RuntimeSpec, file: ProbeFile, *, says_threads: bool
) -> None:
    threads = runtime.intra_op_thread_count or 1
    plan.roofline.models.add(
        name=f"{file.name} by {runtime.name}"
        + (f" on {threads} thread{'s' if threads > 1 else ''}" if says_threads else ""),
        artifact_digest=blobs.put_bytes(file.content),
        size_bytes=len(file.content),
        mac_count=file.mac_count,
        runtime=runtime,
    )
