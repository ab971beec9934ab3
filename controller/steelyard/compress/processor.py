"""What a processor's features mean for 8-bit arithmetic."""

from __future__ import annotations

from collections.abc import Collection

from steelyard.compress.settings import AUTO

# With these the products of u8 and s8 are summed in 32 bits. Without them AVX2 and AVX-512 sum pairs in 16 bits
# (VPMADDUBSW), which saturates: 2 * 255 * 127 = 64,770 is above 32,767. ResNet50 lost 5.8 points that way
# (74.8 to 69.0 top-1, one file, four machines).
_WIDE_SUMS = frozenset({"avx512_vnni", "avx512vnni", "avx_vnni", "avx_vnni_int8", "amx_int8"})
_NARROW_SUMS = frozenset({"avx2", "avx512f", "avx512bw"})


def saturates_u8s8(features: Collection[str]) -> bool:
    """Return whether sums of u8 times s8 saturate on a processor with these features."""
    return not _NARROW_SUMS.isdisjoint(features) and _WIDE_SUMS.isdisjoint(features)


def resolve_reduce_range(setting: bool | str, features: Collection[str], *, weight_type: str) -> bool:
    """Return whether weights get 7 bits: the setting, or for "auto" what the processor needs.

    Unsigned weights do not saturate; unknown features (none given) leave 8 bits.
    """
    if setting == AUTO:
        return weight_type == "int8" and saturates_u8s8(features)
    return bool(setting)
