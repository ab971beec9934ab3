"""Taking a port, or saying which one is taken and which setting chooses another."""

from __future__ import annotations

import socket

import grpc
import grpc.aio

from steelyard.errors import SteelyardError

_FLAGS = {
    "agent_listen": "--listen",
    "secure_listen": "serve --secure-listen",
    "enroll_listen": "serve --enroll-listen",
}


class PortTakenError(SteelyardError):
    """Another program listens where a port of ours should be."""


def refuse_taken_port(address: str, setting: str) -> None:
    """Bind once without sharing: gRPC's own failure names neither the port nor what to do.

    Raises:
        PortTakenError: ``port_taken``.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
        except OSError as error:
            raise _taken(address, setting) from error


def add_port(
    server: grpc.aio.Server, address: str, setting: str, credentials: grpc.ServerCredentials | None = None
) -> str:
    """Let a server listen on an address and return it with the port that it became.

    Raises:
        PortTakenError: ``port_taken``.
    """
    try:
        port = (
            server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
        )
    except RuntimeError as error:
        raise _taken(address, setting) from error
    return f"{address.rpartition(':')[0]}:{port}"


def _taken(address: str, setting: str) -> PortTakenError:
    flag = _FLAGS[setting]
    return PortTakenError(
        "port_taken",
        f"another program listens on {address} ({setting}): stop it, or choose another port with {flag} HOST:PORT (or "
        f"STEELYARD_{setting.upper()})",
    )
