"""`steelyard suite`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.session import console, emit_json, say
from steelyard.errors import EXIT_USAGE, SteelyardError, UsageError

if TYPE_CHECKING:
    from steelyard.suites.cells import NightDevice, UnmetDevice
    from steelyard.suites.errors import Problem
    from steelyard.suites.suite import Suite


@click.group()
def suite() -> None:
    """Check and begin suites: what a night measures (docs/suites.md).

    \b
    Examples:
      steelyard suite new night.toml
      steelyard suite check night.toml
    """


@suite.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--effective", is_flag=True, help="Print the suite as TOML after inheritance and substitution, no more.")
@click.option("--json", "as_json", is_flag=True, help="The effective suite, its cells and warnings as JSON on stdout.")
@click.pass_context
def check(ctx: click.Context, file: Path, effective: bool, as_json: bool) -> None:
    """Check a suite and show the cells that it makes.

    Devices are looked for where a controller runs or is named; none is started for it. Ends with 2 where the suite
    cannot be run, with every problem that was found.

    \b
    Examples:
      steelyard suite check night.toml
      steelyard suite check night.toml --effective
      steelyard --controller lab:7421 suite check night.toml --json
    """
    loaded, problems = _load(file)
    if loaded is None or problems:
        _show_problems(file, problems, as_json=as_json)
        ctx.exit(EXIT_USAGE)
    from steelyard.suites.effective import suite_toml

    if effective:
        click.echo(suite_toml(loaded), nl=False)
        return
    devices, unmet, unchecked = _devices(ctx, loaded)
    if as_json:
        emit_json("suite_check", _document(loaded, devices, unmet, unchecked))
        return
    _show(loaded, devices, unmet, unchecked)


@suite.command()
@click.argument("file", type=click.Path(path_type=Path), default=Path("night.toml"))
@click.option("--name", default="", help="Of the suite; the file's when left out.")
@click.option("--model", type=click.Path(path_type=Path), help="A model's file; one of the demo's when left out.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def new(file: Path, name: str, model: Path | None, force: bool) -> None:
    """Write a commented suite to begin with.

    \b
    Examples:
      steelyard suite new
      steelyard suite new lab.toml --model model.onnx
    """
    from steelyard.cli.writing import write_text
    from steelyard.demo.run import assets
    from steelyard.suites.starter import starter_suite

    if file.exists() and not force:
        raise UsageError("file_exists", f"{file} is there already; name another file, or write over it with --force")
    chosen = model or assets() / "fashion_mobilenet.onnx"
    if not chosen.is_file():
        raise UsageError("model_not_found", f"there is no file {chosen}; check the path")
    shown = os.path.relpath(chosen, file.parent) if model else str(chosen)
    source = f"file = {_quoted(Path(shown).as_posix())}"
    write_text(
        file,
        starter_suite(name=name or file.stem, file=file.name, model=chosen.stem, source=source),
        next_step="name another file",
    )
    click.echo(str(file))


def _quoted(text: str) -> str:
    import json

    return json.dumps(text.replace("$", "$$"), ensure_ascii=False)


def _load(file: Path) -> tuple[Suite | None, tuple[Problem, ...]]:
    """Return the suite, and what keeps it from being run."""
    from steelyard.suites.errors import SuiteError
    from steelyard.suites.missing_files import missing_files
    from steelyard.suites.reading import load_suite

    try:
        loaded = load_suite(file, os.environ)
    except SuiteError as error:
        return None, error.problems
    return loaded, missing_files(loaded)


def _show_problems(file: Path, problems: Sequence[Problem], *, as_json: bool) -> None:
    if as_json:
        listed = [{"place": one.place, "sentence": one.sentence} for one in problems]
        emit_json("suite_check", {"file": str(file), "is_right": False, "problems": listed})
        return
    for one in problems:
        say(str(one))
    say(f"steelyard: {file} has {len(problems)} problem{'' if len(problems) == 1 else 's'}")


def _devices(ctx: click.Context, loaded: Suite) -> tuple[tuple[NightDevice, ...], tuple[UnmetDevice, ...], str]:
    """Return the devices of the suite as a running controller knows them, or why they were not looked for."""
    from steelyard.cli.session import connected, settings_of
    from steelyard.store.lock import lock_holder
    from steelyard.suites.cells import devices_of, devices_unasked

    settings = settings_of(ctx)
    if not settings.controller and lock_holder(settings.state_directory) is None:
        return devices_unasked(loaded), (), "no controller runs here: devices were not looked for"
    try:
        with connected(ctx) as client:
            return (*devices_of(loaded, client.devices()), "")
    except SteelyardError as error:
        return devices_unasked(loaded), (), f"devices were not looked for: {error}"


def _document(
    loaded: Suite, devices: Sequence[NightDevice], unmet: Sequence[UnmetDevice], unchecked: str
) -> dict[str, Any]:
    from steelyard.suites.effective import suite_digest, suite_document
    from steelyard.suites.outlook import outlook_of

    names = {one.device_id or one.name: one.name for one in devices}
    outlook = outlook_of(loaded, devices)
    return {
        "is_right": True,
        "suite": suite_document(loaded),
        "digest": suite_digest(loaded),
        "devices": [
            {
                "device": device.name,
                "device_id": device.device_id,
                "budget_s": device.budget_s,
                "round_count": plan.round_count,
                "estimated_s": plan.estimated_s,
                "left_out": [
                    {"model": one.cell.model, "runtime": one.cell.runtime, "reason": one.reason}
                    for one in plan.left_out
                ],
            }
            for device, plan in outlook
        ],
        "cells": [
            {"model": cell.model, "device": names[cell.device_id], "runtime": cell.runtime}
            for _, plan in outlook
            for cell in (*plan.cells, *(one.cell for one in plan.left_out))
        ],
        "warnings": [*(f"{one.name}: {one.reason}" for one in unmet), *filter(None, [unchecked])],
    }


def _show(loaded: Suite, devices: Sequence[NightDevice], unmet: Sequence[UnmetDevice], unchecked: str) -> None:
    from rich.table import Table

    from steelyard.suites.outlook import outlook_of

    table = Table(box=None, pad_edge=False)
    for heading in ("DEVICE", "CELLS", "ROUNDS", "MINUTES", "BUDGET", "OTHER NIGHTS"):
        table.add_column(heading, justify="left" if heading == "DEVICE" else "right")
    outlook = outlook_of(loaded, devices)
    for device, plan in outlook:
        figures = (len(plan.cells), plan.round_count, f"{plan.estimated_s / 60:.1f}", f"{device.budget_s / 60:g}")
        table.add_row(device.name, *map(str, figures), str(len(plan.left_out) or ""))
    count = sum(len(plan.cells) + len(plan.left_out) for _, plan in outlook)
    out = console()
    out.print(
        f"suite {loaded.name}: {len(loaded.models)} models, {len(loaded.runtimes)} runtimes, {len(devices)} devices, "
        f"{count} cells",
        markup=False,
    )
    out.print(table)
    for one in unmet:
        say(f"warning: {one.reason}")
    if unchecked:
        say(f"note: {unchecked}")
