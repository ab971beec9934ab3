"""What went on around the blocks of a measurement: throttling, circumstances, blocks that were not valid.

Unlike a time, none of it is averaged: one block that throttled is told, whatever the others did.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard.analysis.validity import allowed_contention, counts_text, not_looked_at, validity_counts
from steelyard.analysis.variant_rounds import VariantRounds
from steelyard_protocol.v1 import common_pb2, result_pb2

_YES, _NO, _UNKNOWN = (
    result_pb2.THROTTLE_VERDICT_YES,
    result_pb2.THROTTLE_VERDICT_NO,
    result_pb2.THROTTLE_VERDICT_UNKNOWN,
)
# Reasons in one warning; the measurement's throttle report has them all.
_SHOWN_REASONS = 3
# Of all blocks together; below it nobody wonders where the time went.
_LEAST_WAIT_S = 10.0


def merged_throttle(rounds: Sequence[result_pb2.RoundResult]) -> result_pb2.ThrottleReport | None:
    """Return one report of all blocks, each sentence once; None when no block has one.

    Evidence is that of the blocks that throttled: what others say beside a no or an unknown proved nothing.
    """
    reports = [block.throttle for block in _blocks(rounds) if block.HasField("throttle")]
    if not reports:
        return None
    verdicts = {report.verdict for report in reports}
    return result_pb2.ThrottleReport(
        verdict=next((one for one in (_YES, _UNKNOWN) if one in verdicts), _NO),
        evidence=_each_once(sentence for one in reports if one.verdict == _YES for sentence in one.evidence),
        not_looked_at=_each_once(sentence for one in reports for sentence in one.not_looked_at),
    )


def merged_circumstances(rounds: Sequence[result_pb2.RoundResult]) -> list[common_pb2.Circumstance]:
    """Return each circumstance once, in the order of its first coming; values that changed are joined by "then"."""
    values: dict[str, dict[str, None]] = {}
    reasons: dict[str, str] = {}
    for block in _blocks(rounds):
        for one in block.circumstances:
            seen = values.setdefault(one.name, {})
            if one.HasField("value"):
                seen[one.value] = None
            else:
                reasons.setdefault(one.name, one.reason)
    return [
        common_pb2.Circumstance(
            name=name, value=", then ".join(seen) if seen else None, reason="" if seen else reasons.get(name, "")
        )
        for name, seen in values.items()
    ]


def throttled_block_count(rounds: VariantRounds) -> int:
    """Return how many of the blocks throttled, those that are left out for it included."""
    return sum(block.throttle.verdict == _YES for block in (*_counted(rounds), *rounds.left_out))


def surroundings_warnings(variants: Sequence[VariantRounds]) -> list[str]:
    """Return what a reader must know: which variants throttled or lost blocks, and that it could not be ruled out."""
    warnings = [text for one in variants if (text := _throttled(one))]
    warnings += [text for text in (_not_valid(variants), _contended(variants), _waited(variants)) if text]
    unknown = [block.throttle for one in variants for block in _counted(one) if block.throttle.verdict == _UNKNOWN]
    if unknown:
        reasons = _each_once(sentence for one in unknown for sentence in one.not_looked_at)
        more = f"; {len(reasons) - _SHOWN_REASONS} more" if len(reasons) > _SHOWN_REASONS else ""
        count = sum(1 for one in variants for _ in _counted(one))
        where = "" if len(unknown) == count else f" in {len(unknown)} of {count} blocks"
        told = "; ".join(reasons[:_SHOWN_REASONS]) or "the device did not say why"
        warnings.append(f"throttling could not be ruled out{where}: {told}{more}")
    unseen = not_looked_at(block for one in variants for block in _counted(one))
    if unseen:
        more = f"; {len(unseen) - _SHOWN_REASONS} more" if len(unseen) > _SHOWN_REASONS else ""
        warnings.append(f"not looked at around blocks: {'; '.join(unseen[:_SHOWN_REASONS])}{more}")
    return warnings


def _throttled(rounds: VariantRounds) -> str:
    """Return that figures rest on blocks that throttled: a curve that shows it, or what an older agent recorded."""
    throttled = [block for block in _counted(rounds) if block.throttle.verdict == _YES]
    if not throttled:
        return ""
    evidence = next((sentence for block in throttled for sentence in block.throttle.evidence), "it did not say how")
    return f"{rounds.label}: the device throttled in {len(throttled)} of {len(_counted(rounds))} blocks: {evidence}"


def _not_valid(variants: Sequence[VariantRounds]) -> str:
    """Return why some rounds are left out; where all are, each variant failed and says so itself."""
    told = [(one, validity_counts(one.left_out)) for one in variants if one.timed]
    told = [(one, counts) for one, counts in told if counts]
    if not told:
        return ""
    parts = "; ".join(f"{one.label} {counts_text(counts)} of {_block_count(one)}" for one, counts in told)
    first, counts = told[0]
    return (
        f"rounds with a block that was not valid are left out and were repeated ({parts}), such as {first.label}: "
        f"{counts[0].example}"
    )


def _block_count(rounds: VariantRounds) -> int:
    return len(_counted(rounds)) + len(rounds.failed) + len(rounds.left_out)


def _contended(variants: Sequence[VariantRounds]) -> str:
    """Return that others took a part of windows that count, where the plan allows it."""
    shares = {one.label: share for one in variants if (share := allowed_contention(_counted(one))) is not None}
    if not shares:
        return ""
    label, most = max(shares.items(), key=lambda one: one[1])
    return (
        f"others had the processor for up to {100 * most:.0f} % of a timed window ({label}), as this measurement "
        "allows: its figures are those of a busy device"
    )


def _waited(variants: Sequence[VariantRounds]) -> str:
    """Return how long blocks were held up: it is device time that a budget pays for and rounds do not get."""
    blocks = [block for one in variants for block in (*_counted(one), *one.left_out)]
    waited_s = sum(block.validity.waited_ms for block in blocks) / 1000
    if waited_s < _LEAST_WAIT_S:
        return ""
    return (
        f"blocks waited {waited_s:.0f} s in all for a quiet and cool device, which the budget pays for: end what else "
        "runs there, or begin at once by --no-gate"
    )


def _counted(rounds: VariantRounds) -> list[result_pb2.BlockResult]:
    return [*(timed.block for timed in rounds.timed), *rounds.energy]


def _blocks(rounds: Sequence[result_pb2.RoundResult]) -> Iterable[result_pb2.BlockResult]:
    return (block for one in rounds for block in one.blocks)


def _each_once(sentences: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(sentences))
