"""`steelyard demo`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from steelyard.cli.measuring import show_measurement
from steelyard.cli.session import connected, is_terminal, say
from steelyard.durations import human_duration


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("steelyard-demo.html"),
    show_default=True,
    help="Where the HTML report goes.",
)
@click.option(
    "--rounds", type=click.IntRange(3, 200), default=12, show_default=True, help="Of each measurement, at most."
)
@click.option("--json", "as_json", is_flag=True, help="Results as JSON on stdout.")
@click.pass_context
def demo(ctx: click.Context, output: Path, rounds: int, as_json: bool) -> None:
    """Weigh two real models on this machine: compress, send, measure, check accuracy, decide, report.

    A controller and a separate agent process start on loopback; a ResNet and a MobileNet trained on Fashion-MNIST are
    made smaller in three ways each, measured in interleaved rounds, and evaluated on 2,000 labelled images. Takes
    about a minute on two quiet cores.

    \b
    Examples:
      steelyard demo
      steelyard demo --rounds 20 -o report.html
    """
    from steelyard.demo.run import DEMO_MODELS, run_model

    started = time.monotonic()
    if is_terminal():
        say(f"weighing {len(DEMO_MODELS)} models on this machine")
    measurements = []
    with connected(ctx) as client:
        for name in DEMO_MODELS:
            measurements.append(run_model(client, name, rounds))  # noqa: PERF401  (each takes a minute)
        show_measurement(client, measurements, as_json=as_json, report_path=output)
    if is_terminal():
        say(f"done in {human_duration(time.monotonic() - started)}")
