"""`steelyard bisect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.follow import follow
from steelyard.cli.measuring import measurement_options, options_from
from steelyard.cli.models import resolve_model
from steelyard.cli.session import choose_device, connected, console, emit_json, is_terminal, say, settings_of
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, UsageError

if TYPE_CHECKING:
    from steelyard.bisect.candidates import Candidate
    from steelyard.bisect.records import BisectRecord, Comparison
    from steelyard.bisect.running import Bisection
    from steelyard.bisect.search import Step
    from steelyard.control.client import Client


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--git", "revisions", metavar="GOOD..BAD", help="Search the revisions of one model file between two.")
@click.option("--env", "environments", metavar="A,B,...", help="Search runtime environments of the device, in order.")
@click.option("--recipe", metavar="RECIPE", help="Search the steps of a recipe, from the model itself on.")
@click.option(
    "--fail-if",
    "condition",
    default="p50 > +3%",
    show_default=True,
    metavar="CONDITION",
    help="What makes one bad beside the first.",
)
@click.option("--restart", is_flag=True, help="Forget what earlier runs of the same search found.")
@measurement_options
@click.pass_context
def bisect(
    ctx: click.Context,
    /,
    models: tuple[str, ...],
    revisions: str | None,
    environments: str | None,
    recipe: str | None,
    condition: str,
    restart: bool,
    **flags: Any,
) -> None:
    """Find which of several candidates brought a change, each compared with the first one on a device.

    Candidates are models in their order, the first good and the last bad; of two of which one was made from the other,
    the steps of its recipe; with --env runtime environments, with --git revisions of a model file. Every comparison is
    interleaved and confirmed at 99 %; what stays undecided is passed over, as git bisect skip does. The same command
    again goes on where it was interrupted. Exit code 0 where it was found, 3 where several are left or nothing changed.

    \b
    Examples:
      steelyard bisect monday.onnx tuesday.onnx wednesday.onnx --device pi5
      steelyard bisect models/net.onnx --git v1.2..HEAD --device pi5 --fail-if 'p50 > +3%'
      steelyard bisect net.onnx --env ort-1.22,ort-1.23,ort-1.24 --device pi5
      steelyard bisect net.onnx --recipe int8.toml --task task.toml --fail-if 'accuracy < -0.5pp' --device pi5
    """
    from steelyard.bisect.records import BisectRecord
    from steelyard.bisect.running import Bisection, run_bisection
    from steelyard.gate.conditions import parse_condition

    _check_kind(models, revisions, environments, recipe)
    parsed = parse_condition(condition)
    device = choose_device(ctx, flags["device"], local=flags["local"])
    options = options_from(flags)
    if parsed.metric == "accuracy" and not flags["task"]:
        raise UsageError("no_task", f"--fail-if {condition!r} needs labelled data: add --task FILE")
    with connected(ctx) as client:
        candidates = _candidates(client, models, revisions, environments, recipe, flags)
        question = (device, parsed.text, str(flags["task"] or ""), flags["runtime"], str(flags["threads"]))
        record = BisectRecord(settings_of(ctx).state_directory / "bisections", question, candidates)
        if restart:
            record.forget()
        work = Bisection(
            candidates=tuple(candidates),
            condition=parsed,
            device=device,
            options=options,
            task=str(flags["task"] or ""),
        )
        _announce(work, record)
        step = run_bisection(client, work, record, follow=follow, tell=lambda one: _tell(work, one))
    ctx.exit(_show(work, record, step, as_json=flags["as_json"]))


def _check_kind(models: tuple[str, ...], revisions: str | None, environments: str | None, recipe: str | None) -> None:
    ways = [name for name, value in (("--git", revisions), ("--env", environments), ("--recipe", recipe)) if value]
    if len(ways) > 1:
        raise UsageError("two_searches", f"{' and '.join(ways)} are two searches: give one of them")
    if ways and len(models) > 1:
        raise UsageError("many_models", f"{ways[0]} searches one model, not {len(models)}: name one")
    if not ways and len(models) < 2:
        raise UsageError(
            "one_model", f"{models[0]} alone leaves nothing to search: name a later one, or --git or --env"
        )


def _candidates(
    client: Client,
    models: tuple[str, ...],
    revisions: str | None,
    environments: str | None,
    recipe: str | None,
    flags: dict[str, Any],
) -> list[Candidate]:
    from steelyard.bisect.candidates import made_from, of_environments, of_models, of_revisions, of_steps

    if revisions:
        good, dots, bad = revisions.partition("..")
        if not (good and dots and bad):
            raise UsageError("bad_range", f"--git {revisions!r} is no range: write GOOD..BAD, as v1.2..HEAD")
        return of_revisions(client, Path(models[0]), good, bad)
    artifacts = [resolve_model(client, text) for text in models]
    if environments:
        return of_environments(artifacts[0], environments.split(","))
    if recipe or (len(artifacts) == 2 and made_from(*artifacts)):
        from steelyard.compress.recipe_text import load_recipe, parse_recipe

        steps = load_recipe(recipe) if recipe else parse_recipe(artifacts[1].lineage.recipe_toml)
        seed = flags["seed"] if recipe else artifacts[1].lineage.seed
        task = client.add_task(flags["task"], artifacts[0]) if flags["task"] else None
        return of_steps(client, artifacts[0], steps, task=task, seed=seed, follow=follow)
    return of_models(artifacts, models)


def _announce(work: Bisection, record: BisectRecord) -> None:
    from steelyard.bisect.search import comparisons_left

    if is_terminal():
        known = f", {len(record.comparisons)} known from before" if record.comparisons else ""
        left = comparisons_left(len(work.candidates), record.answers)
        say(f"{len(work.candidates)} candidates on {work.device}: {left} comparisons{known}")


def _tell(work: Bisection, comparison: Comparison) -> None:
    if is_terminal():
        say(f"{work.candidates[comparison.index].title}: {comparison.answer.value} ({comparison.reason})")


def _show(work: Bisection, record: BisectRecord, step: Step, *, as_json: bool) -> int:
    from steelyard.bisect.search import Found
    from steelyard.bisect.telling import bisect_document, render_bisection

    if as_json:
        emit_json("bisection", bisect_document(work, record.comparisons, step))
    else:
        console().print(render_bisection(work, record.comparisons, step))
    return EXIT_FINE if isinstance(step, Found) and step.is_single else EXIT_INCOMPLETE
