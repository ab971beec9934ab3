"""What `advise` looks at: the model's file, the device, the runtime, and times that were measured before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steelyard.cli.follow import follow
from steelyard.cli.operators import profile_options
from steelyard.errors import IncompleteError
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

if TYPE_CHECKING:
    from steelyard.advice.facts import MeasuredTimes, Situation
    from steelyard.control.client import Client

# Each job that is looked at is computed anew from its rounds.
_MOST_JOBS = 20

FindTimes = Callable[
    ["Client", control_pb2.Artifact, control_pb2.Device, str, Mapping[str, Any]], "MeasuredTimes | None"
]


def situation_of(
    client: Client,
    artifact: control_pb2.Artifact,
    device: control_pb2.Device,
    *,
    task: control_pb2.Task | None,
    flags: Mapping[str, Any],
    find_times: FindTimes,
) -> Situation:
    """Return all that advice on an artifact for a device follows from."""
    from steelyard.advice.facts import Situation
    from steelyard.advice.messages import device_facts
    from steelyard.advice.reading import read_model, steps_for

    model_format = common_pb2.ArtifactFormat.Name(artifact.format).removeprefix("ARTIFACT_FORMAT_").lower()
    with tempfile.TemporaryDirectory(prefix="steelyard-advise-") as folder:
        path = Path(folder) / f"model.{model_format}"
        path.write_bytes(client.download(artifact.digest))
        model = read_model(path, name=artifact.name, model_format=model_format, input_shapes=dict(flags["shapes"]))
    runtime = _runtime(artifact, device.description, flags["runtime"])
    return Situation(
        model=model,
        device=device_facts(device.description),
        runtime=runtime,
        provider=_provider(flags["providers"]),
        step_kinds=steps_for(model_format),
        has_calibration=task is not None and bool(task.calibration_digest),
        times=find_times(client, artifact, device, runtime, flags),
    )


def earlier_times(
    client: Client,
    artifact: control_pb2.Artifact,
    device: control_pb2.Device,
    runtime: str,
    _flags: Mapping[str, Any],
) -> MeasuredTimes | None:
    """Return the times that the newest measurement with a profile of this artifact on this device told."""
    from steelyard.advice.messages import measured_times

    names = {device.description.name, device.description.device_id}
    jobs = [
        job
        for job in client.jobs()
        if job.kind == control_pb2.JOB_KIND_MEASUREMENT
        and job.state == control_pb2.JOB_STATE_RECORDED
        and job.device in names
    ]
    for job in jobs[:_MOST_JOBS]:
        plan = _plan_of(client, job.job_id)
        if plan.HasField("operators") and any(one.artifact_digest == artifact.digest for one in plan.artifacts):
            times = measured_times(client.measurement(job.job_id).measurement, artifact.digest, runtime=runtime)
            if times is not None:
                return times
    return None


def _plan_of(client: Client, job_id: str) -> plan_pb2.Plan:
    try:
        return client.measurement_record(job_id).request.plan
    except IncompleteError:
        # Its samples were removed; what it found is left.
        return client.measurement(job_id).measurement.plan


def profile_now(
    client: Client,
    artifact: control_pb2.Artifact,
    device: control_pb2.Device,
    runtime: str,
    flags: Mapping[str, Any],
) -> MeasuredTimes | None:
    """Profile the artifact on the device, and return the times; None where the runtime has no profiler."""
    from steelyard.advice.messages import measured_times

    handle = client.measure([artifact], device=device.description.name, options=profile_options(flags, roofline=False))
    follow(handle, f"layers of {artifact.name} on {device.description.name}")
    return measured_times(handle.measurement(), artifact.digest, runtime=runtime)


def _runtime(artifact: control_pb2.Artifact, device: common_pb2.DeviceDescription, given: str) -> str:
    """Return the runtime that a measurement would take."""
    from steelyard.control.default_runtime import fill_in_runtime

    planned = plan_pb2.PlannedArtifact(format=artifact.format)
    planned.runtime.name = given.partition("@")[0]
    fill_in_runtime(planned, device.runtimes)
    return str(planned.runtime.name)


def _provider(given: tuple[str, ...]) -> str:
    """Return the provider that is asked first, without its options; a delegate is its file."""
    first = given[0] if given else ""
    return first if first.startswith("delegate:") else first.partition(":")[0]
