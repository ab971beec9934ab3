"""`steelyard gate`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.follow import follow
from steelyard.cli.measuring import measurement_options, options_from
from steelyard.cli.models import resolve_model
from steelyard.cli.session import choose_device, connected, console, emit_json
from steelyard.cli.writing import write_text
from steelyard.errors import EXIT_INCOMPLETE, UsageError

if TYPE_CHECKING:
    from steelyard.gate.gate_report import GateReport
    from steelyard.gate.running import Gate

_DEFAULT_CONDITIONS = ("p50 > +3%",)
_WITH_TASK = "accuracy < -0.5pp"


@click.command()
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="As 'p50 > +3%'; repeatable. That one when left out, with --task also 'accuracy < -0.5pp'.",
)
@click.option(
    "--pool",
    "pools",
    multiple=True,
    metavar="POOL",
    help="As raspberry-pi-5, or tag:rack1: its first free device; repeatable, each is a place to measure.",
)
@click.option("--markdown", type=click.Path(path_type=Path), metavar="FILE", help="Write a summary for a comment.")
@click.option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML.")
@click.option("--allow-forks", is_flag=True, help="Also run changes that come from a fork of the repository.")
@measurement_options
@click.pass_context
def gate(
    ctx: click.Context,
    /,
    base: str,
    head: str,
    conditions: tuple[str, ...],
    pools: tuple[str, ...],
    markdown: Path | None,
    junit: Path | None,
    allow_forks: bool,
    **flags: Any,
) -> None:
    """Judge a change: models of HEAD beside those of BASE, interleaved on the devices, within a budget of device time.

    BASE and HEAD are two models, or two folders whose models are paired by their paths. A condition fails the gate
    where the change is surely there (at 99 %) and as large as it says. Exit code 0 where all hold, 1 where one failed,
    3 where one is undecided or was not measured. Changes from forks are not run unless --allow-forks says so: their
    files are a stranger's.

    \b
    Examples:
      steelyard gate main/model.onnx model.onnx --pool raspberry-pi-5 --fail-if 'p50 > +3%'
      steelyard gate base/ head/ --device pi5 --budget 15m --markdown gate.md --junit gate.xml
    """
    from steelyard.gate.conditions import parse_conditions
    from steelyard.gate.pairs import pair_models
    from steelyard.gate.running import Gate

    texts = conditions or (*_DEFAULT_CONDITIONS, *((_WITH_TASK,) if flags["task"] else ()))
    parsed = parse_conditions(texts)
    pairs = pair_models(base, head)
    if flags["axes"]:
        raise UsageError("bad_axis", "--vary makes more than the two that a gate compares: use steelyard measure")
    if not allow_forks:
        _refuse_forks(ctx)
    devices = _devices(ctx, pools, flags)
    options = options_from(flags)
    if any(one.metric == "macs" for one in parsed):
        options = replace(options, operators=True)
    work = Gate(pairs=pairs, devices=devices, conditions=parsed, options=options, task=str(flags["task"] or ""))
    report = _run(ctx, work, (base, head))
    _show(report, markdown, junit, as_json=flags["as_json"])
    ctx.exit(report.exit_code)


def _refuse_forks(ctx: click.Context) -> None:
    from steelyard.gate.forks import fork_of

    fork = fork_of(os.environ)
    if fork:
        click.echo(
            f"INCOMPLETE this change comes from {fork}, and changes from forks are not run: look at it first, then "
            "run the gate with --allow-forks"
        )
        ctx.exit(EXIT_INCOMPLETE)


def pool_address(text: str) -> str:
    """Return "pool:raspberry-pi-5" for "raspberry-pi-5"; "tag:rack1" stays."""
    return text if text.partition(":")[0] in {"tag", "pool"} else f"pool:{text}"


def _devices(ctx: click.Context, pools: tuple[str, ...], flags: dict[str, Any]) -> tuple[str, ...]:
    named = tuple(map(pool_address, pools))
    if named and not flags["device"] and not flags["local"]:
        return named
    return (*named, choose_device(ctx, flags["device"], local=flags["local"]))


def _run(
    ctx: click.Context,
    work: Gate,
    names: tuple[str, str],
) -> GateReport:
    from steelyard.gate.running import run_gate

    with connected(ctx) as client:
        return run_gate(client, work, resolve=resolve_model, follow=follow, names=names)


def _show(report: GateReport, markdown: Path | None, junit: Path | None, *, as_json: bool) -> None:
    from steelyard.report.gate.junit import render_gate_junit
    from steelyard.report.gate.markdown import render_gate_markdown
    from steelyard.report.gate.terminal import render_gate_summary

    if markdown is not None:
        write_text(markdown, render_gate_markdown(report), next_step="name another file")
    if junit is not None:
        write_text(junit, render_gate_junit(report), next_step="name another file")
    if not as_json:
        console().print(render_gate_summary(report))
        return
    from steelyard.nightly.report_json import plain

    document = {"verdict": report.verdict.value, "sentence": report.sentence, "exit_code": report.exit_code}
    emit_json("gate", {**document, **plain(report)})
