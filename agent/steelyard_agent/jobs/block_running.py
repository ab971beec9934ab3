"""What rounds ask of whoever runs blocks and watches their energy: this device, a phone on a cable, a fake."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from steelyard_agent.readings import Reading
from steelyard_agent.worker.block import Block, WorkerResult
from steelyard_agent.worker.failure import BlockStatus


class Outcome(Protocol):
    """How a block ended (``block_runner.BlockOutcome``)."""

    @property
    def status(self) -> BlockStatus: ...  # noqa: D102 (the fields of BlockOutcome)
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def result(self) -> WorkerResult | None: ...  # noqa: D102
    @property
    def started_at_unix_ns(self) -> int: ...  # noqa: D102
    @property
    def wall_ns(self) -> int: ...  # noqa: D102
    @property
    def notes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def least_available_bytes(self) -> int | None: ...  # noqa: D102


class BlockRunner(Protocol):
    """Runs one block in a fresh process; cancelling it kills that process."""

    async def __call__(
        self,
        block: Block,
        *,
        timeout_s: float,
        memory_limit_bytes: int | None,
        work_dir: Path,
        python: Path | None = None,
    ) -> Outcome:
        """Return how the block ended; a model that misbehaves is an outcome, not an exception.

        ``python`` is the interpreter of another runtime environment than the agent's own.
        """
        ...


class EnergyWatch(Protocol):
    """Watches the power and energy sources beside a block."""

    async def start(self) -> None:
        """Begin to sample."""
        ...

    async def stop(self, result: WorkerResult | None) -> list[Reading]:
        """End sampling; return the energy of the window that ``result`` names, or the reason why there is none."""
        ...
