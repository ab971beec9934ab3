"""What the holder of a token may call: enough for a gate in CI, and nothing that outlives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from steelyard.identity.errors import IdentityError
from steelyard.membership.caller import CURRENT_CALLER

_READ = ("Get", "List")
# By service, the first words of its RPCs; whatever nobody thought of is refused. On which devices a measurement may run
# and whose job may be cancelled is looked at where that is known (``steelyard.control.token_scope``).
_MAY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ControlService": (*_READ, "CreateArtifact", "CreateTask", "SubmitMeasurement", "CancelJob"),
        "BlobService": ("Download", "QueryUpload", "Upload"),
        "FleetService": _READ,
        "NightlyService": _READ,
        "ExperimentService": _READ,
    }
)


def require_token_may(service: str, rpc: str) -> None:
    """Let pass what a token may call.

    Raises:
        IdentityError: ``token_ends`` or ``not_for_a_token``.
    """
    if service == "RenewalService":
        raise IdentityError("token_ends", "a token is not renewed: `steelyard user token` makes another one")
    if not rpc.startswith(_MAY.get(service, ())):
        raise IdentityError(
            "not_for_a_token",
            f"{service}/{rpc} is not for a token, which may read, add models and tasks, and measure; log in with a "
            "join code for more",
        )


def held_scope() -> Sequence[str]:
    """Return what the caller's token may measure on; () for everybody who holds none."""
    caller = CURRENT_CALLER.get()
    return caller.scope if caller is not None else ()
