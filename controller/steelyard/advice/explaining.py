"""Why a variant is not faster than the original: what its operators spend their time on, beside the original's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from steelyard.advice.families import CASTING, CONVOLUTION, MULTIPLYING, PRODUCT, QUANTIZING, family_of, is_integer

_MATTERS = 0.05
# A profile is one run: kernels that took a fifth longer may have been disturbed.
_CLEARLY_LONGER = 1.25
_CPU = frozenset({"CPUExecutionProvider", "CPU", "XNNPACK"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledOperator:
    """One operator of a profile and the mean time that it takes in one inference."""

    kind: str
    provider: str
    mean_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The operators of a model as the runtime ran them; ``asked_provider`` is "" where none was asked for."""

    operators: tuple[ProfiledOperator, ...]
    asked_provider: str = ""

    @property
    def total_ns(self) -> float:
        """Time of all operators."""
        return sum(one.mean_ns for one in self.operators)

    def time_ns(self, belongs: Callable[[ProfiledOperator], bool]) -> float:
        """Return the time of the operators that belong to something."""
        return sum(one.mean_ns for one in self.operators if belongs(one))

    def family_ns(self, family: str) -> float:
        """Return the time of the operators of a family."""
        return self.time_ns(lambda one: family_of(one.kind) == family)

    def share(self, belongs: Callable[[ProfiledOperator], bool]) -> float:
        """Return their share of the time."""
        return self.time_ns(belongs) / self.total_ns if self.total_ns else 0.0


def reasons(variant: Profile, original: Profile) -> list[str]:
    """Return the reasons why a variant is no faster, what takes most first; each is said only where it matters.

    Args:
        variant: operators of the variant.
        original: operators of the original, on the same device.
    """
    if not variant.total_ns:
        return ["its operators were not profiled, so that the reason is not known"]
    told = [
        *_added(variant, QUANTIZING, "quantizes and dequantizes"),
        *_added(variant, CASTING, "casts between types"),
        *_elsewhere(variant),
        *_left_in_float(variant),
        *_slower_kernels(variant, original),
        *_slower_rest(variant, original),
    ]
    if not told:
        return ["no operator of it stands out: it does the same work in about the same time"]
    return [sentence for _, sentence in sorted(told, key=lambda one: -one[0])]


def _added(variant: Profile, family: str, does: str) -> list[tuple[float, str]]:
    share = variant.share(lambda one: family_of(one.kind) == family)
    if share < _MATTERS:
        return []
    kinds = _kinds(one.kind for one in variant.operators if family_of(one.kind) == family)
    return [(share, f"{_percent(share)} of its time {does} ({kinds})")]


def _elsewhere(variant: Profile) -> list[tuple[float, str]]:
    asked = variant.asked_provider
    if not asked or asked in _CPU:
        return []
    share = variant.share(lambda one: one.provider != asked)
    if share < _MATTERS:
        return []
    providers = _kinds(one.provider for one in variant.operators if one.provider != asked)
    return [(share, f"{_percent(share)} of its time fell back from {asked} to {providers}")]


def _left_in_float(variant: Profile) -> list[tuple[float, str]]:
    """Say what of a quantized variant still multiplies in float; nothing of one that is not quantized at all."""

    def in_float(one: ProfiledOperator) -> bool:
        return family_of(one.kind) in MULTIPLYING and not is_integer(one.kind)

    if not any(is_integer(one.kind) or family_of(one.kind) == QUANTIZING for one in variant.operators):
        return []
    share = variant.share(in_float)
    if share < _MATTERS:
        return []
    kinds = _kinds(one.kind for one in variant.operators if in_float(one))
    return [(share, f"{_percent(share)} of its time is in layers that stayed in float ({kinds})")]


def _slower_kernels(variant: Profile, original: Profile) -> list[tuple[float, str]]:
    """Say which kind of arithmetic takes longer than in the original."""
    told = []
    for family, name in ((CONVOLUTION, "convolutions"), (PRODUCT, "matrix products")):
        now, before = variant.family_ns(family), original.family_ns(family)
        if before and now > _CLEARLY_LONGER * before and now >= _MATTERS * variant.total_ns:
            kinds = _kinds(one.kind for one in variant.operators if family_of(one.kind) == family)
            told.append(
                (
                    now / variant.total_ns,
                    f"its {name} ({kinds}) take {now / before:.1f} times as long as the original's",
                )
            )
    return told


def _slower_rest(variant: Profile, original: Profile) -> list[tuple[float, str]]:
    left_out = MULTIPLYING | {QUANTIZING, CASTING}
    now = variant.time_ns(lambda one: family_of(one.kind) not in left_out)
    before = original.time_ns(lambda one: family_of(one.kind) not in left_out)
    if now <= _CLEARLY_LONGER * before or now - before < _MATTERS * variant.total_ns:
        return []
    longest: dict[str, float] = {}
    for one in variant.operators:
        if family_of(one.kind) not in left_out:
            longest[one.kind] = longest.get(one.kind, 0.0) + one.mean_ns
    share = now / variant.total_ns
    kind = max(longest, key=longest.__getitem__)
    return [
        (share, f"{_percent(share)} of its time is in other operators, most in {kind}; they take longer than before")
    ]


def _kinds(names: Iterable[str]) -> str:
    found = list(dict.fromkeys(names))
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
