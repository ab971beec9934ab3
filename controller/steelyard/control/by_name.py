"""A service whose handlers are plain methods named like its RPCs; the translation of errors stands once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import ModuleType

import grpc
import grpc.aio
from google.protobuf.message import Message

from steelyard.control.errors_on_wire import abort
from steelyard.errors import SteelyardError


def add_service(module: ModuleType, service: str, servicer: object, server: grpc.aio.Server) -> None:
    """Register every RPC of a service with the method of its name in snake case.

    Args:
        module: The generated ``..._pb2`` that holds the service and its messages.
        service: "ControlService"
        servicer: Its methods go from request to response and raise SteelyardError.
        server: Where it is served.
    """
    descriptor = module.DESCRIPTOR.services_by_name[service]
    handlers = {
        method.name: grpc.unary_unary_rpc_method_handler(
            _handler(getattr(servicer, _snake_case(method.name))),
            request_deserializer=getattr(module, method.input_type.name).FromString,
            response_serializer=_serialize,
        )
        for method in descriptor.methods
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(descriptor.full_name, handlers),))


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _handler(
    method: Callable[[Message], Awaitable[Message]],
) -> Callable[[Message, grpc.aio.ServicerContext[Message, Message]], Awaitable[Message]]:
    async def handle(request: Message, context: grpc.aio.ServicerContext[Message, Message]) -> Message:
        try:
            return await method(request)
        except SteelyardError as error:
            await abort(context, error)

    return handle


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
