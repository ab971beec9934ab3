"""What kind of processor this is, and the features that matter for compressed models, from /proc/cpuinfo.

The names are the kernel's own (arch/x86 cpufeatures.h, Documentation/arch/arm64/elf_hwcaps.rst): ``asimddp`` and
``i8mm`` are the int8 dot and matrix products of Arm, ``fphp`` and ``asimdhp`` its half precision, ``avx_vnni``,
``avx512_vnni`` and ``amx_int8`` the int8 products of x86. A "Hardware" line is never used: several Raspberry Pi boards
say BCM2835 there. A 32-bit userland may see none of the ``asimd*`` features.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

FEATURES = (
    *("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "svei8mm"),
    *("v", "zvfh"),
)

# Main ID register, implementer 0x41 (Arm): the part numbers of the cores that boards and phones of today carry.
_ARM_PARTS = {
    "0xc07": "Cortex-A7",
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
    "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2",
    "0xd49": "Neoverse-N2",
    "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3",
    "0xd4f": "Neoverse-V2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What /proc/cpuinfo says. ``core_features`` has one entry a logical core; ``features`` are those of every core.

    ``model`` is the board's name where the kernel prints it ("" elsewhere); ``virtual`` is True under a hypervisor
    that says so.
    """

    name: str = ""
    model: str = ""
    features: tuple[str, ...] = ()
    core_features: tuple[tuple[str, ...], ...] = ()
    virtual: bool = False


def parse_cpuinfo(text: str) -> Processor:
    """Return what a /proc/cpuinfo says; whatever it does not say stays empty. Never raises."""
    blocks = [_fields(block) for block in re.split(r"\n\s*\n", text)]
    cores = [block for block in blocks if re.fullmatch(r"[0-9]+", block.get("processor", ""))]
    flags = [_flags(core) for core in cores]
    core_features = tuple(tuple(name for name in FEATURES if name in core) for core in flags)
    shared = tuple(name for name in FEATURES if cores and all(name in core for core in flags))
    # The board's name stands in a block of its own after the cores.
    model = next((block["Model"] for block in blocks if block.get("Model")), "")
    return Processor(
        name=_name(cores),
        model=model,
        features=shared,
        core_features=core_features,
        virtual=any("hypervisor" in core for core in flags),
    )


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.splitlines())
    return {key.strip(): value.strip() for key, separator, value in pairs if separator}


def _flags(core: dict[str, str]) -> frozenset[str]:
    flags = set((core.get("flags") or core.get("Features") or "").split())
    # "rv64imafdcv_zicsr_zvfh": single letters up to the first underscore, then whole names.
    letters, *names = core.get("isa", "").lower().split("_")
    if match := re.fullmatch(r"rv(?:32|64)([a-z]+)", letters):
        flags |= {*match.group(1), *names}
    return frozenset(flags)


def _name(cores: list[dict[str, str]]) -> str:
    names = Counter(_core_name(core) for core in cores)
    names.pop("", None)
    if len(names) == 1 and "CPU part" not in cores[0]:
        return next(iter(names))
    return " + ".join(f"{count}x {name}" for name, count in names.items())


def _core_name(core: dict[str, str]) -> str:
    if part := core.get("CPU part"):
        implementer = core.get("CPU implementer", "")
        known = _ARM_PARTS.get(part) if implementer == "0x41" else None
        return known or f"implementer {implementer} part {part}"
    return core.get("model name") or core.get("uarch") or ""
