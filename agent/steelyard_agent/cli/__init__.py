"""The command ``steelyard-agent``: results on standard output, everything else on standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence

from steelyard_agent.errors import AgentError
from steelyard_agent.log_lines import make_formatter

EXIT_FINE = 0
EXIT_BUG = 70
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status of the table in the documentation."""
    # gRPC must not install its fork handlers: workers are started by exec only. Read when grpc is imported.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    # gRPC's own log says what our one line says already.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # Not above: the process that idles comes by here without a parser.
    from steelyard_agent.cli.arguments import build_parser

    options = build_parser().parse_args(arguments)
    if arguments is None and getattr(options, "idles", False):
        from steelyard_agent.cli.idle import become_idle
        from steelyard_agent.cli.run_options import from_namespace

        become_idle(from_namespace(options))
    start_logging(verbose=options.verbose, log_format=options.log_format)
    return run_command(lambda: int(options.command(options)))


def start_logging(*, verbose: bool, log_format: str) -> None:
    """Write the log of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(log_format))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def run_command(command: Callable[[], int]) -> int:
    """Return the exit status of a command, after a sentence when it is not fine."""
    try:
        return command()
    except AgentError as error:
        print(f"steelyard-agent: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("steelyard-agent: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing more to say, and no bug.
        sys.stdout = None
        return EXIT_FINE
    except Exception as error:  # noqa: BLE001 (the one place where a bug may be met: it is told, then the process ends)
        from steelyard_agent.cli.crash import write_crash_report

        where = write_crash_report(error)
        print(f"steelyard-agent: a bug of ours ({type(error).__name__}: {error}); {where}", file=sys.stderr)
        return EXIT_BUG
