"""Which runtime measures a model that nobody named one for: what its device has for that format."""

from __future__ import annotations

from collections.abc import Sequence

from steelyard_protocol.v1 import common_pb2, plan_pb2

# In order of preference; the first is assumed of a device that has said nothing yet.
_RUNTIMES_OF_FORMAT = {
    common_pb2.ARTIFACT_FORMAT_ONNX: ("onnxruntime",),
    common_pb2.ARTIFACT_FORMAT_TFLITE: ("litert", "tflite-runtime", "benchmark_model"),
}


def fill_in_runtime(planned: plan_pb2.PlannedArtifact, described: Sequence[common_pb2.RuntimeDescription]) -> None:
    """Name the runtime of an artifact whose plan names none, from those that its device described."""
    runtime = planned.runtime
    if runtime.name:
        return
    known = _RUNTIMES_OF_FORMAT.get(planned.format, ("",))
    usable = [one for one in described if one.version and not one.reason]
    for name in known:
        # Of several environments the agent's own comes first, as the device lists it first.
        found = next((one for one in usable if one.name == name and _fits(one, runtime)), None)
        if found is not None:
            runtime.name, runtime.environment = found.name, found.environment
            return
    runtime.name = known[0]


def _fits(described: common_pb2.RuntimeDescription, runtime: plan_pb2.RuntimeSpec) -> bool:
    return not runtime.environment or runtime.environment == described.environment
