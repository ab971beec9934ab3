"""The command `steelyard` before anything heavy is imported. Standard library only, for every Python of the agent.

The base install is the agent; without the controller's extra this answers with the one pip line that is missing.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys

_NEEDED = (
    "click",
    "rich",
    "platformdirs",
    "cryptography",
    "sqlalchemy",
    "alembic",
    "scipy",
    "onnx",
    "onnxruntime",
    "jinja2",
)
_EXIT_USAGE = 2


def main() -> None:
    """Run the command line, or say what to install; exit codes are those of docs/controller.md."""
    if sys.version_info < (3, 11):
        version = ".".join(str(part) for part in sys.version_info[:2])
        sys.stderr.write(f"steelyard: the controller needs Python 3.11 or newer, this is {version}: use another\n")
        sys.exit(_EXIT_USAGE)
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        sys.stderr.write("steelyard: the controller is not installed here; run: pip install 'steelyard[controller]'\n")
        sys.exit(_EXIT_USAGE)
    # gRPC's own lines ("Handshake failed ...") beside our sentences help nobody; set it to DEBUG to have them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    _end_as_interrupted()
    from steelyard.cli.main import run

    sys.exit(run(sys.argv[1:]))


def _end_as_interrupted() -> None:
    """Let TERM, and HUP of a terminal that is closed, end a command as Ctrl-C does: its job is cancelled first.

    A signal that is ignored (``nohup``) stays ignored.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
