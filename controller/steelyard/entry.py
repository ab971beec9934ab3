"""The command `steelyard` before anything heavy is imported. Standard library only.

The base install is the agent; without the controller's extra this answers with the one pip line that is missing.
"""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("click", "rich", "platformdirs", "sqlalchemy", "alembic", "scipy", "onnx", "onnxruntime", "jinja2")


def main() -> None:
    """Run the command line, or say what to install; the exit code is that of docs/exit-codes.md."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"steelyard: the controller is not installed here ({', '.join(missing)} missing); run:\n"
            "pip install 'steelyard[controller]'\n"
        )
        sys.exit(2)
    from steelyard.cli.main import run

    sys.exit(run(sys.argv[1:]))
