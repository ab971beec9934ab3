"""On which devices a token may measure, and whose jobs it may end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.control.pools import parse_pool
from steelyard.errors import UsageError
from steelyard.identity.errors import IdentityError
from steelyard.membership.caller import CURRENT_CALLER
from steelyard.membership.token_rules import held_scope
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2


async def checked_scope(store: AsyncStore, devices: Iterable[str]) -> tuple[str, ...]:
    """Return the scope that devices, tags and pools make, each once; a device is named as the store names it.

    Raises:
        UsageError: ``empty_scope``, ``invalid_pool``, ``invalid_tag`` or ``ambiguous_device``.
        NotFoundError: ``device_not_found``.
    """
    scope = set()
    for text in devices:
        pool = parse_pool(text)
        device = None if pool is not None else await store.call(Store.find_device, text)
        scope.add(str(pool) if device is None else device.description.name)
    if not scope:
        raise UsageError("empty_scope", "a token that reaches no device is worth nothing: name one, a tag or a pool")
    return tuple(sorted(scope))


async def require_in_scope(store: AsyncStore, request: control_pb2.SubmitMeasurementRequest) -> None:
    """Let pass a measurement on a device, or on any of a pool, that the caller's token may reach.

    Raises:
        IdentityError: ``outside_scope``; ``not_for_a_token`` for meters, which the controller itself would ask.
        NotFoundError: ``device_not_found``.
    """
    scope = held_scope()
    if not scope:
        return
    if request.meters:
        raise IdentityError(
            "not_for_a_token", "a token cannot name meters, which the controller would ask; leave --meter out"
        )
    pool = parse_pool(request.device)
    inside = str(pool) in scope if pool is not None else await _reaches(store, scope, request.device)
    if not inside:
        raise IdentityError(
            "outside_scope",
            f"this token measures on {', '.join(scope)} and not on {request.device[:80]!r}: name a device within that",
        )


def require_own_job(job: control_pb2.Job) -> None:
    """Let pass a job that the caller's token submitted, and everybody without a token.

    Raises:
        IdentityError: ``another_job``.
    """
    caller = CURRENT_CALLER.get()
    if caller is not None and caller.scope and job.submitted_by != caller.subject.name:
        raise IdentityError(
            "another_job", f"job {job.job_id[:12]} was not submitted with this token, which cancels its own jobs only"
        )


def submitter() -> str:
    """Return who calls over a network, "" for a command of this machine."""
    caller = CURRENT_CALLER.get()
    return caller.subject.name if caller is not None else ""


async def _reaches(store: AsyncStore, scope: Sequence[str], text: str) -> bool:
    device = await store.call(Store.find_device, text)
    pools = [pool for one in scope if (pool := parse_pool(one)) is not None]
    return device.description.name in scope or any(pool.holds(device) for pool in pools)
