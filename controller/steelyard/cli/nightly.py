"""`steelyard nightly`."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steelyard.cli.night_files import write_night_files
from steelyard.cli.parameters import DURATION
from steelyard.cli.reader import reader_may_leave
from steelyard.cli.session import connected, console, emit_json, say, settings_of
from steelyard.cli.writing import make_folder
from steelyard.durations import human_duration
from steelyard.errors import EXIT_FINE, EXIT_INCOMPLETE, EXIT_INTERRUPTED

if TYPE_CHECKING:
    from steelyard.control.client import Client
    from steelyard.nightly.night_report import NightReport
    from steelyard.nightly.night_status import SuiteStatus
    from steelyard.nightly.notifying import Notifier
    from steelyard.nightly.running import EndedNight
    from steelyard.nightly.runs import NightOptions
    from steelyard.suites.suite import Suite
    from steelyard_protocol.v1 import nightly_pb2


@click.group()
def nightly() -> None:
    """Run a suite's nights, and see when the last one was (docs/suites.md).

    \b
    Examples:
      steelyard nightly run night.toml
      steelyard nightly status --max-age 26h
    """


@nightly.command(short_help="Measure a suite, confirm what changed, say what got worse.")
@click.argument("suite_file", type=click.Path(path_type=Path), metavar="SUITE")
@click.option(
    "--device", "devices", multiple=True, metavar="NAME", help="Only this one of the suite's devices; repeatable."
)
@click.option("--budget", type=DURATION, metavar="TIME", help="Device time of each device instead of the suite's.")
@click.option(
    "--window", type=DURATION, metavar="TIME", help="How long devices that are away are waited for; the suite's else."
)
@click.option("--dry-run", is_flag=True, help="Show what would be measured, and end.")
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write the report here as HTML, Markdown, JSON and JUnit.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON on stdout.")
@click.pass_context
def run(
    ctx: click.Context,
    suite_file: Path,
    devices: tuple[str, ...],
    budget: float | None,
    window: float | None,
    dry_run: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Measure a suite on its devices, confirm what looks different, and say what got worse.

    A night that was interrupted (Ctrl-C, a crash, a restarted controller) is gone on with: finished cells are not
    measured again. Two nights of a suite, or on a device, wait for each other. Exit code 0 where nothing got worse, 1
    for a confirmed regression, 3 where something was not measured or not decided, 4 where the controller is gone.

    \b
    Examples:
      steelyard nightly run night.toml --report reports/
      steelyard nightly run night.toml --device pi5 --budget 20m
      steelyard nightly run night.toml --dry-run
      steelyard --controller lab:7421 nightly run night.toml --json
    """
    from steelyard.nightly.notifying import Notifier
    from steelyard.nightly.runs import NightOptions
    from steelyard.notify.world import World
    from steelyard.suites.reading import load_suite

    suite = load_suite(suite_file, os.environ)
    options = NightOptions(only=devices, budget_s=budget, window_s=window)
    notifier = Notifier(suite, World())
    if dry_run:
        _show_plan(ctx, suite, options, as_json=as_json)
        return
    if folder is not None:
        make_folder(folder)
    report = _run(ctx, suite, options, notifier)
    with reader_may_leave():
        _show(report, as_json=as_json)
    for path in write_night_files(report, folder) if folder is not None else ():
        say(f"report: {path}")
    ctx.exit(report.exit_code)


def _run(ctx: click.Context, suite: Suite, options: NightOptions, notifier: Notifier) -> NightReport:
    from steelyard.nightly.errors import StoppedError

    stop = threading.Event()
    with connected(ctx) as client, _stopping(stop):
        try:
            ended = _run_to_its_end(ctx, client, suite, options, notifier, stop)
        except StoppedError:
            say(f"interrupted; `steelyard nightly run` goes on with this night of {suite.name}")
            ctx.exit(EXIT_INTERRUPTED)
        except Exception as error:
            notifier.fail(getattr(error, "exit_code", 70))
            raise
        for failed in notifier.end(client, ended.built.report):
            say(f"not told: {failed.channel}: {failed.reason}")
    return ended.built.report


def _run_to_its_end(
    ctx: click.Context,
    client: Client,
    suite: Suite,
    options: NightOptions,
    notifier: Notifier,
    stop: threading.Event,
) -> EndedNight:
    from steelyard.control.connect import connect
    from steelyard.nightly.running import run_night

    settings = settings_of(ctx)

    def begun(night: nightly_pb2.Night, resumed: bool) -> None:
        word = "going on with" if resumed else "beginning"
        say(f"controller {client.controller().controller_id[:8]}: {word} night {night.night_number} of {suite.name}")
        notifier.begin(client, night)

    return run_night(
        suite,
        lambda: connect(settings=settings),
        options=options,
        stop=stop,
        say=_progress(),
        on_begin=begun,
        on_told=notifier.announce,
    )


def _progress() -> Callable[[str], None]:
    lock = threading.Lock()

    def tell(text: str) -> None:
        with lock:
            say(text)

    return tell


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Let a first Ctrl-C end the night where it is, and a second one end the command."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _frame: object) -> None:
        stop.set()
        say("stopping; what is finished is kept")
        for one, handler in before.items():
            signal.signal(one, handler)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _show(report: NightReport, *, as_json: bool) -> None:
    if as_json:
        from steelyard.nightly.report_json import plain

        document = plain(report)
        del document["schema_version"]
        emit_json("night", document)
        return
    from steelyard.report.night.terminal import render_night_summary

    console().print(render_night_summary(report))


def _show_plan(ctx: click.Context, suite: Suite, options: NightOptions, *, as_json: bool) -> None:
    from steelyard.nightly.dry_run import planned_night

    with connected(ctx) as client:
        planned = planned_night(client, suite, options)
    if as_json:
        emit_json("night_plan", planned.document())
        return
    out = console()
    for device, plan in planned.plans:
        out.print(
            f"{device.name}: {len(plan.cells)} cells, {plan.round_count} rounds each, about "
            f"{human_duration(plan.estimated_s)} of {human_duration(device.budget_s)}",
            markup=False,
        )
        for cell in plan.cells:
            out.print(f"  {cell.model} ({cell.runtime})", markup=False)
        for left in plan.left_out:
            out.print(f"  not tonight: {left.cell.model} ({left.cell.runtime}): {left.reason}", markup=False)
    for one in planned.unmet:
        out.print(f"{one.name}: not there: {one.reason}", markup=False)
    for problem in planned.missing:
        say(f"warning: {problem}")


@nightly.command(short_help="Show the last night of each suite, and how long ago.")
@click.argument("suite_name", required=False, default="", metavar="[SUITE]")
@click.option("--max-age", type=DURATION, metavar="TIME", help="End with 3 where the last complete night is older.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def status(ctx: click.Context, suite_name: str, max_age: float | None, as_json: bool) -> None:
    """Show the last night of each suite: how it ended, and how long ago by the controller's clock.

    A dead man's switch for any machine: with --max-age it ends with 3 where the last complete night of a suite is
    older, or where there is none. An INCOMPLETE night does not count.

    \b
    Examples:
      steelyard nightly status
      steelyard nightly status shelf --max-age 26h
      steelyard --controller lab:7421 nightly status --max-age 26h --json
    """
    from steelyard.nightly.night_status import statuses

    with connected(ctx) as client:
        found = statuses(client.nightly.latest(suite_name), suite_name, max_age_s=max_age)
    with reader_may_leave():
        _show_statuses(found, as_json=as_json)
    late = any(one.is_late for one in found) or (max_age is not None and not found)
    ctx.exit(EXIT_INCOMPLETE if late else EXIT_FINE)


def _show_statuses(found: Sequence[SuiteStatus], *, as_json: bool) -> None:
    if as_json:
        emit_json("night_status", {"suites": [one.document() for one in found]})
        return
    for one in found:
        click.echo(one.sentence)
    if not found:
        click.echo(_none_yet(""))


@nightly.command("list")
@click.argument("suite_name", required=False, default="", metavar="[SUITE]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=30, show_default=True, metavar="N", help="At most.")
@click.option("--json", "as_json", is_flag=True, help="As JSON on stdout.")
@click.pass_context
def list_nights(ctx: click.Context, suite_name: str, limit: int, as_json: bool) -> None:
    """List the newest nights of a suite, or of all.

    \b
    Examples:
      steelyard nightly list
      steelyard nightly list shelf --limit 7 --json
    """
    from rich.table import Table

    from steelyard.nightly.night_status import night_document, night_words

    with connected(ctx) as client:
        nights = client.nightly.nights(suite_name, most=limit)
    if as_json:
        documents: list[dict[str, Any]] = [night_document(one) for one in nights]
        emit_json("nights", {"nights": documents})
        return
    if not nights:
        click.echo(_none_yet(suite_name))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("SUITE", "NIGHT", "BEGAN (UTC)", "TOOK", "RESULT"):
        table.add_column(heading)
    for one in nights:
        table.add_row(*night_words(one))
    console().print(table)


def _none_yet(suite_name: str) -> str:
    nobody = f"{suite_name} has no night yet" if suite_name else "no suite has a night yet"
    return f"{nobody}; `steelyard nightly run SUITE` begins one"
