"""Refusals of a caller or a join code as gRPC statuses."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
import grpc.aio

from steelyard.errors import NotFoundError, SteelyardError, UsageError

# The same key as the control service's errors have.
REASON_KEY = "steelyard-reason"

# Who it is cannot be told, or no longer: another certificate would help.
_UNAUTHENTICATED = frozenset(
    {
        "another_controller",
        "certificate_expired",
        "certificate_revoked",
        "invalid_certificate",
        "no_certificate",
        "unknown_authority",
    }
)
_MALFORMED = frozenset({"invalid_name", "invalid_request", "invalid_subject", "key_type", "request_signature"})


def refusal_code(error: SteelyardError) -> grpc.StatusCode:
    """Return the status of a refusal."""
    if error.reason in _UNAUTHENTICATED:
        return grpc.StatusCode.UNAUTHENTICATED
    if error.reason in _MALFORMED:
        return grpc.StatusCode.INVALID_ARGUMENT
    if isinstance(error, NotFoundError):
        return grpc.StatusCode.NOT_FOUND
    # What the store could not do is nobody's fault who asks: trying again may help.
    return grpc.StatusCode.PERMISSION_DENIED if isinstance(error, UsageError) else grpc.StatusCode.UNAVAILABLE


async def refuse(context: grpc.aio.ServicerContext[Any, Any], error: SteelyardError) -> NoReturn:
    """End a call with the status, the sentence and the reason of a refusal."""
    await context.abort(refusal_code(error), str(error), trailing_metadata=((REASON_KEY, error.reason),))
    raise AssertionError("abort raises")
