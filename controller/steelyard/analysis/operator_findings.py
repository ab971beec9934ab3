"""What a profile of operators says in plain sentences; each is said only when it is true and matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

_MATTERS = 0.05
_MUCH = 0.25
# A share of the time that is this many times the share of the multiply-accumulates is worth a sentence.
_OUT_OF_PROPORTION = 1.5
# Below it a share of the multiply-accumulates would be one of those that could be assigned, not of the model.
_COVERED = 0.9
_ACCOUNTED = 0.8
_MOST_NAMED = 3
_QUANTIZE = frozenset(
    {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QUANTIZE", "DEQUANTIZE", "FakeQuantize",
        "Convert (NC)"}
)  # fmt: skip
_MOVES = frozenset(
    {"Transpose", "ReorderInput", "ReorderOutput", "Reorder", "Reshape", "Concat", "Slice", "Split", "Pad", "Gather",
        "TRANSPOSE", "RESHAPE", "CONCATENATION", "PAD", "SLICE", "SPLIT", "STRIDED_SLICE", "GATHER", "Identity", "Cast",
        "CAST", "Squeeze", "Unsqueeze", "Flatten", "Copy", "MemcpyToHost", "MemcpyFromHost"}
)  # fmt: skip
_MOVES_BY_PREFIX = ("Transpose (", "Constant Pad (", "Copy (", "Concatenate (", "Static Reshape (", "Slice (")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One operator: its share of the time of all operators, and what it does, where that is known."""

    name: str
    kind: str
    provider: str
    share: float
    mac_count: int | None = None
    is_depthwise: bool = False


def findings(
    operators: Sequence[Seen], *, asked_provider: str, mac_count: int | None, accounted: float | None
) -> list[str]:
    """Return the sentences.

    Args:
        operators: every operator; shares add up to 1.
        asked_provider: the provider that the plan names first, "" for none.
        mac_count: multiply-accumulates of the whole model, None when not known.
        accounted: time of all operators over the wall time of the inferences, None when not known.
    """
    told = [
        _share_of(operators, lambda one: one.kind in _QUANTIZE, "{share} of the time in {kinds}"),
        _share_of(
            operators,
            lambda one: one.kind in _MOVES or one.kind.startswith(_MOVES_BY_PREFIX),
            "{share} of the time moving data: {kinds}",
        ),
        *_elsewhere(operators, asked_provider),
        *_longest(operators),
        _depthwise(operators, mac_count),
        _unaccounted(accounted),
    ]
    return [sentence for sentence in told if sentence]


def _share_of(operators: Sequence[Seen], belongs: Callable[[Seen], bool], sentence: str) -> str:
    there = [one for one in operators if belongs(one)]
    share = sum(one.share for one in there)
    if share < _MATTERS:
        return ""
    by_kind: dict[str, float] = {}
    for one in there:
        by_kind[one.kind] = by_kind.get(one.kind, 0.0) + one.share
    # Those that take next to nothing of it are not named.
    named = [kind for kind in sorted(by_kind, key=by_kind.__getitem__, reverse=True) if by_kind[kind] >= share / 20]
    return sentence.format(share=_percent(share), kinds=_listed(named))


def _listed(names: Sequence[str]) -> str:
    shown = list(names[:_MOST_NAMED])
    if len(names) > _MOST_NAMED:
        shown.append(f"{len(names) - _MOST_NAMED} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _elsewhere(operators: Sequence[Seen], asked_provider: str) -> list[str]:
    """Say what ran elsewhere than asked; without an asked one, what the provider of most operators left to others."""
    counts: dict[str, list[float]] = {}
    for one in operators:
        counts.setdefault(one.provider, []).append(one.share)
    if not counts or (len(counts) == 1 and asked_provider in ("", *counts)):
        return []
    main = asked_provider or max(counts, key=lambda name: len(counts[name]))
    sentences = []
    for provider, shares in counts.items():
        if provider == main:
            continue
        what = "1 operator" if len(shares) == 1 else f"{len(shares)} operators"
        how = f"fell back to {provider}" if asked_provider else f"ran on {provider}, not on {main}"
        sentences.append(f"{what} {how}: {_percent(sum(shares))} of the time")
    return sentences


def _longest(operators: Sequence[Seen]) -> list[str]:
    longest = max(operators, key=lambda one: one.share, default=None)
    if longest is None or len(operators) == 1 or longest.share < _MUCH:
        return []
    what = longest.name if longest.name.startswith(longest.kind) else f"{longest.kind} {longest.name}"
    return [f"{what} takes {_percent(longest.share)} of the time"]


def _depthwise(operators: Sequence[Seen], mac_count: int | None) -> str:
    covered = sum(one.mac_count or 0 for one in operators)
    there = [one for one in operators if one.is_depthwise]
    if not mac_count or not there or covered < _COVERED * mac_count:
        return ""
    of_macs, of_time = sum(one.mac_count or 0 for one in there) / covered, sum(one.share for one in there)
    if of_time < 2 * _MATTERS or of_time < _OUT_OF_PROPORTION * of_macs:
        return ""
    return f"depthwise convolutions: {_percent(of_macs)} of the multiply-accumulates, {_percent(of_time)} of the time"


def _unaccounted(accounted: float | None) -> str:
    if accounted is None or accounted >= _ACCOUNTED:
        return ""
    return (
        f"operators take {_percent(accounted)} of the inference with the profiler on; the rest lies between them, in "
        "the runtime, in its profiler, and below the microsecond that it counts in"
    )


def _percent(share: float) -> str:
    """Return "41 %", "0.4 %" below one."""
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.1f} %"
