"""`steelyard report`."""

from __future__ import annotations

from pathlib import Path

import click

from steelyard.cli.measuring import write_report
from steelyard.cli.session import connected


@click.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("steelyard-report.html"),
    show_default=True,
    help="Where the HTML report goes.",
)
@click.pass_context
def report(ctx: click.Context, job_ids: tuple[str, ...], output: Path) -> None:
    """Write one self-contained HTML report of finished measurements.

    \b
    Example:
      steelyard report 3f9a 77c1 -o report.html
    """
    with connected(ctx) as client:
        measurements = [client.measurement(job_id).measurement for job_id in job_ids]
        write_report(measurements, output, client.controller().controller_id)
    click.echo(str(output))
