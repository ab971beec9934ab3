"""`steelyard experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.models import resolve_model
from steelyard.cli.plugin_flag import plugin_flag
from steelyard.cli.run_flags import with_flags
from steelyard.cli.session import choose_device, connected, console, emit_json
from steelyard.cli.step_measuring_flags import TIMING_FLAGS
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, UsageError

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.experiments.findings import Findings, SeedFigure
    from steelyard.experiments.record import ExperimentRecord
    from steelyard_protocol.v1 import experiment_pb2


@click.group()
def experiment() -> None:
    """Train recipes with several seeds, measure them all, and say what is more than luck (docs/experiments.md).

    \b
    Examples:
      steelyard experiment run halves model.onnx --recipe prune --recipe width --task task.toml --seeds 5
      steelyard experiment show halves
    """


@experiment.command()
@click.argument("name", metavar="NAME")
@click.argument("model", metavar="MODEL")
@click.option(
    "--recipe",
    "recipes",
    multiple=True,
    metavar="RECIPE",
    help="As for `steelyard compress`; repeatable. When the experiment goes on: more of them, or none.",
)
@click.option("--task", type=click.Path(path_type=Path), metavar="FILE", help="Data to train, score and measure with.")
@click.option("--seeds", type=click.IntRange(1, 1000), default=5, show_default=True, help="Trainings of each recipe.")
@click.option(
    "--device", "devices", multiple=True, metavar="NAME", help="Where all is measured; repeatable. This machine else."
)
@click.option("--local", is_flag=True, help="Measure this machine, also when CI is set.")
@click.option("--measure/--no-measure", default=True, help="Measure what was trained.  [default: yes]")
@click.option(
    "--baselines", is_flag=True, help="Add recipes of the same budget: random and L1 pruning, zeros all at once."
)
@plugin_flag
@with_flags(TIMING_FLAGS)
@click.option("--json", "as_json", is_flag=True, help="Record, figures and findings as JSON on stdout.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    name: str,
    model: str,
    recipes: tuple[str, ...],
    task: Path | None,
    seeds: int,
    devices: tuple[str, ...],
    local: bool,
    measure: bool,
    baselines: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Compress MODEL by each recipe with seeds 0, 1, ..., measure all variants beside it, and compare.

    What is done is kept: the same command goes on where it was, and more seeds, recipes or devices add to it. Exit code
    3 where a training failed or a figure is missing.

    \b
    Examples:
      steelyard experiment run halves model.onnx --recipe prune --task task.toml --baselines
      steelyard experiment run halves model.onnx --task task.toml --seeds 10 --device pi5
      steelyard experiment run light model.onnx --recipe float16 --seeds 1 --local
    """
    from steelyard.cli.experiment_run import ExperimentRun, refuse_pools, task_of

    named = [*devices, *(["local"] if local and devices and "local" not in devices else [])]
    where = [] if not measure else named or [choose_device(ctx, None, local=local)]
    refuse_pools(where)
    with connected(ctx) as client:
        artifact = resolve_model(client, model)
        running = ExperimentRun(client, name, artifact, task_of(client, task, artifact), flags)
        running.run(recipes, baselines=baselines, seeds=seeds, devices=list(dict.fromkeys(where)))
        complete = _show(client, client.experiments.get(name), as_json=as_json)
    ctx.exit(EXIT_FINE if complete else EXIT_INCOMPLETE)


@experiment.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_experiments(ctx: click.Context, as_json: bool) -> None:
    """List experiments, the newest first.

    \b
    Example:
      steelyard experiment list
    """
    from steelyard.experiments.record import from_json
    from steelyard.nightly.report_json import plain
    from steelyard.report.experiment.listing import render_experiments
    from steelyard.report.plain import to_plain

    with connected(ctx) as client:
        found = [(one, from_json(one.json)) for one in client.experiments.all()]
    if as_json:
        listed = [{**_without_record(to_plain(one)), "record": plain(record)} for one, record in found]
        emit_json("experiments", {"experiments": listed})
        return
    console().print(render_experiments([(one.name, record) for one, record in found]))


@experiment.command()
@click.argument("name", metavar="NAME")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw it into this file.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="All of it as one page.")
@click.option("--json", "as_json", is_flag=True, help="Record, figures and findings as JSON on stdout.")
@click.pass_context
def show(ctx: click.Context, name: str, svg: Path | None, html: Path | None, as_json: bool) -> None:
    """Show the means over seeds, how far trainings and measurements scatter, and which differences are more than luck.

    \b
    Examples:
      steelyard experiment show halves
      steelyard experiment show halves --svg halves.svg --html halves.html
    """
    with connected(ctx) as client:
        kept = client.experiments.get(name)
        if svg is not None:
            _write_picture(client, kept, svg)
        if html is not None:
            _write_page(client, kept, html)
        if svg is not None or html is not None:
            return
        _show(client, kept, as_json=as_json)


@experiment.command()
@click.argument("name", metavar="NAME")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the table goes.",
)
@click.pass_context
def export(ctx: click.Context, name: str, output: Path) -> None:
    """Write every figure of every seed as CSV.

    \b
    Example:
      steelyard experiment export halves -o halves.csv
    """
    from steelyard.cli.writing import write_text
    from steelyard.report.experiment.table_csv import figures_csv

    with connected(ctx) as client:
        _, figures, _ = _gathered(client, client.experiments.get(name))
    write_text(output, figures_csv(figures))
    click.echo(str(output))


def _gathered(client: Client, kept: experiment_pb2.Experiment) -> tuple[ExperimentRecord, list[SeedFigure], Findings]:
    from steelyard.experiments.figures import figures_of
    from steelyard.experiments.findings import find
    from steelyard.experiments.record import from_json

    record = from_json(kept.json)
    digests = dict.fromkeys(one.digest for one in record.trainings if one.digest)
    artifacts = {digest: client.artifact(digest) for digest in digests}
    measurements = {one.job_id: client.measurement(one.job_id).measurement for one in record.measurements}
    figures = figures_of(record, artifacts, measurements, task_id=kept.task_id)
    return record, figures, find(record.recipes, figures)


def _show(client: Client, kept: experiment_pb2.Experiment, *, as_json: bool) -> bool:
    """Print the experiment, and return whether nothing of it is missing."""
    from steelyard.nightly.report_json import plain
    from steelyard.report.experiment.terminal import render_experiment
    from steelyard.report.experiment.view import experiment_view
    from steelyard.report.plain import to_plain

    record, figures, findings = _gathered(client, kept)
    if as_json:
        known = {"record": plain(record), "figures": plain(figures), **plain(findings)}
        emit_json("experiment", {**_without_record(to_plain(kept)), **known})
    else:
        model_name = client.artifact(kept.model_digest).name
        console().print(render_experiment(experiment_view(kept.name, record, findings, model_name=model_name)))
    return all(one.digest for one in record.trainings) and all(one.value is not None for one in figures)


def _without_record(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "json"}


def _write_picture(client: Client, kept: experiment_pb2.Experiment, path: Path) -> None:
    from steelyard.cli.writing import write_text
    from steelyard.report.experiment.picture import draw_experiment

    record, figures, _ = _gathered(client, kept)
    drawn = draw_experiment(kept.name, [one.name for one in record.recipes], figures)
    if drawn is None:
        raise UsageError(
            "nothing_to_draw",
            f"experiment {kept.name!r} has no model with both a score and a latency; run it with --task and a device",
        )
    write_text(path, drawn, next_step="name another place with --svg")
    click.echo(str(path))


def _write_page(client: Client, kept: experiment_pb2.Experiment, path: Path) -> None:
    from steelyard.cli.writing import write_text
    from steelyard.report.experiment.page import render_experiment_page
    from steelyard.report.experiment.picture import draw_experiment
    from steelyard.report.experiment.view import experiment_view

    record, figures, findings = _gathered(client, kept)
    model_name = client.artifact(kept.model_digest).name
    view = experiment_view(kept.name, record, findings, model_name=model_name)
    page = render_experiment_page(view, draw_experiment(kept.name, [one.name for one in record.recipes], figures))
    write_text(path, page, next_step="name another place with --html")
    click.echo(str(path))
