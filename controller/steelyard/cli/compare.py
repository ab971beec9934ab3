"""`steelyard compare`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from steelyard.cli.follow import follow
from steelyard.cli.measuring import measurement_options, options_from, show_measurement
from steelyard.cli.models import resolve_model
from steelyard.cli.reader import reader_may_leave
from steelyard.cli.session import choose_device, connected
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, EXIT_UNMET, UsageError
from steelyard.report.score_words import lost_limit
from steelyard_protocol.v1 import measurement_pb2

_EXIT_OF_VERDICT = {
    measurement_pb2.COMPARISON_VERDICT_FASTER: EXIT_FINE,
    measurement_pb2.COMPARISON_VERDICT_NO_DIFFERENCE: EXIT_FINE,
    measurement_pb2.COMPARISON_VERDICT_SLOWER: EXIT_UNMET,
}


@click.command()
@click.argument("reference", metavar="A")
@click.argument("candidate", metavar="B")
@measurement_options
@click.pass_context
def compare(ctx: click.Context, /, reference: str, candidate: str, **flags: Any) -> None:
    """Compare model B with model A on a device: paired by round, with a 99 % verdict, and by sample with --task.

    Exit code 0 when B is faster or no different, 1 when it is slower or surely loses 1 pp of accuracy or more (1 % of
    A's score, where that is no fraction), 3 when the rounds do not decide.

    \b
    Examples:
      steelyard compare model.onnx model-static-int8 --device pi5
      steelyard compare old.onnx new.onnx --local --budget 2m --json
    """
    device = choose_device(ctx, flags["device"], local=flags["local"])
    if flags["axes"]:
        raise UsageError("bad_axis", "--vary makes more than the two models that compare judges: use steelyard measure")
    options = options_from(flags)
    with connected(ctx) as client:
        artifacts = [resolve_model(client, text) for text in (reference, candidate)]
        task = client.add_task(flags["task"], artifacts[0]) if flags["task"] else None
        names = (artifacts[0].name, artifacts[1].name)
        labels = names if names[0] != names[1] else (f"A {names[0]}", f"B {names[1]}")
        handle = client.measure(artifacts, device=device, task=task, options=replace(options, labels=labels))
        follow(handle, f"{artifacts[0].name} and {artifacts[1].name} on {device}")
        measurement = handle.measurement()
        with reader_may_leave():
            show_measurement(client, [measurement], as_json=flags["as_json"], as_comparison=True)
    ctx.exit(_exit_code(measurement))


def _exit_code(measurement: measurement_pb2.Measurement) -> int:
    reference, candidate = measurement.variants
    limit = lost_limit(measurement, reference)
    if limit is not None and candidate.accuracy_drop.HasField("low") and candidate.accuracy_drop.low >= limit:
        return EXIT_UNMET
    return _EXIT_OF_VERDICT.get(candidate.comparison, EXIT_INCOMPLETE)
