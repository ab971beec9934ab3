"""`steelyard measure`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from steelyard.cli.extending import EXTEND_FLAG, extend, refuse_what_is_settled
from steelyard.cli.follow import follow
from steelyard.cli.measuring import exit_code, measurement_options, options_from, show_measurement
from steelyard.cli.models import make_variants, resolve_model
from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.reader import reader_may_leave
from steelyard.cli.session import choose_device, connected
from steelyard.control.measurement_request import StepMeasuring
from steelyard.errors import UsageError


@click.command()
@click.argument("models", nargs=-1, metavar="MODEL...")
@click.option(
    "--recipe", "recipes", multiple=True, metavar="RECIPE", help="Also make and measure this variant of each."
)
@click.option("--require", "requirements", multiple=True, metavar="REQ", help="Such as 'p90<20ms' or 'drop<1pp'.")
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write the HTML report here too.")
@EXTEND_FLAG
@plugin_flag
@measurement_options
@click.pass_context
def measure(
    ctx: click.Context,
    /,
    models: tuple[str, ...],
    recipes: tuple[str, ...],
    requirements: tuple[str, ...],
    report_path: Path | None,
    extended_job: str | None,
    **flags: Any,
) -> None:
    """Measure models on a device, in interleaved rounds, and say which one to ship.

    MODEL is a file (.onnx, .tflite), or the name or digest of a model that the controller has. The first one is the
    original that the others are compared with.

    \b
    Examples:
      steelyard measure model.onnx
      steelyard measure model.onnx --recipe static-int8 --task task.toml --require 'p90<20ms' --require 'drop<1pp'
      steelyard measure a.onnx b.onnx --device pi5 --budget 5m --json
      steelyard measure model.onnx --device pi5 --meter shelly:http://192.168.1.20
      steelyard measure model.onnx --mode paced --rate 20 --vary spinning=on,off
      steelyard measure model.onnx --mode sustained --duration 5m --budget 30m
      steelyard measure --extend 3f9a --max-rounds 80
    """
    if not (models or extended_job):
        raise UsageError("no_model", "name a model to measure, or --extend JOB to add rounds to a finished measurement")
    if extended_job:
        refuse_what_is_settled(ctx, extended_job)
    device = "" if extended_job else choose_device(ctx, flags["device"], local=flags["local"])
    options = options_from(flags, requirements=requirements)
    with connected(ctx) as client:
        if extended_job:
            handle, what = extend(ctx, client, extended_job, flags), f"more rounds for {extended_job[:12]}"
        else:
            originals = [resolve_model(client, text) for text in models]
            task = client.add_task(flags["task"], originals[0]) if flags["task"] else None
            artifacts = list(originals)
            measuring = StepMeasuring(device=device, options=options)
            for original in originals:
                artifacts += make_variants(
                    client, original, recipes, task=task, seed=flags["seed"], device=device, measuring=measuring
                )
            handle = client.measure(artifacts, device=device, task=task, options=options)
            what = f"{artifacts[0].name} on {device}"
        follow(handle, what)
        measurement = handle.measurement()
        with reader_may_leave():
            show_measurement(client, [measurement], as_json=flags["as_json"], report_path=report_path)
    ctx.exit(exit_code(measurement))
