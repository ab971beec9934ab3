"""The verdict on a block that ran. Takes values and returns a value; the latency of the block is not among them.

Choosing rounds by how long their inferences took would cut off one tail of what is estimated: an interval over what is
left is too narrow and its middle too low. Everything here is told by the kernel, whatever the model did.
"""

from __future__ import annotations

from steelyard_agent.surroundings.contract import ThrottleReport, ThrottleVerdict
from steelyard_agent.validity.contract import Validity, ValidityVerdict
from steelyard_agent.worker.contention import Contention

# Of the timed window. A worker alone on its core was ready and not running for 0.007 % of 300 ms; beside one busy
# neighbour on the same core for 47 to 50 % (x86 virtual machine, Linux 6.18). In between lies a neighbour at a few
# percent of the core; what it takes below 2 % is less than the 2 % of the median that intervals are wanted to.
MOST_CONTENTION = 0.02
# One time slice of a neighbour, a tick of a kernel at 250 Hz: in a window of 200 ms as much as 2 %. In a shorter one a
# single slice hits a sample or two, which moves no median.
ONE_SLICE_NS = 4_000_000
# What a system does by itself beside the threads that are measured, as a share of one core.
SYSTEM_LOAD = 0.1

# Which verdict a block has that deserves several: what lasts longest comes first.
_ORDER = (ValidityVerdict.THROTTLED, ValidityVerdict.CONTENDED, ValidityVerdict.NOISY)
_ANYTHING_ALLOWED = "contention: the plan allows others to take whatever they want (--max-contention 100%)"
_NOTHING_TOLD = "contention: what ran the model does not tell what others did to it meanwhile"


def judge(
    contention: Contention | None,
    throttle: ThrottleReport | None,
    *,
    objection: str = "",
    most_contention: float | None = None,
    heat_is_measured: bool = False,
    gate_not_looked_at: tuple[str, ...] = (),
    waited_ms: int = 0,
) -> Validity:
    """Return whether the figures of a block may be used.

    ``objection`` is why the system kept the worker from its processor (Android's background cpuset), "" where it did
    not. ``most_contention`` is the plan's own limit; 1 is none at all, since several threads together wait for longer
    than the window lasts. ``heat_is_measured``: the block is long on purpose, and that the
    device slows down in it is a result. ``gate_not_looked_at`` and ``waited_ms`` are what the gate before it said.
    """
    most_share = MOST_CONTENTION if most_contention is None else most_contention
    found: dict[ValidityVerdict, list[str]] = {verdict: [] for verdict in _ORDER}
    not_looked_at = list(gate_not_looked_at)
    if throttle is not None and throttle.verdict is ThrottleVerdict.YES and not heat_is_measured:
        found[ValidityVerdict.THROTTLED] += throttle.evidence or ("the device slowed itself down",)
    if contention is None:
        not_looked_at.append(_NOTHING_TOLD)
    elif most_share >= 1.0:
        not_looked_at.append(_ANYTHING_ALLOWED)
    else:
        found[ValidityVerdict.CONTENDED] += _contended(contention, most_share)
        found[ValidityVerdict.NOISY] += _noisy(contention, most_share)
        not_looked_at += _not_looked_at(contention)
    verdict = next((one for one in _ORDER if found[one]), ValidityVerdict.VALID)
    # It comes with what to do about it, and the rest may follow from it.
    first = (objection,) if objection else ()
    return Validity(
        verdict=ValidityVerdict.CONTENDED if objection else verdict,
        evidence=(*first, *(sentence for one in _ORDER for sentence in found[one])),
        not_looked_at=tuple(dict.fromkeys(not_looked_at)),
        waited_ms=waited_ms,
        run_delay_ns=contention.run_delay_ns if contention is not None else None,
        steal_ns=contention.steal_ns if contention is not None else None,
        other_load=_other_load(contention) if contention is not None else None,
    )


def _contended(seen: Contention, most_share: float) -> list[str]:
    if seen.waiting_ns is not None and not _is_crowded(seen):
        if seen.waiting_ns <= max(most_share * seen.window_ns, ONE_SLICE_NS):
            return []
        switches = f", {seen.involuntary_switch_count} times put aside" if seen.involuntary_switch_count else ""
        sentence = (
            f"ready but not running for {_ms(seen.waiting_ns)} of {_ms(seen.window_ns)} timed "
            f"({_percent(seen.waiting_ns, seen)}){switches}: others had the processor"
        )
        return [sentence]
    return _crowded_out(seen, most_share)


def _crowded_out(seen: Contention, most_share: float) -> list[str]:
    """Judge by the CPU time of others where waiting cannot be told or is the threads' own doing."""
    others_ns = _others_ns(seen)
    if others_ns is None or seen.core_count is None or seen.step_ns is None:
        return []
    left_over = max(0, seen.core_count - (seen.thread_count or 1)) + max(SYSTEM_LOAD, most_share)
    # A count in steps proves only what goes beyond one step of each core.
    if others_ns - seen.step_ns * seen.core_count <= left_over * seen.window_ns:
        return []
    sentence = (
        f"others used {_ms(others_ns)} of processor time within {_ms(seen.window_ns)} timed, and "
        f"{seen.core_count} cores less those of the model leave {_ms(round(left_over * seen.window_ns))}"
    )
    return [sentence]


def _noisy(seen: Contention, most_share: float) -> list[str]:
    noisy = []
    if (
        seen.steal_ns is not None
        and seen.step_ns is not None
        and seen.steal_ns > most_share * seen.window_ns + seen.step_ns
    ):
        noisy.append(
            f"a hypervisor gave {_ms(seen.steal_ns)} of {_ms(seen.window_ns)} timed to other guests "
            f"({_percent(seen.steal_ns, seen)})"
        )
    if seen.major_fault_count:
        noisy.append(
            f"{seen.major_fault_count} page fault{'s' if seen.major_fault_count > 1 else ''} within the timed samples "
            "had to read from the disk: memory is short"
        )
    return noisy


def _not_looked_at(seen: Contention) -> list[str]:
    reasons = list(seen.reasons)
    if seen.run_delay_ns is not None and _is_crowded(seen):
        reasons.append(
            f"time ready but not running: {seen.thread_count} threads of the model wait for each other on "
            f"{seen.core_count} cores"
        )
    return reasons


def _is_crowded(seen: Contention) -> bool:
    """Return whether the worker's own threads are more than its cores, so that they delay each other."""
    return bool(seen.thread_count and seen.core_count and seen.thread_count > seen.core_count)


def _others_ns(seen: Contention) -> int | None:
    if seen.busy_ns is None or seen.own_ns is None:
        return None
    return max(0, seen.busy_ns - seen.own_ns)


def _other_load(seen: Contention) -> float | None:
    others_ns = _others_ns(seen)
    return None if others_ns is None else others_ns / seen.window_ns


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3g} ms"


def _percent(part_ns: int, seen: Contention) -> str:
    return f"{100 * part_ns / seen.window_ns:.2g} %"
