"""A bug must not look like a result: it leaves a report and an exit status of its own."""

from __future__ import annotations

import os
import time
from pathlib import Path

from steelyard_agent import __version__
from steelyard_agent.state.directory import crash_folder, default_state_directory


def write_crash_report(error: BaseException) -> str:
    """Write what is needed to find the bug and return the end of a sentence that says where it is."""
    import platform
    import tempfile
    import traceback

    text = "".join(
        [
            f"steelyard-agent {__version__}, Python {platform.python_version()}, {platform.platform()}\n",
            *traceback.format_exception(error),
        ]
    )
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.getpid()}.txt"
    for folder in (crash_folder(default_state_directory(os.environ, Path.home())), Path(tempfile.gettempdir())):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError:
            continue
        return f"a report is in {folder / name}; please send it in"
    return f"no report could be written:\n{text}"
