"""The first bytes of programs, for whoever looks at what a file is made for; none of them runs."""

from __future__ import annotations

import struct

ARM64, X86_64, ARM = 0xB7, 0x3E, 0x28


def elf_program(*, machine: int, interpreter: str = "", is_64: bool = True) -> bytes:
    """Return an ELF header with a load segment and, where an ``interpreter`` is named, the segment that names it."""
    text = interpreter.encode() + b"\0" if interpreter else b""
    header_size, segment_size = (64, 56) if is_64 else (52, 32)
    segments = [(1, 0, 0)]
    if text:
        segments.append((3, header_size + 2 * segment_size, len(text)))
    word = "Q" if is_64 else "I"
    ident = b"\x7fELF" + bytes([2 if is_64 else 1, 1, 1]) + bytes(9)
    header = ident + struct.pack(
        f"<HHI{word}{word}{word}IHHHHHH",
        *(3, machine, 1, 0, header_size, 0, 0, header_size, segment_size, len(segments), 0, 0, 0),
    )
    table = b"".join(
        struct.pack("<IIQQQQQQ", kind, 4, offset, 0, 0, length, length, 1)
        if is_64
        else struct.pack("<IIIIIIII", kind, offset, 0, 0, length, length, 4, 1)
        for kind, offset, length in segments
    )
    return header + table + text
