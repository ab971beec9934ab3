"""`steelyard result`."""

from __future__ import annotations

import click

from steelyard.cli.session import connected, console, emit_json
from steelyard_protocol.v1 import control_pb2

_SORTS = ("created", "model", "device")


@click.group()
def result() -> None:
    """List measurements with their main figures."""


@result.command("list")
@click.option("--model", default="", metavar="TEXT", help="Only measurements of a model whose name contains this.")
@click.option("--device", default="", metavar="NAME", help="Only measurements on this device.")
@click.option("--sort", type=click.Choice(_SORTS), default="created", show_default=True, help="Newest, or A first.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, metavar="N", help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_results(
    ctx: click.Context, model: str, device: str, sort: str, reverse: bool, limit: int, as_json: bool
) -> None:
    """List finished measurements, newest first: what was measured where, p50 and score of each model.

    \b
    Examples:
      steelyard result list
      steelyard result list --model resnet --device pi5 --json
    """
    with connected(ctx) as client:
        jobs = [one for one in client.jobs() if _is_meant(one, model, device)]
        if sort != "created":
            jobs.sort(key=lambda one: one.title if sort == "model" else one.device)
        if reverse:
            jobs.reverse()
        measurements = [client.measurement(one.job_id).measurement for one in jobs[:limit]]
    if as_json:
        from steelyard.report.plain import to_plain

        emit_json("results", {"results": [to_plain(one) for one in measurements]})
        return
    if not measurements:
        click.echo("no measurement yet: `steelyard measure MODEL` makes one")
        return
    from steelyard.report.results import render_results

    console().print(render_results(measurements))


def _is_meant(job: control_pb2.Job, model: str, device: str) -> bool:
    is_done = job.kind == control_pb2.JOB_KIND_MEASUREMENT and job.state == control_pb2.JOB_STATE_RECORDED
    return is_done and model.lower() in job.title.lower() and device in ("", job.device)
