from __future__ import annotations

from steelyard_agent.surroundings.contract import Circumstance
from steelyard_agent.surroundings.emulated import EmulatedProcessor

QEMU = "qemu-user on x86_64"


def test_an_emulated_processor_is_told_beside_every_block_and_spoils_none() -> None:
    source = EmulatedProcessor(QEMU)
    told = source.read()
    assert told == [Circumstance(name="emulated_by", value=QEMU)]
    assert source.objection(told, told) == ""


def test_a_real_processor_has_nothing_to_tell() -> None:
    assert EmulatedProcessor("").read() == []
