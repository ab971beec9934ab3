from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.adb.elf import ElfProgram, read_elf
from tests.support.elf_programs import ARM, ARM64, X86_64, elf_program

ANDROID, GLIBC = "/system/bin/linker64", "/lib/ld-linux-aarch64.so.1"


def read(tmp_path, content):
    path = tmp_path / "program"
    path.write_bytes(content)
    return read_elf(path)


@pytest.mark.parametrize(
    ("given_as", "program", "for_android"),
    [
        ({"machine": ARM64, "interpreter": ANDROID}, ElfProgram(abi="arm64-v8a", interpreter=ANDROID), True),
        ({"machine": ARM64, "interpreter": GLIBC}, ElfProgram(abi="arm64-v8a", interpreter=GLIBC), False),
        ({"machine": X86_64}, ElfProgram(abi="x86_64"), True),
        (
            {"machine": ARM, "interpreter": "/system/bin/linker", "is_64": False},
            ElfProgram(abi="armeabi-v7a", interpreter="/system/bin/linker"),
            True,
        ),
        ({"machine": 0x1234}, ElfProgram(abi="processor 4660"), True),
    ],
)
def test_a_program_says_its_processor_and_its_linker(tmp_path, given_as, program, for_android):
    assert read(tmp_path, elf_program(**given_as)) == program
    assert program.is_for_android is for_android


@pytest.mark.skipif(sys.platform != "linux", reason="the interpreter is an ELF program on Linux only")
def test_a_real_program_of_this_machine_is_read():
    program = read_elf(Path("/proc/self/exe"))
    assert program is not None
    assert not program.abi.startswith("processor")
    assert "ld-" in program.interpreter
    assert not program.is_for_android


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"<html>", b"MZ"])
def test_another_format_is_none(tmp_path, content):
    assert read(tmp_path, content) is None


@given(rest=st.binary(max_size=200))
def test_damaged_programs_are_refused_or_read_and_never_crash(tmp_path_factory, rest):
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(b"\x7fELF" + rest)
    with contextlib.suppress(ValueError):
        assert isinstance(read_elf(path), ElfProgram)
