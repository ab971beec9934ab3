"""The device `local`: a spawned `steelyard-agent run` on loopback, started when a job asks for it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path

_log = logging.getLogger(__name__)

LOCAL_NAME = "local"
# An agent that dies again and again is not brought back for ever.
MAX_RESTARTS = 3
_STOP_GRACE_S = 5.0


class LocalAgent:
    """Keeps one agent process alive while it is wanted. Used from one event loop."""

    def __init__(self, *, state_directory: Path, controller_address: str) -> None:
        self._state_directory = state_directory
        self._controller_address = controller_address
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.restart_count = 0

    @property
    def log_path(self) -> Path:
        """Where the agent's log goes."""
        return self._state_directory / "agent.log"

    @property
    def pid(self) -> int | None:
        """Process id of the running agent, None when there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def gave_up(self) -> bool:
        """True when the agent died too often."""
        return self._keeper is not None and self._keeper.done()

    def is_ours(self, device_id: str) -> bool:
        """Say whether this is the identity of the agent that is spawned from here; it writes it before it dials."""
        try:
            identity = json.loads((self._state_directory / "device.json").read_bytes())
        except (OSError, ValueError):
            return False
        return isinstance(identity, dict) and identity.get("device_id") == device_id

    async def ensure(self) -> None:
        """Start the agent unless it runs."""
        if self._keeper is None or self._keeper.done():
            self.restart_count = 0
            self._state_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            await self._spawn()
            self._keeper = asyncio.create_task(self._keep())

    async def _spawn(self) -> None:
        with self.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "steelyard_agent", "run"),
                *("--controller", self._controller_address, "--name", LOCAL_NAME),
                *("--state-directory", str(self._state_directory), "--exit-with-stdin"),
                # Held open for as long as this process lives: a killed controller leaves no agent behind.
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0"},
                # A Ctrl-C in the terminal is the command's to handle: it cancels the job and ends the agent itself.
                start_new_session=True,
            )

    async def _keep(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            if self.restart_count >= MAX_RESTARTS:
                _log.error("the local agent ended with %s for the %dth time; see %s", code, MAX_RESTARTS, self.log_path)
                return
            self.restart_count += 1
            _log.warning("the local agent ended with %s; starting it again", code)
            await self._spawn()

    async def stop(self) -> None:
        """End the agent: TERM, then KILL."""
        if self._keeper is not None:
            self._keeper.cancel()
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_GRACE_S)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
