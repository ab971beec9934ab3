"""The command ``steelyard-agent``: results on standard output, everything else on standard error."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.cli.crash import write_crash_report
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
    options = build_parser().parse_args(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(options.log_format))
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO, handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    try:
        return int(options.command(options))
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
        where = write_crash_report(error)
        print(f"steelyard-agent: a bug of ours ({type(error).__name__}: {error}); {where}", file=sys.stderr)
        return EXIT_BUG
