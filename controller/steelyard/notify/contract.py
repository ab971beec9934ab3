"""What a channel is."""

from __future__ import annotations

from typing import Protocol

from steelyard.notify.digest import Digest
from steelyard.notify.world import World


class Channel(Protocol):
    """A place that digests are sent to, with the name that the suite gives it (``[notify.NAME]``)."""

    @property
    def name(self) -> str:
        """The suite's name for it."""
        ...

    @property
    def kind(self) -> str:
        """What service it is: "email", "webhook", "github", "gitlab"."""
        ...

    def send(self, digest: Digest, world: World) -> None:
        """Send once; a second call with the same digest makes no second message where the service lets it.

        Raises:
            NotifyError: It did not arrive, or nobody knows whether it did.
        """
        ...
