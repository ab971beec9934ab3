"""What a program file is made for, told by its first bytes. Standard library only.

Source: elf(5). Android's programs name /system/bin/linker or linker64 as their interpreter, those of desktop Linux
ld-linux or ld-musl; a phone says of the latter only that the program is "not found".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

# e_machine, as Android calls these processors in ro.product.cpu.abilist.
_ABIS = {0x03: "x86", 0x28: "armeabi-v7a", 0x3E: "x86_64", 0xB7: "arm64-v8a", 0xF3: "riscv64"}
_INTERPRETER_SEGMENT = 3
# Real ones have a dozen segments and an interpreter of some thirty bytes.
_MOST_SEGMENTS = 1000
_LONGEST_INTERPRETER = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfProgram:
    """``abi`` is Android's name of the processor; ``interpreter`` is "" for a program that is linked statically."""

    abi: str
    interpreter: str = ""

    @property
    def is_for_android(self) -> bool:
        """Whether Android's own linker starts it, or none has to."""
        return not self.interpreter or self.interpreter.rpartition("/")[2].startswith("linker")


def read_elf(path: Path) -> ElfProgram | None:
    """Return what the file is made for, None for a file of another format.

    Raises:
        OSError: The file cannot be read.
        ValueError: It begins as a program and is damaged.
    """
    with path.open("rb") as file:
        head = file.read(64)
        if head[:4] != b"\x7fELF":
            return None
        try:
            is_64, order = head[4] == 2, ">" if head[5] == 2 else "<"
            (machine,) = struct.unpack_from(f"{order}H", head, 18)
            (table,) = struct.unpack_from(f"{order}{'Q' if is_64 else 'I'}", head, 32 if is_64 else 28)
            size, count = struct.unpack_from(f"{order}HH", head, 54 if is_64 else 42)
            interpreter = ""
            for index in range(min(count, _MOST_SEGMENTS)):
                file.seek(table + index * size)
                segment = file.read(size)
                if struct.unpack_from(f"{order}I", segment)[0] == _INTERPRETER_SEGMENT:
                    layout, field, length_field = ("Q", 8, 32) if is_64 else ("I", 4, 16)
                    (offset,) = struct.unpack_from(f"{order}{layout}", segment, field)
                    (length,) = struct.unpack_from(f"{order}{layout}", segment, length_field)
                    file.seek(offset)
                    interpreter = file.read(min(length, _LONGEST_INTERPRETER)).rstrip(b"\0").decode("utf-8", "replace")
        except (struct.error, IndexError, OverflowError) as error:
            raise ValueError(f"{path.name} begins as a program and ends too early") from error
    return ElfProgram(abi=_ABIS.get(machine, f"processor {machine}"), interpreter=interpreter)
