"""The flags and the output that `measure` and `compare` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.energy_flags import ENERGY_FLAGS, energy_options
from steelyard.cli.gate_flags import GATE_FLAGS, gate_options
from steelyard.cli.mode_flags import MODE_FLAGS, mode_options, varied_axes
from steelyard.cli.numeric_flags import NUMERIC_FLAGS
from steelyard.cli.parameters import CORES, DURATION
from steelyard.cli.profile_flags import PROFILE_FLAGS
from steelyard.cli.run_flags import RUN_FLAGS, with_flags
from steelyard.cli.session import console, emit_json, say
from steelyard.cli.verdict_flags import VERDICT_FLAGS, verdict_options
from steelyard.cli.writing import write_text
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, EXIT_UNMET
from steelyard_protocol.v1 import control_pb2, measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

_OPTIONS = (
    click.option(
        "--device",
        metavar="NAME",
        help="Device to measure on: a name, or tag:TAG or pool:PROFILE for the first free one; this machine when none "
        "is named.",
    ),
    click.option("--local", is_flag=True, help="Measure this machine, also when CI is set."),
    click.option("--task", type=click.Path(path_type=Path), metavar="FILE", help="Labelled data: a .toml or an .npz."),
    click.option("--budget", type=DURATION, default="10m", show_default=True, help="Device time at most."),
    click.option("--min-rounds", type=click.IntRange(3, 1000), default=6, show_default=True, help="Before a verdict."),
    click.option("--max-rounds", type=click.IntRange(3, 1000), default=40, show_default=True, help="At most."),
    *RUN_FLAGS,
    click.option(
        "--graph-optimization",
        type=click.Choice(["disabled", "basic", "extended", "all"]),
        help="ONNX Runtime's level; its own default when left out.",
    ),
    click.option("--spinning/--no-spinning", default=None, help="Whether idle runtime threads spin."),
    click.option("--arena/--no-arena", default=None, help="ONNX Runtime's memory arena."),
    click.option("--sample-window", type=DURATION, default="200ms", show_default=True, help="Timed per block."),
    click.option(
        "--block-timeout", type=DURATION, default="60s", show_default=True, help="Without progress in a block, at most."
    ),
    click.option(
        "--memory-limit", type=click.IntRange(1, 2**30), metavar="MIB", help="Resident set of the measured process."
    ),
    click.option("--cores", type=CORES, metavar="big|little|0-3,6", help="Cores the measured process is pinned to."),
    click.option(
        "--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of drawn inputs and recipes."
    ),
    click.option(
        "--meter",
        "meters",
        multiple=True,
        metavar="URL",
        help="Power meter that the controller reads, as shelly:http://192.168.1.20; repeatable.",
    ),
    *ENERGY_FLAGS,
    *MODE_FLAGS,
    *GATE_FLAGS,
    *PROFILE_FLAGS,
    *VERDICT_FLAGS,
    *NUMERIC_FLAGS,
    click.option("--title", default="", help="What the report calls this; the model's name when left out."),
)
# Adds the flags of a measurement to a command.
measurement_options = with_flags(_OPTIONS)


def options_from(flags: Mapping[str, Any], *, requirements: Sequence[str] = ()) -> MeasurementOptions:
    """Return the options that the flags say."""
    memory_mib = flags["memory_limit"]
    return MeasurementOptions(
        requirements=tuple(requirements),
        budget_s=flags["budget"],
        min_round_count=min(flags["min_rounds"], flags["max_rounds"]),
        max_round_count=flags["max_rounds"],
        device_wait_s=flags["device_wait"],
        priority=flags["priority"],
        title=flags["title"],
        runtime=flags["runtime"],
        thread_count=flags["threads"],
        providers=flags["providers"],
        graph_optimization=flags["graph_optimization"] or "",
        spinning=flags["spinning"],
        arena=flags["arena"],
        allow_fallback=flags["allow_fallback"],
        input_shapes=dict(flags["shapes"]),
        sample_window_ms=round(flags["sample_window"] * 1000),
        block_timeout_s=flags["block_timeout"],
        memory_limit_bytes=memory_mib * 1024 * 1024 if memory_mib else None,
        cores=flags["cores"] or (),
        seed=flags["seed"],
        meters=flags["meters"],
        energy=energy_options(flags),
        gate=gate_options(flags),
        numeric_check=flags["numeric_check"],
        check_layers=flags["check_layers"],
        operators=flags["operators"],
        roofline=flags["roofline"],
        verdicts=verdict_options(flags),
        mode=mode_options(flags),
        batch_size=flags["batch"] or 0,
        vary=varied_axes(flags),
    )


def show_measurement(
    client: Client,
    measurements: Sequence[measurement_pb2.Measurement],
    *,
    as_json: bool,
    report_path: Path | None = None,
    as_comparison: bool = False,
    details: bool = False,
    job: control_pb2.Job | None = None,
) -> None:
    """Print measurements for people or programs, and write the HTML report when it was asked for.

    People are shown what decides, and how to see the rest; with ``details`` everything; of ``job`` its failed attempts.
    """
    from steelyard.report.plain import to_plain

    controller = client.controller()
    if report_path is not None:
        write_report(measurements, report_path, controller.controller_id)
    if as_json:
        payload = {
            "controller": to_plain(controller),
            "measurements": [to_plain(measurement) for measurement in measurements],
            "report": str(report_path) if report_path else None,
        }
        if job is not None:
            payload["job"] = to_plain(job)
        emit_json("measurement", payload)
        return
    from steelyard.report.terminal import render_attempts, render_comparison, render_measurement

    render = render_comparison if as_comparison else render_measurement
    out = console()
    for measurement in measurements:
        out.print(f"controller {controller.controller_id[:8]}, device {_identity(measurement)}", markup=False)
        out.print(render(measurement, details=details))
    if job is not None and job.failed_attempts:
        out.print(render_attempts(job))
    if report_path is not None:
        say(f"report: {report_path}")


def _identity(measurement: measurement_pb2.Measurement) -> str:
    device = measurement.device
    what = device.model or device.processor or device.architecture
    return f"{measurement.device_name} ({device.device_id[:8]}, {what})"


def write_report(measurements: Sequence[measurement_pb2.Measurement], path: Path, controller_id: str) -> None:
    """Write the self-contained HTML report, at once or not at all."""
    from datetime import datetime, timezone

    from steelyard.report.html import render_html

    text = render_html(measurements, generated_at=datetime.now(tz=timezone.utc), controller=controller_id)
    jobs = " ".join(measurement.job_id[:12] for measurement in measurements)
    next_step = f"what was measured is kept, and `steelyard report {jobs} -o FILE` writes it elsewhere"
    write_text(path, text, next_step=next_step)


def exit_code(measurement: measurement_pb2.Measurement) -> int:
    """Return what the shell should hear: requirements decide where there are any, else that all was measured."""
    kind = measurement.decision.kind
    required = any(variant.requirements for variant in measurement.variants)
    if kind == measurement_pb2.DECISION_KIND_UNMET:
        return EXIT_UNMET
    if required and kind in (measurement_pb2.DECISION_KIND_UNDECIDED, measurement_pb2.DECISION_KIND_INCOMPLETE):
        return EXIT_INCOMPLETE
    odd = measurement_pb2.NUMERIC_VERDICT_NOT_FINITE
    if any(variant.HasField("failure") or variant.numeric.verdict == odd for variant in measurement.variants):
        return EXIT_INCOMPLETE
    return EXIT_FINE
