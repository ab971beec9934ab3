"""What the holder of a token may call: enough for a gate in CI, and for the nights of suites that it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from steelyard.identity.errors import IdentityError
from steelyard.membership.caller import CURRENT_CALLER

_READ = ("Get", "List")
_SUITE = "suite:"
# By service, the first words of its RPCs; whatever nobody thought of is refused. On which devices a measurement may run
# and whose a job or a night is, is looked at where that is known (``steelyard.control.token_scope``).
_MAY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ControlService": (*_READ, "CreateArtifact", "CreateTask", "SubmitMeasurement", "CancelJob"),
        "BlobService": ("Download", "QueryUpload", "Upload"),
        "FleetService": _READ,
        "NightlyService": _READ,
        "ExperimentService": _READ,
    }
)
# What a night needs of a token that names its suite; alerts and silences of people are nobody's but theirs.
_RUNS_NIGHTS = frozenset({"BeginNight", "RenewNight", "EndNight", "PutNightItem", "RecordPoints", "PutAlerts"})


def suite_scope(name: str) -> str:
    """Return the entry of a scope that lets a token run the nights of a suite."""
    return f"{_SUITE}{name}"


def suite_of(entry: str) -> str:
    """Return the suite that an entry of a scope names, "" where it is a device, a tag or a pool."""
    return entry.removeprefix(_SUITE) if entry.startswith(_SUITE) else ""


def require_token_may(service: str, rpc: str, scope: Sequence[str]) -> None:
    """Let pass what a token with a scope may call.

    Raises:
        IdentityError: ``token_ends`` or ``not_for_a_token``.
    """
    if service == "RenewalService":
        raise IdentityError("token_ends", "a token is not renewed: `steelyard user token` makes another one")
    if service == "NightlyService" and rpc in _RUNS_NIGHTS:
        if any(map(suite_of, scope)):
            return
        raise IdentityError(
            "not_for_a_token",
            f"{service}/{rpc} is for a token that names the night's suite: make one with `steelyard user token NAME "
            "--suite SUITE`, or log in with a join code",
        )
    if not rpc.startswith(_MAY.get(service, ())):
        raise IdentityError(
            "not_for_a_token",
            f"{service}/{rpc} is not for a token, which may read, add models and tasks, and measure; log in with a "
            "join code for more",
        )


def held_scope() -> Sequence[str]:
    """Return what the caller's token may reach; () for everybody who holds none."""
    caller = CURRENT_CALLER.get()
    return caller.scope if caller is not None else ()
