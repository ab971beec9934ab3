"""``steelyard-agent run`` in a process that holds no more than idling for weeks takes.

Reading a command line takes half a megabyte of modules that nobody needs afterwards, and Python gives none of it back.
The command therefore becomes this module by exec: same process id, same pipes, same service of systemd.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from steelyard_agent.cli import run_command, start_logging
from steelyard_agent.cli.run_options import RunOptions, as_text, from_text


def become_idle(options: RunOptions) -> NoReturn:
    """Replace this process by one that serves; it ends as ``run`` does."""
    words = module_words("steelyard_agent", "idle", as_text(options))
    os.execv(words[0], words)  # noqa: S606 (our own interpreter)


def module_words(module: str, *words: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours under this interpreter.

    A script finds nothing in the current folder, and neither shall what it starts: ``-m`` alone would look there first.
    """
    from_here = sys.path[:1] in ([""], [os.getcwd()])  # noqa: PTH109 (as sys.path has it)
    safe = () if from_here or sys.version_info < (3, 11) else ("-P",)
    return (sys.executable, *safe, "-m", module, *words)


def main(text: str) -> int:
    """Serve; return the exit status of the command."""
    options = from_text(text)
    start_logging(verbose=options.verbose, log_format=options.log_format)

    def serve() -> int:
        from steelyard_agent.cli.run import run

        return run(options)

    return run_command(serve)
