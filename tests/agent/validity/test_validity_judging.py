"""Planted evidence for each verdict, and none for a quiet block."""

from dataclasses import replace

import pytest

from steelyard_agent.surroundings.contract import ThrottleReport, ThrottleVerdict
from steelyard_agent.validity.contract import Validity, ValidityVerdict
from steelyard_agent.validity.judging import judge
from steelyard_agent.worker.contention import Contention

MS = 1_000_000
# 0.2 s on one of two cores: the worker alone.
QUIET = Contention(
    window_ns=200 * MS,
    run_delay_ns=20_000,
    waiting_ns=1_000,
    thread_count=1,
    core_count=2,
    busy_ns=210 * MS,
    own_ns=200 * MS,
    steal_ns=0,
    step_ns=10 * MS,
    major_fault_count=0,
    involuntary_switch_count=1,
)
HOT = ThrottleReport(verdict=ThrottleVerdict.YES, evidence=("throttled since the block began (get_throttled 0x4)",))
UNKNOWN = ThrottleReport(verdict=ThrottleVerdict.UNKNOWN, not_looked_at=("nothing tells",))


def verdict_of(**changes: object) -> ValidityVerdict:
    return judge(replace(QUIET, **changes), UNKNOWN).verdict  # type: ignore[arg-type]


def test_a_quiet_block_is_valid_without_a_word() -> None:
    validity = judge(QUIET, UNKNOWN)
    assert (validity.verdict, validity.evidence, validity.not_looked_at) == (ValidityVerdict.VALID, (), ())
    assert (validity.run_delay_ns, validity.steal_ns) == (20_000, 0)
    assert validity.other_load == pytest.approx(0.05)


def test_waiting_for_the_processor_is_contention_from_two_percent_on() -> None:
    assert verdict_of(waiting_ns=4 * MS) is ValidityVerdict.VALID
    assert verdict_of(waiting_ns=4 * MS + 1) is ValidityVerdict.CONTENDED
    validity = judge(replace(QUIET, run_delay_ns=97 * MS, waiting_ns=96 * MS, involuntary_switch_count=34), None)
    assert validity.evidence == (
        "ready but not running for 96 ms of 200 ms timed (48 %), 34 times put aside: others had the processor",
    )
    assert validity.run_delay_ns == 97 * MS


def test_one_time_slice_in_a_short_window_moves_no_median() -> None:
    assert verdict_of(window_ns=20 * MS, waiting_ns=4 * MS) is ValidityVerdict.VALID
    assert verdict_of(window_ns=20 * MS, waiting_ns=5 * MS) is ValidityVerdict.CONTENDED
    assert verdict_of(window_ns=1000 * MS, waiting_ns=19 * MS) is ValidityVerdict.VALID
    assert verdict_of(window_ns=1000 * MS, waiting_ns=21 * MS) is ValidityVerdict.CONTENDED


def test_the_plan_may_allow_more_or_less() -> None:
    busy = replace(QUIET, waiting_ns=60 * MS)
    assert judge(busy, None, most_contention=0.4).verdict is ValidityVerdict.VALID
    assert judge(busy, None, most_contention=0.2).verdict is ValidityVerdict.CONTENDED
    assert judge(busy, None, most_contention=1.0).verdict is ValidityVerdict.VALID
    long = replace(QUIET, window_ns=1000 * MS, waiting_ns=6 * MS)
    assert judge(long, None, most_contention=0.005).verdict is ValidityVerdict.CONTENDED


def test_threads_that_outnumber_their_cores_wait_for_each_other_and_accuse_nobody() -> None:
    crowded = replace(QUIET, thread_count=4, waiting_ns=300 * MS, busy_ns=400 * MS, own_ns=395 * MS)
    validity = judge(crowded, None)
    assert validity.verdict is ValidityVerdict.VALID
    assert "4 threads of the model wait for each other on 2 cores" in validity.not_looked_at[0]
    with_others = judge(replace(crowded, own_ns=300 * MS), None)
    assert with_others.verdict is ValidityVerdict.CONTENDED
    assert "others used 100 ms of processor time within 200 ms timed" in with_others.evidence[0]


def test_without_schedstat_the_load_of_others_decides() -> None:
    blind = replace(QUIET, run_delay_ns=None, waiting_ns=None, thread_count=None, reasons=("not told",))
    assert judge(blind, None).verdict is ValidityVerdict.VALID
    assert judge(replace(blind, busy_ns=400 * MS), None).verdict is ValidityVerdict.VALID, "the other core is free"
    both_taken = replace(blind, core_count=1, busy_ns=400 * MS)
    assert judge(both_taken, None).verdict is ValidityVerdict.CONTENDED
    assert judge(both_taken, None).not_looked_at == ("not told",)


def test_a_hypervisor_is_noise_beyond_one_step_of_its_counter() -> None:
    assert verdict_of(steal_ns=10 * MS) is ValidityVerdict.VALID
    assert verdict_of(steal_ns=20 * MS) is ValidityVerdict.NOISY
    assert "a hypervisor gave 20 ms of 200 ms timed to other guests (10 %)" in (
        judge(replace(QUIET, steal_ns=20 * MS), None).evidence
    )


def test_a_major_page_fault_is_noise() -> None:
    validity = judge(replace(QUIET, major_fault_count=2), None)
    assert validity.verdict is ValidityVerdict.NOISY
    assert validity.evidence[0].startswith("2 page faults within the timed samples")


def test_heat_spoils_a_block_except_where_it_is_what_is_measured() -> None:
    validity = judge(QUIET, HOT)
    assert (validity.verdict, validity.evidence) == (ValidityVerdict.THROTTLED, HOT.evidence)
    assert judge(QUIET, HOT, heat_is_measured=True).verdict is ValidityVerdict.VALID
    assert judge(QUIET, ThrottleReport(verdict=ThrottleVerdict.YES), heat_is_measured=False).evidence


def test_what_lasts_longest_comes_first_and_the_rest_is_told_too() -> None:
    validity = judge(replace(QUIET, waiting_ns=90 * MS, major_fault_count=1), HOT)
    assert validity.verdict is ValidityVerdict.THROTTLED
    assert [text.split()[0] for text in validity.evidence] == ["throttled", "ready", "1"]


def test_a_system_that_keeps_the_worker_from_its_cores_comes_before_all() -> None:
    validity = judge(QUIET, HOT, objection="in the background cpuset; bring it to the front")
    assert validity.verdict is ValidityVerdict.CONTENDED
    assert validity.evidence == ("in the background cpuset; bring it to the front", *HOT.evidence)


def test_what_ran_elsewhere_is_not_looked_at_and_says_so() -> None:
    validity = judge(None, UNKNOWN, gate_not_looked_at=("temperature: no sensor",), waited_ms=3000)
    assert validity.verdict is ValidityVerdict.VALID
    assert validity.not_looked_at[0] == "temperature: no sensor"
    assert "does not tell what others did" in validity.not_looked_at[1]
    assert (validity.run_delay_ns, validity.steal_ns, validity.other_load, validity.waited_ms) == (None,) * 3 + (3000,)


def test_nothing_readable_is_not_looked_at_and_never_nought() -> None:
    validity = judge(Contention(window_ns=200 * MS, major_fault_count=0, reasons=("a", "b")), UNKNOWN)
    assert (validity.verdict, validity.not_looked_at) == (ValidityVerdict.VALID, ("a", "b"))
    assert (validity.run_delay_ns, validity.steal_ns, validity.other_load) == (None, None, None)


@pytest.mark.parametrize(("verdict", "evidence"), [("VALID", ("something",)), ("NOISY", ())])
def test_a_verdict_goes_with_its_evidence(verdict: str, evidence: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=verdict):
        Validity(verdict=ValidityVerdict(verdict), evidence=evidence)
