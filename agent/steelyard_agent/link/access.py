"""How one controller is reached: plainly on loopback, or by the certificates that enrolling gave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Protocol

import grpc.aio

from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.lifetime import due_in_s, is_due, is_over
from steelyard_agent.enrollment.membership import Membership, MembershipFolder, with_clock
from steelyard_agent.enrollment.moments import unix_s
from steelyard_agent.errors import AgentError
from steelyard_agent.jobs.gate import QuietGate
from steelyard_agent.link.address import ControllerAddress
from steelyard_agent.link.channel import open_channel, open_secure_channel
from steelyard_agent.state.errors import StateError
from steelyard_protocol.v1.session_pb2 import Welcome

_log = logging.getLogger(__name__)

# A timer stands still while a laptop sleeps: the clocks are looked at this often at least.
_LOOK_S = 300.0
# After so many failed dials in a row the enrollment port is asked what time it is: this device's clock may be wrong.
_FAILURES_BEFORE_ASKING = 5
_CLOCK_WORTH_NOTING_S = 2.0
_DAY_S = 24 * 3600.0


class Access(Protocol):
    """The way to one controller. Used from one event loop."""

    @property
    def controller_id(self) -> str:
        """The controller's id, "" for the one that is reached without certificates."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it may be, in the order in which to try."""
        ...

    def open(self, address: str) -> grpc.aio.Channel:
        """Return a channel to ``address``."""
        ...

    def welcomed(self, address: str, welcome: Welcome) -> None:
        """Take note that a session was opened there."""
        ...

    async def keep_valid(self, channel: grpc.aio.Channel) -> None:
        """Look after the certificate while a session is open, until cancelled."""
        ...

    async def recover(self, failure_count: int) -> None:
        """Do what may help after so many failed dials in a row."""
        ...


class PlainAccess:
    """A controller on loopback, or at the end of a tunnel."""

    controller_id = ""

    def __init__(self, address: ControllerAddress) -> None:
        """Dial ``address`` only."""
        self._address = address

    @property
    def addresses(self) -> tuple[str, ...]:
        """See ``Access``."""
        return (str(self._address),)

    def open(self, address: str) -> grpc.aio.Channel:
        """See ``Access``."""
        return open_channel(self._address)

    def welcomed(self, address: str, welcome: Welcome) -> None:
        """There is nothing to note."""

    async def keep_valid(self, channel: grpc.aio.Channel) -> None:
        """There is no certificate."""
        await asyncio.Event().wait()

    async def recover(self, failure_count: int) -> None:
        """There is nothing to do but to dial again."""


class EnrolledAccess:
    """A controller that this device joined; its certificate's name counts, not its address."""

    def __init__(
        self, folder: MembershipFolder, *, gate: QuietGate, clock_s: Callable[[], float], look_s: float = _LOOK_S
    ) -> None:
        """Use what ``folder`` holds; ``clock_s`` is this device's wall clock, which may be wrong.

        Raises:
            StateError: The folder is damaged.
        """
        self._folder = folder
        self._gate = gate
        self._clock_s = clock_s
        self._look_s = look_s
        self.membership: Membership = folder.read()

    @property
    def controller_id(self) -> str:
        """See ``Access``."""
        return self.membership.controller_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """See ``Access``."""
        return self.membership.dialling_order()

    def open(self, address: str) -> grpc.aio.Channel:
        """See ``Access``; the files are read anew: a renewal, or an owner who enrolled again, may have changed them."""
        kept = self._folder.read()
        if kept.issued_at_s != self.membership.issued_at_s:
            self.membership = kept
        return open_secure_channel(
            address,
            controller_name=self.membership.controller_name,
            authorities=self._folder.pem("authorities"),
            key=self._folder.pem("key"),
            certificate=self._folder.pem("certificate"),
        )

    def welcomed(self, address: str, welcome: Welcome) -> None:
        """Remember the address, and how far this device's clock is off."""
        before = self.membership
        if welcome.HasField("now"):
            try:
                self._hear_clock(unix_s(welcome.now))
            except EnrollmentError as error:
                _log.warning("controller %s: %s", self.controller_id, error)
        self.membership = replace(self.membership, last_good_address=address)
        moved_s = abs(self.membership.clock_offset_s - before.clock_offset_s)
        # Not at every welcome: a card wears out.
        if address != before.last_good_address or moved_s > _CLOCK_WORTH_NOTING_S:
            self._note()

    async def keep_valid(self, channel: grpc.aio.Channel) -> None:
        """Renew at two thirds of the certificate's life; a failure is tried again."""
        while True:
            if is_due(self.membership, device_now_s=self._clock_s()):
                await self._renew(channel)
            wait_s = due_in_s(self.membership, device_now_s=self._clock_s())
            await asyncio.sleep(min(wait_s, self._look_s) if wait_s else self._look_s)

    async def recover(self, failure_count: int) -> None:
        """Renew by the old key when the certificate has ended, which the enrollment port's clock may tell."""
        asks = failure_count % _FAILURES_BEFORE_ASKING == 0
        try:
            if asks:
                from steelyard_agent.enrollment.renewal import controller_now_s

                self._complain_of_clock()
                self._hear_clock(await controller_now_s(self._folder, self.membership))
            if is_over(self.membership, device_now_s=self._clock_s()) and (asks or failure_count == 1):
                from steelyard_agent.enrollment.renewal import renew_expired

                # Nothing is timed meanwhile: making the request takes a process of its own.
                async with self._gate.traffic():
                    self.membership = await renew_expired(self._folder, self.membership, device_now_s=self._clock_s())
                _log.info("the certificate of controller %s was renewed after its end", self.controller_id)
        except AgentError as error:
            _log.warning("controller %s: %s", self.controller_id, error)

    async def _renew(self, channel: grpc.aio.Channel) -> None:
        from steelyard_agent.enrollment.renewal import renew

        try:
            async with self._gate.traffic():
                self.membership = await renew(channel, self._folder, self.membership, device_now_s=self._clock_s())
        except AgentError as error:
            _log.warning("the certificate of controller %s is not renewed: %s", self.controller_id, error)
            return
        _log.info("the certificate of controller %s was renewed", self.controller_id)

    def _hear_clock(self, now_s: float) -> None:
        self.membership = with_clock(self.membership, controller_now_s=now_s, device_now_s=self._clock_s())

    def _complain_of_clock(self) -> None:
        """A certificate of the controller that is not valid yet, or no more, is one only by this device's clock."""
        now_s, issued_s = self._clock_s(), self.membership.issued_at_s
        if now_s < issued_s - _DAY_S or now_s > issued_s + 3650 * _DAY_S:
            _log.warning(
                "this device's clock says %s, which cannot be: controller %s gave it a certificate on %s; if no "
                "session opens, set the clock",
                _day(now_s),
                self.controller_id,
                _day(issued_s),
            )

    def _note(self) -> None:
        try:
            self._folder.note(self.membership)
        except StateError as error:
            _log.warning("what was learnt of controller %s is not kept: %s", self.controller_id, error)


def _day(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, tz=timezone.utc).strftime("%Y-%m-%d")
