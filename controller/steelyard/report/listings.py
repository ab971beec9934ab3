"""Devices, jobs and artifacts on a terminal: renderables for rich; nothing is printed here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from google.protobuf import timestamp_pb2
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from steelyard.family import models_read
from steelyard.report.device_health import concerns, health_facts, rule_facts
from steelyard.report.long_names import LongName
from steelyard.report.shapes import shape_text
from steelyard.stats.formatting import format_value
from steelyard_protocol.v1 import common_pb2, control_pb2

_SHORT_DIGEST = 12
# As many as the first line of a result shows.
_SHORT_ID = 8
_FAILED_STATES = frozenset(
    {
        control_pb2.JOB_STATE_USER_ERROR,
        control_pb2.JOB_STATE_AGENT_ERROR,
        control_pb2.JOB_STATE_DEVICE_LOST,
        control_pb2.JOB_STATE_TIMEOUT,
        control_pb2.JOB_STATE_INVALID,
    }
)


def render_devices(devices: Sequence[control_pb2.Device], *, now: dt.datetime) -> RenderableType:
    """Return the devices as a table; ``now`` (with a time zone) is what "seen" counts from."""
    if not devices:
        return Text("no device has connected yet; bring one by: steelyard deploy ssh://USER@HOST")
    # A column that is empty for a shelf in order is left out.
    with_notes = any(device.tags or concerns(device) for device in devices)
    table = _table("name", "id", "state", "model", "runtimes", "seen", *(("notes",) if with_notes else ()))
    for device in devices:
        description = device.description
        notes = "; ".join([*([", ".join(device.tags)] if device.tags else []), *concerns(device)])
        table.add_row(
            Text(description.name),
            Text(description.device_id[:_SHORT_ID]),
            device_state(device),
            Text(_what_it_is(description)),
            Text(", ".join(_named(one) for one in description.runtimes if one.version) or "none"),
            Text(seen_text(device, now)),
            *((Text(notes),) if with_notes else ()),
        )
    return table


def render_device(device: control_pb2.Device, *, now: dt.datetime) -> RenderableType:
    """Return one device in full: what it is, what it runs, what it can measure and why it cannot measure the rest."""
    description = device.description
    if device.standing and not device.agent_version:
        name = ("device", f"{description.name} ({description.device_id})")
        return Group(
            device_state(device),
            _facts([name, ("agent", "enrolled, has not connected yet"), *_standing(device), *rule_facts(device)]),
        )
    facts = [
        ("device", f"{description.name} ({description.device_id})"),
        ("model", description.model or "the device does not say"),
        ("profile", description.profile or "none matched"),
        (
            "processor",
            f"{description.processor or description.architecture}, {description.logical_core_count} logical cores",
        ),
        *(
            ("cores", _core_group(one, description))
            for one in description.core_groups
            if len(description.core_groups) > 1
        ),
        ("features", ", ".join(description.processor_features) or "none known"),
        ("memory", format_value(description.memory_bytes, "B") if description.memory_bytes else "not known"),
        ("free disk", format_value(device.free_disk_bytes, "B") if device.free_disk_bytes else "not known"),
        ("system", f"{description.operating_system}, {description.kernel}, {description.architecture}"),
        ("agent", _agent(device)),
        ("seen", seen_text(device, now)),
        *_standing(device),
        *health_facts(device),
        *rule_facts(device),
    ]
    if description.emulated_by:
        facts.insert(2, ("emulated by", f"{description.emulated_by}: no figure of time is shown"))
    for runtime in description.runtimes:
        facts.append(("runtime", _runtime(runtime)))
        facts += [("", f"not usable: {text}") for text in _unusable(runtime)]
    facts += [("meter", _meter(meter)) for meter in description.meters]
    return Group(device_state(device), _facts(facts))


def render_jobs(jobs: Sequence[control_pb2.Job], *, now: dt.datetime) -> RenderableType:
    """Return the jobs as a table, with the sentence of each failure under it."""
    if not jobs:
        return Text("no job was submitted yet")
    table = _table("job", "kind", "what", "device", "state", "created")
    errors = []
    for job in jobs:
        name = control_pb2.JobState.Name(job.state).removeprefix("JOB_STATE_")
        kind = control_pb2.JobKind.Name(job.kind).removeprefix("JOB_KIND_").lower()
        style = "red" if job.state in _FAILED_STATES else ""
        age = age_text(job.created_at, now) if job.HasField("created_at") else ""
        table.add_row(
            Text(job.job_id[:_SHORT_DIGEST]),
            Text(kind),
            LongName(job.title),
            Text(job.device),
            Text(name, style=style),
            Text(age),
        )
        if job.error.message:
            errors.append(Text(f"{job.job_id[:_SHORT_DIGEST]}: {job.error.message}", style="red"))
    return Group(table, *errors)


def render_attempts(job: control_pb2.Job) -> RenderableType:
    """Return a line for each attempt that failed and was made again."""
    lines = [
        Text(f"attempt {one.attempt} failed ({one.error.reason}): {one.error.message}", style="yellow")
        for one in job.failed_attempts
    ]
    return Group(*lines)


def render_artifacts(artifacts: Sequence[control_pb2.Artifact]) -> RenderableType:
    """Return the artifacts as a table."""
    if not artifacts:
        return Text("no model was added yet; steelyard compress MODEL or steelyard measure MODEL adds one")
    names = {artifact.digest: artifact.name for artifact in artifacts}
    table = _table("name", "digest", "format", "size", "made from")
    for artifact in artifacts:
        made_from = ""
        if artifact.HasField("lineage"):
            parent = artifact.lineage.parent_digest
            made_from = f"{names.get(parent, parent[:_SHORT_DIGEST])} by {artifact.lineage.recipe_name}"
        table.add_row(
            LongName(artifact.name),
            Text(artifact.digest[:_SHORT_DIGEST]),
            Text(common_pb2.ArtifactFormat.Name(artifact.format).removeprefix("ARTIFACT_FORMAT_").lower()),
            Text(format_value(artifact.size_bytes, "B")),
            LongName(made_from),
        )
    return table


def render_variants(variants: Sequence[control_pb2.Artifact]) -> RenderableType:
    """Return variants as a table: the sizes, and what each scored on the controller."""
    from steelyard.report.lineage import evaluation_text

    table = _table("name", "digest", "size", "deflated", "score")
    for one in variants:
        last = one.lineage.steps[-1] if one.lineage.steps else control_pb2.LineageStep()
        table.add_row(
            LongName(one.name),
            Text(one.digest[:_SHORT_DIGEST]),
            Text(format_value(one.size_bytes, "B")),
            Text(format_value(last.output_deflated_bytes, "B") if last.output_deflated_bytes else ""),
            Text(f"{last.evaluation.metric} {evaluation_text(last.evaluation)}" if last.HasField("evaluation") else ""),
        )
    return table


def render_artifact(artifact: control_pb2.Artifact) -> tuple[RenderableType, ...]:
    """Return one artifact in full: what it is, what goes in and out, and each step that made it."""
    facts = [
        ("name", artifact.name),
        ("digest", artifact.digest),
        ("format", common_pb2.ArtifactFormat.Name(artifact.format).removeprefix("ARTIFACT_FORMAT_").lower()),
        ("size", format_value(artifact.size_bytes, "B")),
        *(("input", f"{spec.name}: {shape_text(spec)}") for spec in artifact.signature.inputs),
        *(("output", f"{spec.name}: {shape_text(spec)}") for spec in artifact.signature.outputs),
    ]
    if artifact.HasField("lineage"):
        lineage = artifact.lineage
        facts += [("made from", lineage.parent_digest), ("recipe", lineage.recipe_name)]
        facts += [("step", f"{one.kind} {one.settings_json} ({', '.join(one.tool_versions)})") for one in lineage.steps]
        facts += [("read", f"{one.name}, {one.digest}") for one in models_read(lineage)]
        if lineage.calibration_digest:
            calibration = f"{lineage.calibration_sample_count} samples, {lineage.calibration_digest}"
            facts.append(("calibrated on", calibration))
        if lineage.training_digest:
            facts.append(("trained on", f"{lineage.training_sample_count} samples, {lineage.training_digest}"))
        facts.append(("seed", str(lineage.seed)))
    return (_facts(facts),)


def hanging(mark: str, text: str, style: str = "") -> RenderableType:
    """Return a paragraph whose further lines stand under its first word."""
    grid = Table.grid()
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(mark, style=style), Text(text, style=style))
    return grid


def plain_table(*, title: str | None = None) -> Table:
    """Return an empty table in the style of every table here: a rule under the head and nothing else."""
    return Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        title=title,
        title_style="bold",
        title_justify="left",
    )


def _table(*head: str) -> Table:
    table = plain_table()
    for name in head:
        table.add_column(name, overflow="fold")
    return table


def _facts(facts: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for term, text in facts:
        grid.add_row(term, Text(text))
    return grid


def _what_it_is(description: common_pb2.DeviceDescription) -> str:
    name = description.model or description.processor or description.architecture
    return f"{name} (emulated)" if description.emulated_by else name


def device_state(device: control_pb2.Device) -> Text:
    """Return in a word what a device does, or why it does nothing."""
    if device.standing in {"suspended", "removed"}:
        return Text(device.standing, style="red")
    if device.quarantined_because:
        return Text("quarantined", style="red")
    if device.draining:
        return Text("draining" if device.online and device.running_job_id else "drained", style="yellow")
    if not device.online:
        return Text("offline", style="dim")
    return Text(device.activity or "online", style="green")


def _standing(device: control_pb2.Device) -> list[tuple[str, str]]:
    facts = [("tags", ", ".join(device.tags))] if device.tags else []
    if device.HasField("certificate_not_after"):
        end = device.certificate_not_after.ToDatetime(tzinfo=dt.timezone.utc)
        facts.append(("certificate", f"until {end.astimezone():%Y-%m-%d %H:%M}"))
    return facts


def _agent(device: control_pb2.Device) -> str:
    # A phone on a cable runs no Python.
    python = device.description.python_version
    return f"{device.agent_version or 'unknown version'}{f', Python {python}' if python else ''}"


def _core_group(group: common_pb2.CoreGroup, device: common_pb2.DeviceDescription) -> str:
    ids = ", ".join(map(str, group.core_ids))
    clock = f" (up to {group.max_frequency_hz / 1e6:.0f} MHz)" if group.HasField("max_frequency_hz") else ""
    own = [name for name in group.features if name not in device.processor_features]
    return f"{group.name}: {ids}{clock}{', also ' if own else ''}{', '.join(own)}"


def _runtime(runtime: common_pb2.RuntimeDescription) -> str:
    if not runtime.version:
        return f"{_named(runtime)}: not usable ({runtime.reason or 'no reason was given'})"
    compiling = set(runtime.compiling_providers)
    names = [f"{name} (compiles)" if name in compiling else name for name in runtime.providers]
    return f"{_named(runtime)} ({', '.join(names)})" if names else _named(runtime)


def _named(runtime: common_pb2.RuntimeDescription) -> str:
    """Return "onnxruntime 1.32.0", for another environment than the agent's as --runtime takes it: "…@tflite 2.14"."""
    environment = f"@{runtime.environment}" if runtime.environment else ""
    return f"{runtime.name}{environment} {runtime.version}".strip()


def _unusable(runtime: common_pb2.RuntimeDescription) -> list[str]:
    """Return the providers that cannot be used by their reason, cut before what would have to be installed."""
    groups: dict[str, list[str]] = {}
    for one in runtime.unusable_providers:
        groups.setdefault(one.reason.partition(";")[0], []).append(one.name.removesuffix("ExecutionProvider"))
    return [f"{', '.join(names)} ({reason})" for reason, names in groups.items()]


def _meter(meter: common_pb2.Reading) -> str:
    name = meter.name.replace("_", " ")
    if not meter.HasField("value"):
        return f"{name}: unavailable ({meter.reason or 'no reason was given'})"
    # "Cel" is UCUM's code; people know the degree sign.
    unit = "\N{DEGREE SIGN}C" if meter.unit == "Cel" else meter.unit
    # Clocks are all that is told in Hz.
    value, unit = (meter.value / 1e6, "MHz") if unit == "Hz" else (meter.value, unit)
    return f"{name}: {value:.4g} {unit} ({meter.source or 'source not named'})"


def seen_text(device: control_pb2.Device, now: dt.datetime) -> str:
    """Return how long ago a device last spoke, "never" for one that has enrolled and did not connect yet."""
    has_connected = bool(device.agent_version) and device.HasField("last_seen")
    return age_text(device.last_seen, now) if has_connected else "never"


def age_text(at: timestamp_pb2.Timestamp, now: dt.datetime) -> str:
    """Return how long ago something was: "3 min ago"."""
    seconds = max(0, int(now.timestamp()) - at.seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
