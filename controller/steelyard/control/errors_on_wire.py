"""Errors between the Control service and its clients: a canonical code, one reason, one sentence, one exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
import grpc.aio

from steelyard.errors import DeviceError, IncompleteError, NotFoundError, SteelyardError, UsageError
from steelyard.fleet.refusals import REASON_KEY

_Response = TypeVar("_Response")
# The sentence travels as metadata, which peers refuse past 8 KiB; percent-encoded, a byte can take three.
_MAX_SENTENCE_BYTES = 2000

_CODES: tuple[tuple[type[SteelyardError], grpc.StatusCode], ...] = (
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (UsageError, grpc.StatusCode.INVALID_ARGUMENT),
    (IncompleteError, grpc.StatusCode.FAILED_PRECONDITION),
    (DeviceError, grpc.StatusCode.UNAVAILABLE),
)
_ERRORS: dict[grpc.StatusCode, type[SteelyardError]] = {
    **{code: kind for kind, code in _CODES},
    # What the guard of the port with certificates and the enrollment port refuse: nothing was started.
    grpc.StatusCode.UNAUTHENTICATED: UsageError,
    grpc.StatusCode.PERMISSION_DENIED: UsageError,
}


def status_code(error: SteelyardError) -> grpc.StatusCode:
    """Return the canonical code of an error; the first class that fits, most particular first."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), grpc.StatusCode.ABORTED)


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: SteelyardError) -> NoReturn:
    """End a call with an error that ``raise_from_rpc`` turns back into the same class."""
    await context.abort(status_code(error), _bounded(str(error)), trailing_metadata=((REASON_KEY, error.reason),))
    raise AssertionError("abort raises")


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return how a call ended."""
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def raise_from_rpc(error: grpc.RpcError) -> NoReturn:
    """Raise what the controller meant by a failed call."""
    code = code_of(error)
    detail = (error.details() or "") if isinstance(error, grpc.Call) else str(error)
    reason = reason_of(error)
    if reason:
        raise _ERRORS.get(code, SteelyardError)(reason, detail) from None
    if code is grpc.StatusCode.UNAVAILABLE:
        raise DeviceError(
            "controller_unreachable",
            f"the controller does not answer ({detail}); is `steelyard serve` running there? "
            "Leave --controller out to let this command start one",
        ) from None
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        raise DeviceError("controller_slow", "the controller did not answer in time; try again") from None
    raise SteelyardError(
        "controller_failed", f"the controller failed ({code.name}: {detail}); its log says more"
    ) from None


def called(call: Callable[[], _Response]) -> _Response:
    """Return what a call answers.

    Raises:
        SteelyardError: What the controller meant by a failure.
    """
    try:
        return call()
    except grpc.RpcError as error:
        raise_from_rpc(error)


def _bounded(sentence: str) -> str:
    encoded = sentence.encode(errors="replace")
    if len(encoded) <= _MAX_SENTENCE_BYTES:
        return sentence
    return encoded[:_MAX_SENTENCE_BYTES].decode(errors="ignore") + "…"


def reason_of(error: grpc.RpcError) -> str:
    """Return the reason that a failed call ended with, "" where it tells none."""
    if not isinstance(error, grpc.Call):
        return ""
    for key, value in error.trailing_metadata() or ():
        if key == REASON_KEY:
            return value if isinstance(value, str) else value.decode()
    return ""
