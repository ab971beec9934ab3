"""`steelyard report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from steelyard.cli.measuring import write_report
from steelyard.cli.session import connected
from steelyard.cli.writing import write_text
from steelyard_protocol.v1 import measurement_pb2

_SUFFIXES = {".csv": "csv", ".tex": "latex"}
_NAMES = {"html": "steelyard-report.html", "csv": "steelyard-report.csv", "latex": "steelyard-report.tex"}


@click.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_NAMES)),
    help="By the suffix of the file when left out: .csv, .tex, else HTML.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where it goes; steelyard-report.html (.csv, .tex) when left out.",
)
@click.pass_context
def report(ctx: click.Context, job_ids: tuple[str, ...], form: str | None, output: Path | None) -> None:
    """Write one self-contained HTML report of finished measurements, or their tables for papers and spreadsheets.

    The tables hold accuracy, p50, p90, speed-up, energy, memory and size with their intervals: one a measurement in
    LaTeX, one row a variant in CSV. The LaTeX needs the package booktabs and no other. What is unknown reads n/a, with
    its reason below.

    \b
    Examples:
      steelyard report 3f9a 77c1 -o report.html
      steelyard report 3f9a --format latex -o table.tex
      steelyard report 3f9a -o table.csv
    """
    chosen = form or _SUFFIXES.get(output.suffix.lower() if output is not None else "", "html")
    path = output or Path(_NAMES[chosen])
    with connected(ctx) as client:
        measurements = [client.measurement(job_id).measurement for job_id in job_ids]
        if chosen == "html":
            write_report(measurements, path, client.controller().controller_id)
        else:
            write_text(path, _table(chosen, measurements))
    click.echo(str(path))


def _table(form: str, measurements: Sequence[measurement_pb2.Measurement]) -> str:
    from steelyard.report.latex import render_latex
    from steelyard.report.table_csv import render_csv

    return render_csv(measurements) if form == "csv" else render_latex(measurements)
