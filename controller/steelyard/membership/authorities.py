"""The controller's keys while it runs, and the change from one authority to the next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from steelyard.identity.archive import seal
from steelyard.identity.authority import SignedKey, make_controller_certificate
from steelyard.identity.errors import IdentityError
from steelyard.identity.folder import Identity, IdentityFolder
from steelyard.identity.shown import moment
from steelyard.membership.access_list import AccessList
from steelyard.membership.live_calls import LiveCalls
from steelyard.membership.terms import Terms
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import identity_pb2

_log = logging.getLogger(__name__)


class Authorities:
    """Holds the keys of a running controller. Used from one event loop; ``server_keys`` also from gRPC's threads."""

    def __init__(
        self,
        *,
        folder: IdentityFolder,
        controller_id: str,
        store: AsyncStore,
        access: AccessList,
        live_calls: LiveCalls,
        terms: Terms,
        clock_ns: Callable[[], int],
    ) -> None:
        self._folder = folder
        self._controller_id = controller_id
        self._store = store
        self._access = access
        self._live_calls = live_calls
        self._terms = terms
        self._clock_ns = clock_ns
        self._take(folder.open(controller_id, moment(clock_ns())))

    @property
    def identity(self) -> Identity:
        """The keys as they are now."""
        return self._identity

    @property
    def server_keys(self) -> tuple[SignedKey, bytes]:
        """The key that the port with certificates shows, and the PEM of the authorities that it takes clients of."""
        return self._server_keys

    async def describe(self) -> list[identity_pb2.Authority]:
        """Describe every trusted authority, the signing one first."""
        identity = self._identity
        holders = await self._store.call(lambda store: store.access.holder_counts())
        described = []
        for one in identity.trusted:
            authority = identity_pb2.Authority(
                fingerprint=one.digest,
                signs_clients=one is identity.signer,
                signs_controller=one is identity.authority,
                holder_count=holders.get(one.digest, 0),
                certificate_pem=one.certificate_pem.decode(),
            )
            authority.not_after.FromDatetime(one.certificate.not_valid_after_utc)
            described.append(authority)
        return described

    async def export(self, passphrase: str) -> bytes:
        """Return the authority that signs the controller, encrypted.

        Raises:
            IdentityError: ``change_under_way`` (what would be exported is about to go), ``weak_passphrase``.
        """
        if self._identity.following is not None:
            raise IdentityError(
                "change_under_way",
                "the authority changes now, so that an export would soon be of no use; end the change first "
                "(`steelyard ca rotate --finish`)",
            )
        # A second of key derivation, in C: not on the event loop.
        return await asyncio.to_thread(seal, self._identity.authority, passphrase)

    def begin_change(self) -> None:
        """Make the authority that follows: devices and people get it with their next renewal.

        Raises:
            IdentityError: ``change_under_way``.
        """
        self._take(self._folder.begin_change(self._controller_id, moment(self._clock_ns())))
        _log.info("authority %s follows %s", self._identity.signer.digest[:12], self._identity.authority.digest[:12])

    async def finish_change(self) -> None:
        """Trust the following authority alone, and end the calls of whoever shows a certificate of the old one.

        Raises:
            IdentityError: ``no_change``.
        """
        old = self._identity.authority.digest
        self._take(self._folder.finish_change(self._controller_id, moment(self._clock_ns())))
        refusal = IdentityError(
            "unknown_authority", "the authority of this certificate is trusted no more; connect with a newer one"
        )
        self._live_calls.end(lambda caller: caller.authority_digest == old, refusal)
        _log.info("authority %s took the place of %s", self._identity.authority.digest[:12], old[:12])

    async def finish_change_if_complete(self) -> Sequence[str]:
        """End a change once everybody who was seen lately holds the new authority; return who does not yet."""
        following = self._identity.following
        if following is None:
            return ()
        since_ns = self._clock_ns() - self._terms.grace_ns
        behind = await self._store.call(lambda store: store.access.left_behind(following.digest, since_ns))
        # Asked again: somebody else may have ended it meanwhile.
        if not behind and self._identity.following is following:
            await self.finish_change()
        return behind

    def _take(self, identity: Identity) -> None:
        self._identity = identity
        self._access.trust(one.certificate for one in identity.trusted)
        # Signed by the old one while both are trusted: nobody has the new one alone.
        shown = make_controller_certificate(identity.authority, self._controller_id, moment(self._clock_ns()))
        self._server_keys = (shown, identity.authorities_pem)
