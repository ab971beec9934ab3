from __future__ import annotations

import pytest

from steelyard.membership.addresses import machine_interfaces, reachable_addresses

INTERFACES = {
    "lo": ["127.0.0.1", "::1"],
    "eth0": ["203.0.114.9", "2001:4860:4860::8888", "fe80::1"],
    "wlan0": ["192.168.1.20", "fd00::7"],
}


def found(listen: str, *advertised: str, host_name: str = "laptop.lan") -> list[str]:
    return reachable_addresses(listen, advertised=advertised, interfaces=INTERFACES, host_name=host_name)


def test_of_a_port_on_every_address_the_private_ones_come_first_and_loopback_never() -> None:
    assert found("0.0.0.0:7443") == ["192.168.1.20:7443", "203.0.114.9:7443", "laptop.local:7443"]


def test_a_port_of_both_families_offers_both() -> None:
    assert found("[::]:7443") == ["192.168.1.20:7443", "[fd00::7]:7443", "203.0.114.9:7443", "laptop.local:7443"]


def test_a_port_on_one_address_offers_that_one() -> None:
    assert found("192.168.1.20:7443") == ["192.168.1.20:7443"]
    assert found("[fd00::7]:7443") == ["[fd00::7]:7443"]


@pytest.mark.parametrize(
    ("advertised", "offered"),
    [
        ("lab.example.org", "lab.example.org:7443"),
        ("lab.example.org:443", "lab.example.org:443"),
        ("[2001:db8::1]", "[2001:db8::1]:7443"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_what_somebody_named_is_all_that_is_offered(advertised: str, offered: str) -> None:
    assert found("0.0.0.0:7443", advertised, "10.0.0.1") == [offered, "10.0.0.1:7443"]


def test_a_machine_without_a_network_offers_its_name() -> None:
    assert reachable_addresses("0.0.0.0:1", advertised=(), interfaces={}, host_name="pi5") == ["pi5.local:1"]


def test_this_machine_has_loopback() -> None:
    assert any("127.0.0.1" in addresses for addresses in machine_interfaces().values())
