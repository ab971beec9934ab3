"""The throttle verdict of a block. Takes values and returns a value.

A hint never makes a verdict. The one hint there is, latency that rose within the block, came up in 4 of 80 launches of
healthy models on a virtual machine: as evidence it would accuse every second variant of 12 rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from steelyard_agent.surroundings.contract import ThrottleReport, ThrottleVerdict, Weighed

_NOTHING_TELLS = (
    "nothing on this device tells enough: it takes a passive trip point of the processor, a cooling device of the "
    "kernel, counters of throttling or flags of the firmware"
)


def judge(weighed: Sequence[Weighed]) -> ThrottleReport:
    """Return the verdict: yes with any evidence; no when a source ruled it out; otherwise unknown, with a reason.

    Hints stand behind the evidence, and beside any verdict.
    """
    evidence = _each_once(sentence for one in weighed for sentence in one.evidence)
    hints = _each_once(sentence for one in weighed for sentence in one.hints)
    not_looked_at = _each_once(sentence for one in weighed for sentence in one.not_looked_at)
    if evidence:
        verdict = ThrottleVerdict.YES
    elif any(one.rules_out for one in weighed):
        verdict = ThrottleVerdict.NO
    else:
        verdict = ThrottleVerdict.UNKNOWN
        not_looked_at = not_looked_at or (_NOTHING_TELLS,)
    return ThrottleReport(verdict=verdict, evidence=(*evidence, *hints), not_looked_at=not_looked_at)


def _each_once(sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(sentences))
