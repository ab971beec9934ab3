"""What a processor's features say of arithmetic in few bits; None where they do not tell."""

from __future__ import annotations

from collections.abc import Collection

# The kernel's own names, as the agent probes them (steelyard_agent.processor). Sums of four products of bytes in 32
# bits: VNNI and AMX of x86, SDOT/UDOT (ARMv8.2) and the matrix products I8MM of Arm.
_INT8_DOT = frozenset({
    *("avx_vnni", "avx512_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm", "svei8mm"),
})  # fmt: skip
_HALVES = frozenset({"avx512_fp16", "asimdhp", "zvfh"})
# A kernel lists these beside whatever else the core has: where it lists one of them, its silence on a feature counts.
_TELLING = frozenset({"avx2", "fma", "f16c", "avx512f", "asimd", "v"})

X86 = frozenset({"x86_64", "amd64", "i686", "i386"})
ARM = frozenset({"aarch64", "arm64", "armv7l", "armv8l", "armv6l"})


def has_int8_dot(features: Collection[str]) -> bool | None:
    """Return whether the processor has an instruction for dot products of bytes."""
    return _has(features, _INT8_DOT)


def has_half_arithmetic(features: Collection[str]) -> bool | None:
    """Return whether the processor multiplies float16; ``f16c`` only converts."""
    return _has(features, _HALVES)


def _has(features: Collection[str], wanted: frozenset[str]) -> bool | None:
    if not wanted.isdisjoint(features):
        return True
    # A 32-bit program on Arm sees "neon" and none of the "asimd" features, whatever the core has.
    return None if _TELLING.isdisjoint(features) else False
