"""Stands before every call of the port that asks for certificates: who it is, and what they may call."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from steelyard.errors import SteelyardError
from steelyard.fleet.refusals import refuse
from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role, needed_role
from steelyard.membership.access_list import AccessList
from steelyard.membership.caller import CURRENT_CALLER, Caller, require_role
from steelyard.membership.live_calls import LiveCalls
from steelyard.membership.token_rules import require_token_may

_PACKAGE = "steelyard_protocol.v1"
_FOR_DEVICES = frozenset({"SessionService", "BlobService", "RenewalService"})
_FOR_PEOPLE = frozenset(
    {
        "ControlService",
        "IdentityService",
        "UpkeepService",
        "FleetService",
        "NightlyService",
        "ExperimentService",
        "BlobService",
        "RenewalService",
    }
)

if TYPE_CHECKING:
    # Generic in the stubs only.
    _Context = grpc.aio.ServicerContext[Any, Any]
    _Handler = grpc.RpcMethodHandler[Any, Any]


class CertificateGuard(grpc.aio.ServerInterceptor):
    """Refuses with UNAUTHENTICATED or PERMISSION_DENIED and a reason; what it lets pass knows its caller.

    Servicers read ``CURRENT_CALLER``, which holds within the call.
    """

    def __init__(self, access: AccessList, live_calls: LiveCalls) -> None:
        self._access = access
        self._live_calls = live_calls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Return the method's handler with the guard before it."""
        handler = await continuation(handler_call_details)
        return None if handler is None else self._guarded(handler, handler_call_details.method)

    def _guarded(self, handler: _Handler, method: str) -> _Handler:
        for name in ("unary_unary", "unary_stream", "stream_unary", "stream_stream"):
            behaviour = getattr(handler, name)
            if behaviour is not None:
                made = getattr(grpc, f"{name}_rpc_method_handler")(
                    self._wrapped(behaviour, method),
                    request_deserializer=handler.request_deserializer,
                    response_serializer=handler.response_serializer,
                )
                return made  # type: ignore[no-any-return]
        raise AssertionError(f"{method} has no handler of a known kind")

    def _wrapped(self, behaviour: Callable[[Any, _Context], Any], method: str) -> Callable[[Any, _Context], Any]:
        if inspect.isasyncgenfunction(behaviour):

            async def stream(request: Any, context: _Context) -> AsyncIterator[Any]:
                async with self._admitted(method, context):
                    async for response in behaviour(request, context):
                        yield response

            return stream

        async def answer(request: Any, context: _Context) -> Any:
            async with self._admitted(method, context):
                return await behaviour(request, context)

        return answer

    @asynccontextmanager
    async def _admitted(self, method: str, context: _Context) -> AsyncIterator[None]:
        try:
            caller = self._access.judge(_shown_pem(context))
            CURRENT_CALLER.set(caller)
            _require_allowed(caller, method)
        except SteelyardError as error:
            await refuse(context, error)
        task = asyncio.current_task()
        assert task is not None, "gRPC serves each call in a task"
        call = self._live_calls.begin(caller, task)
        try:
            yield
        except asyncio.CancelledError:
            if call.refusal is None:
                raise
            task.uncancel()
            await refuse(context, call.refusal)
        finally:
            self._live_calls.finish(call)


def _shown_pem(context: _Context) -> bytes:
    shown = context.auth_context().get("x509_pem_cert", ())
    return bytes(next(iter(shown), b""))


def _require_allowed(caller: Caller, method: str) -> None:
    """Check a method ("/package.Service/Rpc"); what nobody thought of is refused."""
    service, _, rpc = method.lstrip("/").partition("/")
    package, _, name = service.rpartition(".")
    allowed = _FOR_DEVICES if caller.subject.kind == "device" else _FOR_PEOPLE
    if package != _PACKAGE or name not in allowed:
        raise IdentityError(
            "not_for_this_caller", f"{name}/{rpc} is not for a {caller.subject.kind}, which this certificate is of"
        )
    if caller.scope:
        require_token_may(name, rpc, caller.scope)
    if caller.subject.kind == "user" and name != "RenewalService":
        require_role(_least_role(name, rpc), f"{name}/{rpc}")


def _least_role(service: str, rpc: str) -> Role:
    if service == "BlobService":
        return Role.READ if rpc == "Download" else Role.RUN
    return needed_role(rpc)
