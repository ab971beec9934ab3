"""``steelyard-agent environment``: the other Python interpreters that workers may run under."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from steelyard_agent.block_runner import run_block
from steelyard_agent.description import RuntimeDescription
from steelyard_agent.environments import RuntimeEnvironment, environments_locked, read_environments, write_environments
from steelyard_agent.errors import UsageError
from steelyard_agent.interpreters import inspect_interpreter, interpreter_path
from steelyard_agent.jobs.probing import probe_environment
from steelyard_agent.runtimes.lookup import runtime_names
from steelyard_agent.state.directory import default_state_directory

SCHEMA_VERSION = 1
# The package itself, not a module within one that is broken.
_NOT_THERE = re.compile(r"No module named '[^'.]+'")
_WIDTH = 80


def environment(options: argparse.Namespace) -> int:
    """Add, list or remove, as ``options.action`` says."""
    root = (options.state_directory or default_state_directory(os.environ, Path.home())).absolute()
    if options.action == "list":
        return _list(root, as_json=options.json)
    return _add(root, options) if options.action == "add" else _remove(root, options.name)


def _add(root: Path, options: argparse.Namespace) -> int:
    added = RuntimeEnvironment(name=options.name, python=interpreter_path(options.python))
    # A file that cannot be used is said before the look, which takes a minute on a board.
    read_environments(root)
    version, runtimes = asyncio.run(_looked_at(added))
    with environments_locked(root):
        kept = [one for one in read_environments(root) if one.name != added.name]
        write_environments(root, [*kept, added])
    print(f"{added.name}: Python {version} at {added.python}")
    for one in runtimes:
        text = f"{one.name} {one.version} ({', '.join(one.providers)})"
        print(fill(text, _WIDTH, initial_indent="  ", subsequent_indent="    "))
    print(f"Name it as --runtime {runtimes[0].name}@{added.name}; an agent that runs now must be started again first.")
    return 0


async def _looked_at(added: RuntimeEnvironment) -> tuple[str, tuple[RuntimeDescription, ...]]:
    """Return the Python version of an environment and its runtimes.

    Raises:
        UsageError: It cannot run workers, or has no runtime to run.
    """
    found = await inspect_interpreter(added.python)
    with tempfile.TemporaryDirectory(prefix="steelyard-") as folder:
        runtimes = await probe_environment(added, runtime_names(), run_block=run_block, work_folder=Path(folder))
    version = ".".join(map(str, found.version))
    if not any(one.version for one in runtimes):
        raise _no_runtime(f"{added.python} (Python {version})", added.python, runtimes)
    return version, runtimes


def _no_runtime(what: str, python: Path, runtimes: Sequence[RuntimeDescription]) -> UsageError:
    if len({one.reason for one in runtimes}) == 1:
        # Then it is not the runtimes that fail.
        return UsageError(
            "no_worker",
            f"no worker runs under {what}: {runtimes[0].reason}; name an interpreter that starts and prints nothing "
            "by itself",
        )
    # A runtime that is there and cannot be used says more than those that are not there.
    broken = [f"{one.name}: {one.reason}" for one in runtimes if not _NOT_THERE.search(one.reason)]
    return UsageError(
        "no_runtime",
        f"{what} has no runtime that can be used: "
        + ("; ".join(broken) or f"it has none of {', '.join(one.name for one in runtimes)}")
        + f". Install one, as in {python} -m pip install onnxruntime, and add it again",
    )


def _list(root: Path, *, as_json: bool) -> int:
    environments = read_environments(root)
    if as_json:
        rows = [{"name": one.name, "python": str(one.python), "reason": _why_not(one)} for one in environments]
        print(json.dumps({"schema_version": SCHEMA_VERSION, "environments": rows}, indent=2))
        return 0
    for one in environments:
        reason = _why_not(one)
        print(f"{one.name}  {one.python}" + (f"  ({reason})" if reason else ""))
    if not environments:
        print("none; add one with: steelyard-agent environment add NAME --python PATH")
    return 0


def _why_not(one: RuntimeEnvironment) -> str:
    """Return why an environment cannot be used, as far as its file tells; nothing is started."""
    return "" if os.access(one.python, os.X_OK) else "there is no program at this path"


def _remove(root: Path, name: str) -> int:
    environments = read_environments(root)
    if all(one.name != name for one in environments):
        there = ", ".join(one.name for one in environments) or "none"
        raise UsageError("no_such_environment", f"there is no environment {name[:80]!r}; there is: {there}")
    with environments_locked(root):
        write_environments(root, [one for one in read_environments(root) if one.name != name])
    print(f"{name} is forgotten; its files stay where they are")
    return 0
