from __future__ import annotations

import importlib
import pkgutil

import pytest

import steelyard_protocol.v1
from steelyard.identity.errors import IdentityError
from steelyard.identity.roles import Role, needed_role, parse_role
from steelyard_protocol.v1 import identity_pb2

# What people with a role below "administer" may call. An RPC that is new is for those who administer until its name
# begins with a word that says otherwise; this list says which words were thought of.
READ_WORDS = ("Get", "List")
RUN_WORDS = ("Create", "Submit", "Cancel")
# Those who run nights, and triage what they find.
OF_NIGHTS = {
    *("BeginNight", "RenewNight", "EndNight", "AbandonNight", "PutNightItem", "RecordPoints"),
    *("PutAlerts", "ChangeAlert", "AcceptChange", "EndSilence"),
}


# What devices speak has no roles.
OF_DEVICES = {"SessionService", "BlobService", "EnrollmentService", "RenewalService"}


def rpcs() -> list[str]:
    names = [one.name for one in pkgutil.iter_modules(steelyard_protocol.v1.__path__) if one.name.endswith("_pb2")]
    found = [importlib.import_module(f"steelyard_protocol.v1.{name}").DESCRIPTOR for name in names]
    services = [service for file in found for service in file.services_by_name.values()]
    return [method.name for service in services if service.name not in OF_DEVICES for method in service.methods]


@pytest.mark.parametrize("rpc", rpcs())
def test_every_rpc_has_the_least_role_that_its_name_says(rpc: str) -> None:
    role = needed_role(rpc)
    if rpc in OF_NIGHTS:
        assert role is Role.RUN
    elif rpc == "ListUsers" or not rpc.startswith(READ_WORDS + RUN_WORDS):
        assert role is Role.ADMINISTER
    else:
        assert role is (Role.READ if rpc.startswith(READ_WORDS) else Role.RUN)


def test_what_nobody_thought_of_is_for_those_who_administer() -> None:
    assert needed_role("Frobnicate") is Role.ADMINISTER
    assert needed_role("") is Role.ADMINISTER


def test_roles_are_those_of_the_wire_and_rise() -> None:
    on_wire = {name.removeprefix("USER_ROLE_"): number for name, number in identity_pb2.UserRole.items() if number}
    assert {role.name: int(role) for role in Role} == on_wire
    assert Role.READ < Role.RUN < Role.ADMINISTER


def test_roles_are_read_and_a_misspelt_one_says_which_was_meant() -> None:
    assert [parse_role(text) for text in ("read", "run", "administer")] == list(Role)
    with pytest.raises(IdentityError, match="did you mean 'administer'"):
        parse_role("administrator")
