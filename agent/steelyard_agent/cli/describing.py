"""Describes this device in a child, ``python -m steelyard_agent.cli.describing``, which takes what that needs with it.

Probing runtimes, meters and profiles takes a hundred modules and their garbage: an agent that idles for weeks would
hold them for a second of work.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from steelyard_agent.cli import start_logging
from steelyard_agent.cli.idle import module_words
from steelyard_agent.errors import AgentError, UsageError
from steelyard_protocol.v1.common_pb2 import DeviceDescription

if TYPE_CHECKING:
    from steelyard_agent.profiles import Profile

_log = logging.getLogger(__name__)

# Two dozen environments with a slow card each take minutes; without an answer after that, something hangs.
_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which device is to be described: its state directory, its id, its name ("" for the host's), profiles of its own.

    ``profiles`` is a folder, "" for none; ``log_format`` is that of the asking process, whose log this one shares.
    """

    state_root: str
    device_id: str
    name: str = ""
    profiles: str = ""
    log_format: str = "text"

    def __post_init__(self) -> None:
        """Refuse a device without a place or an id."""
        if not self.state_root or not self.device_id:
            raise ValueError(f"state root {self.state_root!r} and device id {self.device_id!r}: both are needed")


async def described_by_child(question: Question) -> DeviceDescription:
    """Return the description of this device as the wire has it.

    Raises:
        UsageError: As ``describe_this_device``.
        AgentError: As ``describe_this_device``, or ``description_failed``: the child died.
    """
    from steelyard_agent.worker.birth import SUPERVISOR_VARIABLE

    process = await asyncio.create_subprocess_exec(
        *module_words("steelyard_agent.cli.describing", json.dumps(asdict(question))),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, SUPERVISOR_VARIABLE: str(os.getpid())},
        # A group of its own: an interrupt at the terminal is the supervisor's to handle.
        start_new_session=True,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_S)
    except asyncio.TimeoutError:
        raise AgentError(
            "description_failed", f"this device was not described within {_TIMEOUT_S:g} s; run steelyard-agent doctor"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _read(output, process.returncode)


def _read(output: bytes, status: int | None) -> DeviceDescription:
    if status == 0:
        return DeviceDescription.FromString(output)
    try:
        told = json.loads(output)
        kind = UsageError if told["usage"] else AgentError
        reason, sentence = str(told["reason"]), str(told["sentence"])
    except (ValueError, TypeError, KeyError):
        raise AgentError(
            "description_failed",
            f"describing this device ended with {status}; its log above says why, and steelyard-agent doctor says more",
        ) from None
    raise kind(reason, sentence)


async def describe(question: Question) -> DeviceDescription:
    """Return the description of this device, made in this process; raises as ``described_by_child``."""
    from steelyard_agent.cli.device import describe_this_device
    from steelyard_agent.environments import read_environments
    from steelyard_agent.jobs.description_message import description_message

    root = Path(question.state_root)
    return description_message(
        await describe_this_device(
            name=question.name,
            device_id=question.device_id,
            work_folder=root / "work",
            environments=read_environments(root),
            profiles=chosen_profiles(root, Path(question.profiles) if question.profiles else None),
        )
    )


def chosen_profiles(root: Path, named: Path | None) -> tuple[Profile, ...]:
    """Return the board profiles; those of this user count for every agent here, also for the device ``local``."""
    from steelyard_agent.profiles import read_shelf, user_folders
    from steelyard_agent.state.directory import default_state_directory

    mine = default_state_directory(os.environ, Path.home())
    shelf = read_shelf(user_folders(mine, root, named=named))
    for complaint in shelf.complaints:
        _log.warning("left out: %s", complaint)
    return shelf.profiles


def main(question_text: str) -> int:
    """Answer on standard output: 0 and the message, 1 and an error as JSON, or a bug's traceback."""
    from steelyard_agent.worker.birth import die_with_supervisor

    die_with_supervisor(os.environ)
    os.environ.pop("STEELYARD_SUPERVISOR_PID", None)
    question = Question(**json.loads(question_text))
    start_logging(verbose=False, log_format=question.log_format)
    try:
        answer = asyncio.run(describe(question)).SerializeToString()
        status = 0
    except AgentError as error:
        told = {"usage": isinstance(error, UsageError), "reason": error.reason, "sentence": str(error)}
        answer, status = json.dumps(told).encode("utf-8"), 1
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
