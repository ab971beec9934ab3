"""The environment of a point: what may have changed when its series did, as a flat table of texts."""

from __future__ import annotations

import hashlib

from steelyard.family import models_read
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2, plan_pb2

# Read in every round and different in each; figures, not settings.
_NOT_SETTINGS = frozenset({"emulated_by"})


def environment_of(
    measurement: measurement_pb2.Measurement,
    variant: measurement_pb2.VariantMeasurement,
    artifact: control_pb2.Artifact,
    *,
    agent_version: str,
) -> dict[str, str]:
    """Return what a variant was measured under; entries that are not known are left out.

    Circumstances of the device (governor, power_mode, allowed_cores and the like) stand under their own names.
    """
    told = {
        **_of_device(measurement.device),
        "agent": agent_version,
        **_of_runtime(variant),
        **_of_artifact(artifact),
        "task": measurement.task_id[:12],
    }
    for one in measurement.circumstances:
        if one.HasField("value") and one.name not in _NOT_SETTINGS:
            told[one.name] = one.value
    return {name: value for name, value in told.items() if value}


def _of_device(device: common_pb2.DeviceDescription) -> dict[str, str]:
    identity = device.identity
    return {
        "os": device.operating_system,
        "kernel": device.kernel,
        "firmware": identity.tegra_release or identity.android_version,
        "processor": device.processor,
        "board": device.model or device.profile,
        "python": device.python_version,
        "emulated_by": device.emulated_by,
        "memory_bytes": str(device.memory_bytes or ""),
    }


def _of_runtime(variant: measurement_pb2.VariantMeasurement) -> dict[str, str]:
    runtime = variant.runtime
    name = f"{runtime.name}@{runtime.environment}" if runtime.environment else runtime.name
    return {
        "runtime": name,
        "runtime_version": variant.runtime_version,
        "providers": ", ".join(variant.providers),
        "threads": str(runtime.intra_op_thread_count) if runtime.HasField("intra_op_thread_count") else "",
        "runtime_options": _options(runtime),
    }


def _options(runtime: plan_pb2.RuntimeSpec) -> str:
    told = [f"{name}={value}" for name, value in sorted(runtime.options.items())]
    if runtime.graph_optimization:
        told.append(
            plan_pb2.GraphOptimization.Name(runtime.graph_optimization).removeprefix("GRAPH_OPTIMIZATION_").lower()
        )
    switches = {"spinning": runtime.spinning, "arena": runtime.arena}
    told += [f"{name}={'on' if value else 'off'}" for name, value in switches.items() if runtime.HasField(name)]  # type: ignore[arg-type]
    return ", ".join(told)


def _of_artifact(artifact: control_pb2.Artifact) -> dict[str, str]:
    lineage = artifact.lineage
    told = {"artifact": artifact.digest}
    if not artifact.HasField("lineage"):
        return told
    steps = "\n".join(f"{step.kind} {step.settings_json}" for step in lineage.steps)
    tools = sorted({tool for step in lineage.steps for tool in step.tool_versions})
    read = ", ".join(f"{one.name} ({one.digest[:8]})" for one in models_read(lineage))
    return {
        **told,
        **({"models": read} if read else {}),
        "recipe": f"{lineage.recipe_name} ({hashlib.sha256(steps.encode()).hexdigest()[:8]})",
        "parent": lineage.parent_digest,
        "tools": ", ".join(tools),
    }
