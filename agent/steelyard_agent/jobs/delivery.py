"""Brings finished rounds to the controller: upload, announce, and forget once they are recorded."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from steelyard_agent.jobs.errors import ControllerFullError, LinkDownError, TransferRefusedError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.jobs.port import ControllerPort, TransferGrant
from steelyard_agent.jobs.wire import grant_finished, round_ready
from steelyard_agent.state.outbox import Outbox, OutboxEntry, RoundKey
from steelyard_agent.state.outbox_share import OutboxShare
from steelyard_protocol.v1.session_pb2 import RoundGrant

_log = logging.getLogger(__name__)

# After an upload that broke off although the session stands.
_RETRY_PAUSE_S = 5.0
# A round that was said, or refused, and is not acknowledged: the controller's disk may have been full. A session lasts
# for weeks, so that it is not left to the next one; twice as long each time.
_AGAIN_S = 5.0
# For so long a controller whose disk is full is asked again before it counts as one that does not take a round.
_FULL_WAIT_S = 120.0
_MOST_AGAIN_S = 900.0


@dataclass(slots=True)
class _Notice:
    """A grant that is finished; told once its rounds are delivered."""

    grant: RoundGrant
    told: bool = False
    read: bool = False


class Delivery:
    """Delivers the outbox, oldest first. A round is announced until it is acknowledged; it is recorded once."""

    def __init__(
        self,
        *,
        outbox: Outbox | OutboxShare,
        port: ControllerPort,
        gate: QuietGate,
        on_refused: Callable[[OutboxEntry, TransferRefusedError], None],
        newest_epoch: Callable[[], int],
        retry_pause_s: float = _RETRY_PAUSE_S,
        again_s: float = _AGAIN_S,
        full_wait_s: float = _FULL_WAIT_S,
    ) -> None:
        """Deliver from ``outbox`` through ``port`` whenever ``gate`` is open.

        ``on_refused`` hears of a round that the controller does not take; it stays in the outbox. A controller without
        room is asked every ``retry_pause_s``, and refuses once it has none for ``full_wait_s``. What is sent is sent
        under ``newest_epoch``: the round may be of a lease that is over, its sender must not be.
        """
        self._outbox = outbox
        self._port = port
        self._gate = gate
        self._on_refused = on_refused
        self._newest_epoch = newest_epoch
        self._retry_pause_s = retry_pause_s
        self._again_s = again_s
        self._full_wait_s = full_wait_s
        # When the controller began to have no room.
        self._full_since_s: float | None = None
        # What was announced in this session, with what will announce it again.
        self._announced: dict[RoundKey, asyncio.TimerHandle] = {}
        self._announced_counts: Counter[RoundKey] = Counter()
        self._recorded: set[RoundKey] = set()
        self._notices: list[_Notice] = []
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()

    def session_opened(self, *, job_waits: bool) -> None:
        """Announce everything anew: what was said before may not have been heard.

        ``job_waits`` says that no granted round is left to run; only then is the last grant's end said again.
        """
        for timer in self._announced.values():
            timer.cancel()
        self._announced.clear()
        self._announced_counts.clear()
        self._full_since_s = None
        self._notices = [notice for notice in self._notices[:-1] if not notice.read] + self._notices[-1:]
        for notice in self._notices:
            notice.told = notice.read and not job_waits
        self._wake.set()

    def recorded(self, keys: list[RoundKey]) -> None:
        """Take note that these rounds are recorded; their files go when no block is timed."""
        self._recorded.update(keys)
        self._wake.set()

    def grant_finished(self, grant: RoundGrant) -> None:
        """Say that the grant is finished, once its rounds are delivered."""
        self._notices.append(_Notice(grant))
        self._wake.set()

    def forget_notices(self) -> None:
        """The job ended: nothing more is said about its grants."""
        self._notices.clear()

    async def run(self) -> None:
        """Deliver whenever there is something to deliver, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.deliver()

    async def deliver(self) -> None:
        """Deliver everything that waits; returns early when the link is down or breaks off."""
        async with self._turn:
            try:
                for entry in self._outbox.entries():
                    await self._deliver_entry(entry)
            except (LinkDownError, ControllerFullError) as error:
                _log.warning("results wait in the outbox: %s", error)
                asyncio.get_running_loop().call_later(self._retry_pause_s, self._wake.set)
                return
            async with self._gate.traffic():
                self._forget_recorded()
                self._tell_notices()

    async def _deliver_entry(self, entry: OutboxEntry) -> None:
        async with self._gate.traffic():
            self._forget_recorded()
            if entry.key in self._announced or entry.key not in self._outbox or not self._port.connected:
                return
            try:
                await self._upload_while_there_is_room(entry)
            except TransferRefusedError as error:
                self._note_announced(entry.key)
                _log.warning("round %s was not taken: %s", entry.key.folder_name, error)
                self._on_refused(entry, error)
                return
            if self._port.tell(round_ready(entry, epoch=self._epoch(entry))):
                self._note_announced(entry.key)

    def _note_announced(self, key: RoundKey) -> None:
        pause_s = min(_MOST_AGAIN_S, self._again_s * 2.0 ** min(self._announced_counts[key], 16))
        self._announced_counts[key] += 1
        self._announced[key] = asyncio.get_running_loop().call_later(pause_s, self._announce_again, key)

    def _announce_again(self, key: RoundKey) -> None:
        if self._announced.pop(key, None) is not None and key in self._outbox:
            self._wake.set()

    async def _upload_while_there_is_room(self, entry: OutboxEntry) -> None:
        """Upload a round.

        Raises:
            ControllerFullError: There is no room; it is worth another try.
            TransferRefusedError: There was none for too long, or the controller does not take it.
        """
        try:
            await self._upload(entry)
        except ControllerFullError as error:
            now_s = asyncio.get_running_loop().time()
            self._full_since_s = now_s if self._full_since_s is None else self._full_since_s
            if now_s - self._full_since_s < self._full_wait_s:
                raise
            raise TransferRefusedError(error.reason, f"{error}; it has no room for {self._full_wait_s:g} s") from error
        self._full_since_s = None

    async def _upload(self, entry: OutboxEntry) -> None:
        """Outputs first: a round is only announced when all that it names is there."""
        grant = TransferGrant(job_id=entry.key.job_id, epoch=self._epoch(entry))
        try:
            for blob in entry.outputs:
                await self._port.upload(blob.digest, self._outbox.output_path(entry, blob), grant=grant)
            await self._port.upload(entry.result.digest, self._outbox.result_path(entry), grant=grant)
        except TransferRefusedError:
            if self._epoch(entry) == grant.epoch:
                raise
            # This device was leased anew meanwhile: what is sent under the lease before is refused.
            await self._upload(entry)

    def _epoch(self, entry: OutboxEntry) -> int:
        return max(entry.epoch, self._newest_epoch())

    def _forget_recorded(self) -> None:
        while self._recorded:
            key = self._recorded.pop()
            if (timer := self._announced.pop(key, None)) is not None:
                timer.cancel()
            self._announced_counts.pop(key, None)
            self._outbox.remove(key)

    def _tell_notices(self) -> None:
        if any(entry.key not in self._announced for entry in self._outbox.entries()):
            return
        for notice in self._notices:
            if not notice.told:
                notice.told = self._port.tell(grant_finished(notice.grant), on_read=_mark_read(notice))


def _mark_read(notice: _Notice) -> Callable[[], None]:
    def mark() -> None:
        notice.read = True

    return mark
