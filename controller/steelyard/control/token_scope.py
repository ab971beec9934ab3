"""On which devices a token may measure, whose jobs it may end, and which suites' nights it may run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.control.pools import parse_pool
from steelyard.errors import UsageError
from steelyard.identity.errors import IdentityError
from steelyard.membership.caller import CURRENT_CALLER
from steelyard.membership.token_rules import held_scope, suite_of, suite_scope
from steelyard.store.names import require_name
from steelyard.store.store import Store
from steelyard.store.worker import AsyncStore
from steelyard_protocol.v1 import control_pb2


async def checked_scope(store: AsyncStore, entries: Iterable[str]) -> tuple[str, ...]:
    """Return the scope that devices, tags, pools and suites make, each once; a device is named as the store names it.

    Raises:
        UsageError: ``empty_scope``, ``invalid_pool``, ``invalid_tag``, ``invalid_name`` or ``ambiguous_device``.
        NotFoundError: ``device_not_found``.
    """
    scope, suites = set(), set()
    for text in entries:
        if text.startswith(suite_scope("")):
            suites.add(suite_scope(require_name(suite_of(text), "suite of a token:")))
            continue
        pool = parse_pool(text)
        device = None if pool is not None else await store.call(Store.find_device, text)
        scope.add(str(pool) if device is None else device.description.name)
    if not scope:
        raise UsageError("empty_scope", "a token that reaches no device is worth nothing: name one, a tag or a pool")
    return (*sorted(scope), *sorted(suites))


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
            f"this token measures on {', '.join(one for one in scope if not suite_of(one))} and not on "
            f"{request.device[:80]!r}: name a device within that",
        )


async def require_suite_in_scope(store: AsyncStore, *, suite_name: str = "", night_id: str = "") -> None:
    """Let pass who runs a night of a suite, by the suite's name or by the night's id, that the caller's token names.

    Raises:
        IdentityError: ``outside_scope``.
        NotFoundError: ``night_not_found``.
    """
    scope = held_scope()
    if not scope:
        return
    if night_id:
        suite_name = (await store.call(lambda one: one.nightly.nights.get(night_id))).suite_name
    if suite_scope(suite_name) not in scope:
        suites = ", ".join(filter(None, map(suite_of, scope)))
        raise IdentityError(
            "outside_scope",
            f"this token runs nights of {suites} and not of {suite_name[:80]!r}: make one with `steelyard user token "
            "NAME --suite SUITE` that names it",
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
