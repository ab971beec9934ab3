"""Addresses that devices can dial: what was said, or what this machine has."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to recognize, not to listen on
# More make a join code long, and a device tries one after the other.
_MAX_ADDRESSES = 4


def reachable_addresses(
    listen: str, *, advertised: Sequence[str], interfaces: Mapping[str, Iterable[str]], host_name: str
) -> list[str]:
    """Return "HOST:PORT" of a port for devices, best first.

    Args:
        listen: Where the port listens: "0.0.0.0:7443", "192.168.1.20:7443".
        advertised: Hosts, or HOST:PORT, that somebody named; nothing else is then returned.
        interfaces: Addresses of this machine by interface, as ``machine_interfaces`` returns them.
        host_name: Of this machine; tried last as NAME.local (mDNS), which survives a change of network.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if advertised:
        return [one if _has_port(one) else _joined(one, port) for one in advertised]
    if host not in _WILDCARDS:
        return [_joined(host, port)]
    found = [address for addresses in interfaces.values() for address in addresses if _is_useful(address, host)]
    # Private addresses first: a device stands beside the controller more often than on the other side of the world.
    found.sort(key=lambda address: (not ipaddress.ip_address(address).is_private, ":" in address))
    hosts = found[: _MAX_ADDRESSES - 1]
    if host_name:
        hosts.append(f"{host_name.partition('.')[0]}.local")
    return [_joined(one, port) for one in hosts]


def machine_interfaces() -> dict[str, list[str]]:
    """Return the addresses of this machine by interface."""
    import psutil

    families = (socket.AF_INET, socket.AF_INET6)
    return {
        name: [one.address.partition("%")[0] for one in addresses if one.family in families]
        for name, addresses in psutil.net_if_addrs().items()
        # Bridges of containers lead nowhere from outside.
        if not name.startswith(("docker", "br-", "veth", "virbr"))
    }


def _is_useful(address: str, listen_host: str) -> bool:
    parsed = ipaddress.ip_address(address)
    # "::" takes IPv4, too; "0.0.0.0" takes nothing else.
    return not (parsed.is_loopback or parsed.is_link_local) and (parsed.version == 4 or listen_host == "::")


def _has_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(colon) and port.isdigit() and (":" not in host or host.endswith("]"))


def _joined(host: str, port: str) -> str:
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
