"""`steelyard job`."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from steelyard.cli.measuring import show_measurement
from steelyard.cli.session import connected, console, emit_json, say
from steelyard.cli.writing import writing
from steelyard.errors import UsageError
from steelyard_protocol.v1 import control_pb2

_ROWS = {"samples": "samples", "blocks": "blocks", "curves": "points of curves"}


@click.group()
def job() -> None:
    """List, show and cancel jobs, and get their raw samples."""


@job.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_jobs(ctx: click.Context, as_json: bool) -> None:
    """List jobs, newest first.

    \b
    Example:
      steelyard job list
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        jobs = client.jobs()
        if as_json:
            emit_json("jobs", {"jobs": [to_plain(one) for one in jobs]})
            return
        if not jobs:
            click.echo("no job yet: `steelyard measure MODEL` makes one")
            return
        from steelyard.report.terminal import render_jobs

        console().print(render_jobs(jobs, now=datetime.now(tz=timezone.utc)))


@job.command("show")
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def show_job(ctx: click.Context, job_id: str, as_json: bool) -> None:
    """Show all that a measurement says so far, or why a job failed.

    `measure` and `compare` show what decides; here are the tails, the times around the model, and every note.

    \b
    Example:
      steelyard job show 3f9a
    """
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        found = client.job(job_id)
        if found.kind == control_pb2.JOB_KIND_MEASUREMENT and client_has_rounds(client, found.job_id):
            measurement = client.measurement(found.job_id).measurement
            show_measurement(client, [measurement], as_json=as_json, details=True, job=found)
        elif as_json:
            emit_json("job", {"job": to_plain(found)})
        else:
            from steelyard.report.terminal import render_attempts, render_jobs

            console().print(render_jobs([found], now=datetime.now(tz=timezone.utc)))
            console().print(render_attempts(found))


def client_has_rounds(client: object, job_id: str) -> bool:
    """Return whether a measurement has recorded anything yet."""
    from steelyard.control.client import Client

    assert isinstance(client, Client)
    return next(iter(client.rounds(job_id)), None) is not None


@job.command("cancel")
@click.argument("job_id", metavar="JOB")
@click.pass_context
def cancel_job(ctx: click.Context, job_id: str) -> None:
    """Cancel a job; the rounds or steps that it finished are kept.

    \b
    Example:
      steelyard job cancel 3f9a
    """
    with connected(ctx) as client:
        before = client.job(job_id)
        ended = client.cancel(before.job_id)
    state = control_pb2.JobState.Name(ended.state).removeprefix("JOB_STATE_").lower()
    had_ended = before.state == ended.state
    click.echo(f"{ended.job_id[:12]} {'had ended already: ' if had_ended else ''}{state}")


@job.command("samples")
@click.argument("job_id", metavar="JOB")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .csv or a .parquet file.")
@click.option(
    "--table",
    type=click.Choice(["samples", "blocks", "curves"]),
    default="samples",
    show_default=True,
    help="A row for each sample, each block, or each point of a sustained curve.",
)
@click.pass_context
def job_samples(ctx: click.Context, job_id: str, output: Path, table: str) -> None:
    """Write every raw sample of a measurement.

    One row each, as CSV or Parquet by the suffix of the file; or one row a block, or a point of a curve.

    \b
    Examples:
      steelyard job samples 3f9a -o samples.csv
      steelyard job samples 3f9a -o samples.parquet
      steelyard job samples 3f9a --table curves -o curve.csv
    """
    from steelyard.report import samples

    writers = {
        "samples": {".csv": samples.write_samples_csv, ".parquet": samples.write_samples_parquet},
        "blocks": {".csv": samples.write_blocks_csv, ".parquet": samples.write_blocks_parquet},
        "curves": {".csv": samples.write_curves_csv, ".parquet": samples.write_curves_parquet},
    }[table]
    if output.suffix not in writers:
        raise UsageError("unknown_table", f"{output} ends in neither .csv nor .parquet: name one of them")
    with connected(ctx) as client, writing(output):
        row_count = writers[output.suffix](client.rounds(job_id), output)
    say(f"{row_count:,} {_ROWS[table]}: {output}")
