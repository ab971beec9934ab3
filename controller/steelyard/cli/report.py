"""`steelyard report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steelyard.cli.measuring import write_report
from steelyard.cli.night_files import NIGHT_FORMATS, render_night_as
from steelyard.cli.session import connected
from steelyard.cli.writing import write_text
from steelyard.errors import UsageError
from steelyard_protocol.v1 import measurement_pb2

if TYPE_CHECKING:
    from steelyard.control.client import Client

_SUFFIXES = {".csv": "csv", ".tex": "latex", ".md": "markdown", ".json": "json", ".xml": "junit"}
_OF_JOBS = {"html": "steelyard-report.html", "csv": "steelyard-report.csv", "latex": "steelyard-report.tex"}


@click.command()
@click.argument("job_ids", nargs=-1, metavar="[JOB]...")
@click.option("--suite", "suite_name", metavar="NAME", help="Rebuild the report of a night of this suite.")
@click.option(
    "--night", "night_number", type=click.IntRange(min=1), help="Which night of the suite; the last one when left out."
)
@click.option(
    "--format",
    "form",
    type=click.Choice([*_OF_JOBS, *(one for one in NIGHT_FORMATS if one not in _OF_JOBS)]),
    help="By the suffix of the file when left out: .csv and .tex of jobs, .md, .json, .xml of nights, else HTML.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where it goes; steelyard-report.html, or SUITE-night-N.html, when left out.",
)
@click.pass_context
def report(
    ctx: click.Context,
    job_ids: tuple[str, ...],
    suite_name: str | None,
    night_number: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Write one self-contained HTML report of finished measurements or of a night, or their tables and documents.

    Of jobs, the tables hold accuracy, p50, p90, speed-up, energy, memory and size with their intervals: one a
    measurement in LaTeX, one row a variant in CSV. The LaTeX needs the package booktabs and no other. What is unknown
    reads n/a, with its reason below. Of a night there are HTML, Markdown, JSON and JUnit.

    \b
    Examples:
      steelyard report 3f9a 77c1 -o report.html
      steelyard report 3f9a --format latex -o table.tex
      steelyard report 3f9a -o table.csv
      steelyard report --suite shelf
      steelyard report --suite shelf --night 214 -o night.md
    """
    if bool(job_ids) == bool(suite_name):
        raise UsageError("bad_report", "name jobs (`steelyard job list`), or a suite with --suite, and not both")
    if night_number is not None and not suite_name:
        raise UsageError("bad_report", f"--night {night_number} needs the suite that it is of: add --suite NAME")
    chosen = form or _SUFFIXES.get(output.suffix.lower() if output is not None else "", "html")
    _refuse_other_forms(chosen, NIGHT_FORMATS if suite_name else _OF_JOBS, "nights" if suite_name else "jobs")
    with connected(ctx) as client:
        if suite_name:
            path = _write_night(client, suite_name, night_number or 0, chosen, output)
        else:
            path = output or Path(_OF_JOBS[chosen])
            _write_jobs(client, job_ids, chosen, path)
    click.echo(str(path))


def _refuse_other_forms(chosen: str, known: Sequence[str] | dict[str, str], of: str) -> None:
    if chosen not in known:
        raise UsageError("bad_format", f"there is no {chosen} of {of}; there are {', '.join(known)}")


def _write_night(client: Client, suite_name: str, number: int, form: str, output: Path | None) -> Path:
    from steelyard.nightly.report_json import from_json

    night = client.nightly.night_of(suite_name, number)
    report = from_json(client.nightly.report(night).decode("utf-8"))
    path = output or Path(f"{suite_name}-night-{night.night_number}{NIGHT_FORMATS[form]}")
    write_text(path, render_night_as(report, form))
    return path


def _write_jobs(client: Client, job_ids: Sequence[str], form: str, path: Path) -> None:
    measurements = [client.measurement(job_id).measurement for job_id in job_ids]
    if form == "html":
        write_report(measurements, path, client.controller().controller_id)
    else:
        write_text(path, _table(form, measurements))


def _table(form: str, measurements: Sequence[measurement_pb2.Measurement]) -> str:
    from steelyard.report.latex import render_latex
    from steelyard.report.table_csv import render_csv

    return render_csv(measurements) if form == "csv" else render_latex(measurements)
