"""`steelyard operators`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.follow import follow
from steelyard.cli.gate_flags import GATE_FLAGS, gate_options
from steelyard.cli.models import resolve_model
from steelyard.cli.run_flags import RUN_FLAGS, with_flags
from steelyard.cli.session import choose_device, connected, console, emit_json
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, UsageError

if TYPE_CHECKING:
    from steelyard.control.plans import MeasurementOptions
    from steelyard.layers.contract import LayerTable
    from steelyard_protocol.v1 import measurement_pb2

# The fewest that an interval can be had from: what is asked for here is the profile.
_ROUND_COUNT = 3


@click.command()
@click.argument("model", metavar="MODEL")
@click.option("--device", metavar="NAME", help="Device to profile on; this machine when none is named.")
@click.option("--local", is_flag=True, help="Profile on this machine, also when CI is set.")
@click.option("--no-run", is_flag=True, help="Only count the layers of the file, without a device.")
@click.option("--top", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Longest operators shown.")
@click.option("--all", "show_all", is_flag=True, help="Show every operator.")
@with_flags((*RUN_FLAGS, *GATE_FLAGS))
@click.pass_context
def operators(ctx: click.Context, /, model: str, **flags: Any) -> None:
    """Show what each operator of a model takes on a device, where it runs, and what it multiplies.

    The runtime's own profiler is on, in a run of its own; three short rounds without it give the latency, and a probe
    of some seconds what the device can do at most. With --no-run the layers of the model's file are counted.

    \b
    Examples:
      steelyard operators model.onnx --device pi5
      steelyard operators model.tflite --local --all
      steelyard operators model.onnx --no-run --json
    """
    top = 0 if flags["show_all"] else flags["top"]
    if flags["no_run"]:
        _show_layers(Path(model), dict(flags["shapes"]), top=top, as_json=flags["as_json"])
        return
    device = choose_device(ctx, flags["device"], local=flags["local"])
    with connected(ctx) as client:
        artifact = resolve_model(client, model)
        handle = client.measure([artifact], device=device, options=profile_options(flags, roofline=True))
        follow(handle, f"{artifact.name} on {device}")
        measurement = handle.measurement()
    _show(measurement, top=top, as_json=flags["as_json"])
    ctx.exit(EXIT_FINE if measurement.variants[0].operators.operators else EXIT_INCOMPLETE)


def profile_options(flags: Mapping[str, Any], *, roofline: bool) -> MeasurementOptions:
    """Return the options of a measurement that is there for its profile; ``roofline`` probes what the device can do."""
    from steelyard.control.plans import MeasurementOptions

    return MeasurementOptions(
        min_round_count=_ROUND_COUNT,
        max_round_count=_ROUND_COUNT,
        device_wait_s=flags["device_wait"],
        priority=flags["priority"],
        runtime=flags["runtime"],
        thread_count=flags["threads"],
        providers=flags["providers"],
        allow_fallback=flags["allow_fallback"],
        input_shapes=dict(flags["shapes"]),
        gate=gate_options(flags),
        operators=True,
        roofline=roofline,
    )


def _show(measurement: measurement_pb2.Measurement, *, top: int, as_json: bool) -> None:
    from steelyard.report.operators import operator_report
    from steelyard.report.plain import to_plain

    if as_json:
        (variant,) = measurement.variants
        payload = {
            "job_id": measurement.job_id,
            "device": measurement.device_name,
            "model": variant.name,
            "runtime": to_plain(variant.runtime),
            "runtime_version": variant.runtime_version,
            "p50_latency": to_plain(variant.p50_latency),
            "operators": to_plain(variant.operators),
            "roofline": [to_plain(rate) for rate in measurement.roofline],
        }
        emit_json("operators", payload)
        return
    console().print(operator_report(measurement, top=top))


def _show_layers(path: Path, shapes: dict[str, tuple[int, ...]], *, top: int, as_json: bool) -> None:
    from steelyard.layers.read import read_layers
    from steelyard.report.layers import layer_report, plain_layers

    if not path.is_file():
        raise UsageError(
            "no_such_file", f"there is no model file {str(path)!r}: --no-run reads a file, not a stored model"
        )
    table: LayerTable = read_layers(path, input_shapes=shapes)
    if as_json:
        emit_json("layers", {"model": path.name, **plain_layers(table)})
        return
    console().print(layer_report(path.name, table, top=top))
