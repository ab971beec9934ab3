"""The part of the outbox that one controller's jobs made: results go to nobody else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from steelyard_agent.state.outbox import Outbox, OutboxBlob, OutboxEntry, RoundKey


class OutboxShare:
    """Shows an outbox as if one controller's rounds were all. Not thread safe."""

    def __init__(self, outbox: Outbox, *, controller_id: str, takes_unnamed: bool) -> None:
        """Show the rounds of ``controller_id``; with ``takes_unnamed`` also those that name no controller."""
        self._outbox = outbox
        self._controller_id = controller_id
        self._mine = {controller_id, ""} if takes_unnamed else {controller_id}

    def __contains__(self, key: RoundKey) -> bool:
        entry = self._outbox.find(key)
        return entry is not None and entry.controller_id in self._mine

    def entries(self) -> tuple[OutboxEntry, ...]:
        """Return every round of this controller that waits."""
        return tuple(entry for entry in self._outbox.entries() if entry.controller_id in self._mine)

    def put(self, key: RoundKey, *, epoch: int, result: bytes, outputs: Mapping[str, Path]) -> OutboxEntry:
        """See ``Outbox.put``."""
        return self._outbox.put(key, epoch=epoch, result=result, outputs=outputs, controller_id=self._controller_id)

    def result_path(self, entry: OutboxEntry) -> Path:
        """See ``Outbox.result_path``."""
        return self._outbox.result_path(entry)

    def output_path(self, entry: OutboxEntry, blob: OutboxBlob) -> Path:
        """See ``Outbox.output_path``."""
        return self._outbox.output_path(entry, blob)

    def remove(self, key: RoundKey) -> None:
        """See ``Outbox.remove``; a round of another controller stays, whoever acknowledged it."""
        if key in self:
            self._outbox.remove(key)
