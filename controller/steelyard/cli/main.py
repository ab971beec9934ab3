"""The command `steelyard`: commands imported on use, and one place where every error becomes an exit code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from steelyard import __version__
from steelyard.cli.reader import forget_reader
from steelyard.cli.visible import visible
from steelyard.errors import EXIT_BUG, EXIT_FINE, EXIT_INTERRUPTED, EXIT_USAGE, SteelyardError, UsageError
from steelyard.spelling import meant

# Name -> (module, object, help): the help stands here so that `steelyard --help` imports no command.
COMMANDS = {
    "advise": ("steelyard.cli.advise", "advise", "Say what to try for a model on a device, why, and what to expect."),
    "alerts": ("steelyard.cli.alerts", "alerts", "See what nights found, and say what you make of it."),
    "artifact": (
        "steelyard.cli.artifact",
        "artifact",
        "List models and variants, how each was made, and get files back.",
    ),
    "backup": ("steelyard.cli.backup", "backup", "Copy the controller's state into one file while it runs."),
    "bisect": ("steelyard.cli.bisect", "bisect", "Find which model, step, runtime or revision brought a change."),
    "bundle": ("steelyard.cli.bundle", "bundle", "Write measurements as one archive, and verify one."),
    "ca": ("steelyard.cli.ca", "ca", "Show, export, import and change the controller's authority."),
    "compare": ("steelyard.cli.compare", "compare", "Compare two models on a device, paired by round."),
    "completion": ("steelyard.cli.completion", "completion", "Print the shell completion script."),
    "compress": ("steelyard.cli.compress", "compress", "Make compressed variants of a model."),
    "convert": ("steelyard.cli.convert", "convert", "Write a float ONNX model as TFLite or Core ML, checked."),
    "demo": ("steelyard.cli.demo", "demo", "Weigh two real models on this machine, with a report."),
    "deploy": ("steelyard.cli.deploy", "deploy", "Bring an agent onto a device by ssh, or upgrade it."),
    "device": ("steelyard.cli.device", "device", "List, show, invite and remove devices, and look after them."),
    "experiment": (
        "steelyard.cli.experiment",
        "experiment",
        "Recipes with several seeds: what is more than luck.",
    ),
    "export": ("steelyard.cli.export", "export", "Write a variant with its model card and a script that runs it."),
    "gate": ("steelyard.cli.gate", "gate", "Judge a change: base beside head on devices, with an exit code for CI."),
    "gc": ("steelyard.cli.gc", "gc", "Remove old samples, and blobs that nothing names."),
    "history": ("steelyard.cli.history", "history", "Plot what a series was over its nights, and what changed."),
    "import": ("steelyard.cli.import_model", "import_model", "Turn a PyTorch program into an ONNX model, checked."),
    "job": ("steelyard.cli.job", "job", "List, show and cancel jobs, and get their raw samples."),
    "lineage": ("steelyard.cli.lineage", "lineage", "Show how a variant was made, as a tree."),
    "login": ("steelyard.cli.login", "login", "Log in to a controller on another machine by a join code."),
    "measure": ("steelyard.cli.measure", "measure", "Measure models on a device and say which one to ship."),
    "meter": ("steelyard.cli.meter", "meter", "Try and list the power meters that the controller can read."),
    "nightly": ("steelyard.cli.nightly", "nightly", "Run a suite's nights, and see when the last one was."),
    "operators": (
        "steelyard.cli.operators",
        "operators",
        "Show what each operator of a model takes, and where it runs.",
    ),
    "plugin": ("steelyard.cli.plugin", "plugin", "List what plugins bring, and what keeps one from being used."),
    "profile": ("steelyard.cli.profile", "profile", "List, show, check and draft board profiles."),
    "report": ("steelyard.cli.report", "report", "Write the report of finished measurements, or their tables."),
    "restore": ("steelyard.cli.backup", "restore", "Put a backup into a new state directory, verified."),
    "result": ("steelyard.cli.result", "result", "List measurements with their main figures."),
    "sensitivity": (
        "steelyard.cli.sensitivity",
        "sensitivity",
        "Find the layers of a model that lose most as integers.",
    ),
    "serve": ("steelyard.cli.serve", "serve", "Run a controller that devices connect to."),
    "suite": ("steelyard.cli.suite", "suite", "Check and begin suites: what a night measures."),
    "undeploy": ("steelyard.cli.deploy", "undeploy", "Remove an agent that deploy brought, without a trace."),
    "top": ("steelyard.cli.top", "top", "Watch devices and jobs live."),
    "user": ("steelyard.cli.user", "user", "Invite, list and remove people who may use the controller."),
    "variant": ("steelyard.cli.artifact", "variant", "List variants, with what each scored."),
}


class ReaderGoneError(Exception):
    """Whoever read our output went away, as in `| head`."""


class CommandsOnUse(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import one command."""
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names, or say which one was meant."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {args[0]!r}; {meant(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a broken pipe is kept from click, which would exit with 1, our code of a regression."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


@click.group(cls=CommandsOnUse, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="steelyard")
@click.option(
    "--controller",
    metavar="ADDRESS",
    help="unix:PATH of a controller's socket, or HOST:PORT where you have logged in; else found or started.",
)
@click.option("--state-directory", metavar="DIR", help="Where the controller keeps models, results and its socket.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Where a controller started here listens for agents (loopback only)."
)
@click.option("--verbose", is_flag=True, help="Log what the controller does, on stderr.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How logs are written; json has the ids of the job and the device in each line.",
)
@click.pass_context
def cli(ctx: click.Context, controller: str, state_directory: str, listen: str, verbose: bool, log_format: str) -> None:
    """Weigh compressed neural networks on the hardware they will run on.

    \b
    Examples:
      steelyard demo
      steelyard compress model.onnx --recipe static-int8 --task task.toml
      steelyard measure model.onnx model-static-int8 --require 'p90<20ms' --local
      steelyard device list

    Exit codes: 0 fine, 1 an unmet requirement or a regression, 2 usage, 3 undecided or incomplete, 4 device or
    infrastructure, 70 a bug of ours, 130 interrupted.
    """
    _log_to_stderr(ctx, verbose=verbose, log_format=log_format)
    flags = {"controller": controller, "state_directory": state_directory, "agent_listen": listen}
    ctx.obj = {key: value for key, value in flags.items() if value}


def _log_to_stderr(ctx: click.Context, *, verbose: bool, log_format: str) -> None:
    """Log on stderr for as long as this command runs: a program that calls us twice keeps its own logging."""
    import logging

    from steelyard.log_context import make_formatter

    root, handler = logging.getLogger(), logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(log_format))
    handler.setLevel(logging.INFO if verbose else logging.ERROR)
    # Six lines at each start that say nothing of the controller.
    handler.addFilter(lambda record: not record.name.startswith("alembic.runtime.plugins"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(min(level, handler.level) if level else handler.level)

    def let_go() -> None:
        root.removeHandler(handler)
        root.setLevel(level)

    ctx.call_on_close(let_go)


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911  (an exit code per kind of end)
    """Run the command line and return its exit code; no crash looks like a result."""
    try:
        _refuse_undecodable(arguments)
        result = cli.main(args=list(arguments), prog_name="steelyard", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_USAGE
    except click.ClickException as error:
        click.echo(f"steelyard: {visible(_one_line(error))}", err=True)
        return EXIT_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except SteelyardError as error:
        click.echo(f"steelyard: {visible(str(error))}", err=True)
        return error.exit_code
    except ReaderGoneError:
        # There is nobody left to tell; nor must the interpreter try at its end.
        forget_reader(sys.stdout)
        return EXIT_FINE
    except Exception:  # noqa: BLE001  (the top-level handler: a crash report, never a plausible result)
        click.echo(f"steelyard: a bug of ours; {_write_crash_report(arguments)}", err=True)
        return EXIT_BUG
    return result if isinstance(result, int) else EXIT_FINE


def _refuse_undecodable(arguments: Sequence[str]) -> None:
    """Refuse what is not UTF-8 before it reaches a message, a table or a terminal, none of which can hold it."""
    for argument in arguments:
        if argument.encode(errors="ignore").decode() != argument:
            raise UsageError(
                "not_utf8", f"the argument {argument!r} is not UTF-8: rename the file, or type the text in UTF-8"
            )


def _one_line(error: click.ClickException) -> str:
    """Return what is wrong with the words that were typed, and where the right ones are listed."""
    sentence = " ".join(error.format_message().split()).rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{sentence}; see `{context.command_path} --help`" if context is not None else sentence


def _write_crash_report(arguments: Sequence[str]) -> str:
    """Return where the report is, or the report itself when no disk takes it."""
    import tempfile

    now = datetime.now(tz=timezone.utc)
    report = f"steelyard {__version__}\npython {sys.version}\narguments {list(arguments)!r}\n\n{traceback.format_exc()}"
    try:
        path = Path(tempfile.gettempdir()) / f"steelyard-crash-{now:%Y%m%dT%H%M%S}-{os.getpid()}.txt"
        path.write_text(report, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"no crash report could be written:\n{visible(report)}"
    return f"the crash report is {path}"
