"""Rounds that count and rounds that do not: one block that was not valid takes its whole round with it.

All that is looked at is the status and the verdict that the device gave, from evidence outside the model's latency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard_protocol.v1 import measurement_pb2, result_pb2

# Passes of several rounds that are compared: what was not valid is done again. Others have one round.
_REPEATED_PASSES = frozenset({result_pb2.PASS_LATENCY, result_pb2.PASS_ENERGY})
_NOT_VALID = result_pb2.BLOCK_STATUS_NOT_VALID
# Half as many again as the rounds that were allowed: beyond that the device is not in a state to be measured, and more
# of the same would only take longer to say so.
_REPEATED_SHARE = 0.5
_LEAST_REPEATED = 3
# The limit of agents where the plan names none, twice over: below it waking threads and short windows explain it.
_USUAL_CONTENTION = 0.04
WORDS = {
    result_pb2.VALIDITY_VERDICT_NOISY: "noisy",
    result_pb2.VALIDITY_VERDICT_THROTTLED: "throttled",
    result_pb2.VALIDITY_VERDICT_CONTENDED: "contended",
    result_pb2.VALIDITY_VERDICT_INCOMPLETE: "incomplete",
}


def is_left_out(one: result_pb2.RoundResult) -> bool:
    """Return whether no figure may rest on a round: the blocks of a round are compared with each other."""
    return one.pass_kind in _REPEATED_PASSES and first_not_valid([one]) is not None


def first_not_valid(rounds: Iterable[result_pb2.RoundResult]) -> result_pb2.BlockResult | None:
    """Return the first block that was not valid."""
    return next((block for one in rounds for block in one.blocks if block.status == _NOT_VALID), None)


def what_happened(block: result_pb2.BlockResult) -> str:
    """Return "static-int8: ready but not running for …" of a block that was not valid."""
    return f"{block.label or 'the device'}: {block.error.message}"


def rounds_that_count(rounds: Iterable[result_pb2.RoundResult]) -> list[result_pb2.RoundResult]:
    """Return the rounds that figures may rest on."""
    return [one for one in rounds if not is_left_out(one)]


def repeated_round_count(rounds: Iterable[result_pb2.RoundResult]) -> int:
    """Return the rounds that are left out."""
    return sum(is_left_out(one) for one in rounds)


def most_repeated(round_count: int) -> int:
    """Return how many rounds may be repeated where ``round_count`` are allowed."""
    return max(_LEAST_REPEATED, int(round_count * _REPEATED_SHARE))


def why_no_more_repeats(rounds: Sequence[result_pb2.RoundResult], round_count: int) -> str:
    """Return why no more rounds are repeated where ``round_count`` are allowed, "" when they may be."""
    repeated = repeated_round_count(rounds)
    if repeated <= most_repeated(round_count):
        return ""
    block = first_not_valid(one for one in rounds if is_left_out(one))
    assert block is not None
    return (
        f"{repeated} of {len(rounds)} rounds were not valid, more than are repeated ({most_repeated(round_count)}): "
        + what_happened(block)
    )


def why_no_round(rounds: Sequence[result_pb2.RoundResult]) -> str:
    """Return that the budget was used up by rounds none of which counts."""
    block = first_not_valid(rounds)
    happened = f": {what_happened(block)}" if block is not None else ""
    tried = f"none of {len(rounds)} rounds was" if len(rounds) > 1 else "the only round was not"
    return f"{tried} valid, and the budget of device time is used up{happened}"


def mark_cut_short(measurement: measurement_pb2.Measurement, why: str, min_round_count: int) -> None:
    """Say of a measurement that it was cut short, ``why`` "" where it was not; with too few rounds it decides nothing.

    A decision that is read off fewer rounds than the first look wants would be one that nobody paid for.
    """
    if not why:
        return
    measurement.warnings.insert(0, f"measuring was cut short: {why}")
    if measurement.round_count < min_round_count:
        measurement.decision.kind = measurement_pb2.DECISION_KIND_INCOMPLETE
        measurement.decision.label = ""
        count = measurement.round_count
        rounds = f"{count} valid round{' is' if count == 1 else 's are'}"
        measurement.decision.sentence = (
            f"No decision on {measurement.device_name}: {rounds} fewer than the {min_round_count} that it takes; make "
            "the device quiet and cool, and measure again."
        )


def validity_counts(blocks: Iterable[result_pb2.BlockResult]) -> list[measurement_pb2.ValidityCount]:
    """Return the blocks that were not valid by verdict, the most frequent first, with what the first of each says."""
    counts: dict[result_pb2.ValidityVerdict.ValueType, measurement_pb2.ValidityCount] = {}
    for block in blocks:
        if block.status != _NOT_VALID:
            continue
        verdict = block.validity.verdict
        count = counts.setdefault(verdict, measurement_pb2.ValidityCount(verdict=verdict, example=block.error.message))
        count.block_count += 1
    return sorted(counts.values(), key=lambda one: -one.block_count)


def not_looked_at(blocks: Iterable[result_pb2.BlockResult]) -> list[str]:
    """Return what could not be looked at around these blocks, each reason once, in the order of their coming."""
    return list(dict.fromkeys(sentence for block in blocks for sentence in block.validity.not_looked_at))


def allowed_contention(blocks: Iterable[result_pb2.BlockResult]) -> float | None:
    """Return the greatest share of a timed window that others took from a block that counts all the same.

    None where no more than the usual limit was taken, or where it is not told.
    """
    shares = [
        block.validity.run_delay_ns / block.window_ns
        for block in blocks
        if block.validity.HasField("run_delay_ns") and block.window_ns > 0
    ]
    most = max(shares, default=0.0)
    return most if most > _USUAL_CONTENTION else None


def counts_text(counts: Sequence[measurement_pb2.ValidityCount]) -> str:
    """Return "2 contended, 1 throttled"."""
    return ", ".join(f"{one.block_count} {WORDS.get(one.verdict, 'not valid')}" for one in counts)
