"""What kind of processor this is, and the features that matter for compressed models, from /proc/cpuinfo.

The names are the kernel's own (arch/x86 cpufeatures.h, Documentation/arch/arm64/elf_hwcaps.rst): ``asimddp`` and
``i8mm`` are the int8 dot and matrix products of Arm, ``fphp`` and ``asimdhp`` its half precision, ``avx_vnni``,
``avx512_vnni`` and ``amx_int8`` the int8 products of x86. A "Hardware" line is never used: several Raspberry Pi boards
say BCM2835 there. A 32-bit userland may see none of the ``asimd*`` features. RISC-V cores tell theirs in the "isa" line
(Documentation/arch/riscv/uabi.rst): ``v`` is the vector extension, ``zvfh`` its half precision.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEATURES = (
    *("avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimddp", "fphp", "asimdhp", "i8mm", "bf16", "sve", "sve2", "svei8mm"),
    *("v", "zvfh"),
)

# Main ID register: implementer, then part number, of the cores that boards, phones and servers of today carry. Google's
# and MediaTek's chips, and Qualcomm's "Kryo" of late, carry Arm's own cores and numbers. Sources: cputype.h of Linux
# (arch/arm64), lscpu-arm.c of util-linux, Arm's technical reference manuals.
_PARTS: Mapping[str, Mapping[int, str]] = {
    "0x41": {  # Arm
        0xC07: "Cortex-A7",
        0xC09: "Cortex-A9",
        0xC0F: "Cortex-A15",
        0xD03: "Cortex-A53",
        0xD04: "Cortex-A35",
        0xD05: "Cortex-A55",
        0xD07: "Cortex-A57",
        0xD08: "Cortex-A72",
        0xD09: "Cortex-A73",
        0xD0A: "Cortex-A75",
        0xD0B: "Cortex-A76",
        0xD0C: "Neoverse-N1",
        0xD0D: "Cortex-A77",
        0xD0E: "Cortex-A76AE",
        0xD40: "Neoverse-V1",
        0xD41: "Cortex-A78",
        0xD42: "Cortex-A78AE",
        0xD44: "Cortex-X1",
        0xD46: "Cortex-A510",
        0xD47: "Cortex-A710",
        0xD48: "Cortex-X2",
        0xD49: "Neoverse-N2",
        0xD4B: "Cortex-A78C",
        0xD4C: "Cortex-X1C",
        0xD4D: "Cortex-A715",
        0xD4E: "Cortex-X3",
        0xD4F: "Neoverse-V2",
        0xD80: "Cortex-A520",
        0xD81: "Cortex-A720",
        0xD82: "Cortex-X4",
        0xD84: "Neoverse-V3",
        0xD85: "Cortex-X925",
        0xD87: "Cortex-A725",
        0xD8E: "Neoverse-N3",
    },
    "0x48": {0xD01: "TaiShan-v110", 0xD40: "Cortex-A76"},  # HiSilicon
    "0x4e": {0x003: "Denver-2", 0x004: "Carmel"},  # NVIDIA
    "0x51": {  # Qualcomm
        0x800: "Kryo-2XX-Gold",
        0x801: "Kryo-2XX-Silver",
        0x802: "Kryo-3XX-Gold",
        0x803: "Kryo-3XX-Silver",
        0x804: "Kryo-4XX-Gold",
        0x805: "Kryo-4XX-Silver",
        0x001: "Oryon",
    },
    "0x53": {0x001: "Exynos-M1", 0x002: "Exynos-M3", 0x003: "Exynos-M4", 0x004: "Exynos-M5"},  # Samsung
    "0x61": {  # Apple
        0x022: "Icestorm",
        0x023: "Firestorm",
        0x024: "Icestorm",
        0x025: "Firestorm",
        0x028: "Icestorm",
        0x029: "Firestorm",
        0x032: "Blizzard",
        0x033: "Avalanche",
    },
    "0xc0": {0xAC3: "Ampere-1", 0xAC4: "Ampere-1a"},  # Ampere
}
_IMPLEMENTERS = {
    "0x41": "Arm",
    "0x42": "Broadcom",
    "0x43": "Cavium",
    "0x46": "Fujitsu",
    "0x48": "HiSilicon",
    "0x4e": "NVIDIA",
    "0x51": "Qualcomm",
    "0x53": "Samsung",
    "0x61": "Apple",
    "0x70": "Phytium",
    "0xc0": "Ampere",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What /proc/cpuinfo says.

    ``core_ids`` are the numbers of the logical cores that are online, ``core_features`` what each of them has, and
    ``features`` what all of them have. ``model`` is the board's name where the kernel prints it ("" elsewhere);
    ``virtual`` is True under a hypervisor that says so.
    """

    name: str = ""
    model: str = ""
    features: tuple[str, ...] = ()
    core_features: tuple[tuple[str, ...], ...] = ()
    core_ids: tuple[int, ...] = ()
    virtual: bool = False


def features_of(processor: Processor, core_ids: Sequence[int]) -> tuple[str, ...]:
    """Return the features that every one of these cores has, empty when one of them is not told of."""
    by_core = dict(zip(processor.core_ids, processor.core_features, strict=True))
    told = [by_core.get(core, ()) for core in core_ids]
    return tuple(name for name in FEATURES if told and all(name in one for one in told))


def parse_cpuinfo(text: str) -> Processor:
    """Return what a /proc/cpuinfo says; whatever it does not say stays empty. Never raises."""
    blocks = [_fields(block) for block in re.split(r"\n\s*\n", text)]
    cores = [block for block in blocks if re.fullmatch(r"[0-9]{1,6}", block.get("processor", ""))]
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
        core_ids=tuple(int(core["processor"]) for core in cores),
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
        return _arm_name(core.get("CPU implementer", ""), part)
    # A RISC-V "model name" is the maker's words for what "uarch" says in the device tree's: "Spacemit(R) X60".
    return core.get("model name") or core.get("uarch") or _riscv_name(core)


def _arm_name(implementer: str, part: str) -> str:
    number = int(part, 16) if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", part) else None
    known = _PARTS.get(implementer.lower(), {}).get(number) if number is not None else None
    maker = _IMPLEMENTERS.get(implementer.lower())
    return known or (f"{maker} part {part}" if maker else f"implementer {implementer} part {part}")


def _riscv_name(core: dict[str, str]) -> str:
    """Return what is left of a RISC-V core without a name: who made it (mvendorid, a JEDEC number), "" when unknown."""
    vendor = core.get("mvendorid", "")
    return f"RISC-V of vendor {vendor}" if vendor and core.get("isa") else ""
