"""One process of the fleet, with a disk, a log, a clock and a boot of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from tests.chaos.disk import Disk, make_disk
from tests.chaos.moved_world import World
from tests.support.processes import children_running

_REPOSITORY = Path(__file__).parents[2]
# What a program ends with that could not use its disk; a service manager starts it again.
_INFRASTRUCTURE = 4
_AGAIN_S = 0.5
_STOP_S = 30.0


class Node:
    """Runs ``python -m MODULE ARGUMENTS`` for as long as it is wanted. Used from one thread."""

    def __init__(
        self, name: str, root: Path, module: str, arguments: Sequence[str], *, world: World | None = None
    ) -> None:
        """Make its disk; ``{state}`` in the arguments becomes its state directory."""
        self.name = name
        self.module = module
        self.log = root / f"{name}.log"
        self.disk: Disk = make_disk(root / name, self.pids)
        self.state = self.disk.folder / "state"
        self._world = world or World()
        self._world_file = root / f"{name}.world"
        self._world.write(self._world_file)
        self._arguments = [argument.format(state=self.state) for argument in arguments]
        self._environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_REPOSITORY), os.environ.get("PYTHONPATH")))),
            "GRPC_ENABLE_FORK_SUPPORT": "0",
            "XDG_CONFIG_HOME": str(root / "config"),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at_s = 0.0
        self._disk_was_full_s = -1e9

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.chaos.moved_world", str(self._world_file), self.module]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=_REPOSITORY,
                start_new_session=True,
            )

    def kill(self, *, again_in_s: float) -> None:
        """KILL the process alone; what it started must notice by itself."""
        self._end(signal.SIGKILL)
        self._start_at_s = time.monotonic() + again_in_s

    def reboot(self, *, again_in_s: float) -> None:
        """KILL the process and all that it started, and let it come up in another boot."""
        family = self._family()
        self.kill(again_in_s=again_in_s)
        for one in family:
            with suppress(psutil.Error):
                one.kill()
        self._change_world(replace(self._world, boot_id=str(uuid.uuid4())))

    def move_clock(self, by_s: float) -> None:
        self._change_world(replace(self._world, clock_offset_s=self._world.clock_offset_s + by_s))

    def workers(self) -> list[psutil.Process]:
        """Return the workers of an agent that run now."""
        if self._process is None:
            return []
        with suppress(psutil.Error):
            return children_running("steelyard_agent.worker", self._process.pid)
        return []

    def _family(self) -> list[psutil.Process]:
        if self._process is None:
            return []
        with suppress(psutil.Error):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def look(self) -> str:
        """Start it again when it is time; return what is wrong about how it ended by itself, "" when nothing is."""
        now_s = time.monotonic()
        if self.disk.is_full:
            self._disk_was_full_s = now_s
        if self._process is None:
            if now_s >= self._start_at_s:
                self.start()
            return ""
        code = self._process.poll()
        if code is None:
            return ""
        self._process, self._start_at_s = None, now_s + _AGAIN_S
        if code == _INFRASTRUCTURE and now_s - max(self._disk_was_full_s, self.disk.was_full_s) < 10:
            return ""
        return f"{self.name} ended by itself with {code}; see {self.log}"

    def stop(self) -> str:
        """End it as a service manager does; return what is wrong about how it ended."""
        if self._process is None:
            return ""
        code = self._end(signal.SIGTERM)
        return "" if code == 0 else f"{self.name} ended with {code} after TERM; see {self.log}"

    def close(self) -> None:
        """End it at once, and take its disk away."""
        self._end(signal.SIGKILL)
        self.disk.close()

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _change_world(self, world: World) -> None:
        self._world = world
        world.write(self._world_file)

    def pids(self) -> list[int]:
        return [self._process.pid] if self._process is not None else []
