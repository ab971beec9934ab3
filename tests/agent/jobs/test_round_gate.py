"""Rounds with a gate before their blocks and a verdict after them; workers and gate are fakes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_plan
from steelyard_agent.jobs.planned_blocks import BlobPaths
from steelyard_agent.jobs.rounds import FinishedRound, RoundRunner
from steelyard_agent.jobs.validity import ValidityTools, gate_rules
from steelyard_agent.surroundings.contract import BlockSurroundings, ThrottleReport, ThrottleVerdict
from steelyard_agent.validity.admission import Admission
from steelyard_agent.validity.rules import GateRules
from steelyard_agent.worker.block import WorkerResult
from steelyard_agent.worker.contention import Contention
from steelyard_protocol.v1.plan_pb2 import MODE_SUSTAINED, GateSpec, Plan
from steelyard_protocol.v1.result_pb2 import (
    BLOCK_STATUS_NOT_VALID,
    BLOCK_STATUS_OK,
    PASS_ENERGY,
    PASS_EVALUATION,
    PASS_LATENCY,
    VALIDITY_VERDICT_CONTENDED,
    VALIDITY_VERDICT_INCOMPLETE,
    VALIDITY_VERDICT_THROTTLED,
    VALIDITY_VERDICT_VALID,
)
from tests.agent.jobs.fakes import FakeOutcome, FakeSurroundings, FakeWorkers, plan_of, round_tools
from tests.support.fake_controller import digest_of

MS = 1_000_000
BUSY = Contention(window_ns=200 * MS, run_delay_ns=96 * MS, waiting_ns=95 * MS, thread_count=1, core_count=2)
CALM = Contention(window_ns=200 * MS, run_delay_ns=MS, waiting_ns=0, thread_count=1, core_count=2, steal_ns=0)


class FakeGate:
    """Answers with ``answers`` in turn, then lets everything through; says one sentence when it waits."""

    def __init__(self, *answers: Admission) -> None:
        self.answers = list(answers)
        self.asked: list[GateRules] = []
        self.begun = 0

    async def begin(self) -> None:
        self.begun += 1

    async def admit(
        self, rules: GateRules, *, core_ids: Sequence[int], tell: Callable[[str], Awaitable[None]]
    ) -> Admission:
        self.asked.append(rules)
        answer = self.answers.pop(0) if self.answers else Admission()
        if answer.waited_ms:
            await tell("waiting: cpu 71.2 C, wants 63.0 C")
        return answer


class Bench:
    """A runner of a plan of two models, and everything that was said before its blocks."""

    def __init__(self, folder: Path, gate: FakeGate, contention: Contention | None = CALM, **tools: object) -> None:
        self.plan = plan_of(b"A", b"B", evaluation=b"data")
        self.plan.gate.CopyFrom(GateSpec(most_temperature_rise_c=2.0, longest_wait_ms=600_000))
        self.workers = FakeWorkers(behave=lambda block: self._outcome(contention) if not block.output_path else None)
        paths = {digest_of(content): folder / digest_of(content) for content in (b"A", b"B", b"data")}
        for content in (b"A", b"B", b"data"):
            paths[digest_of(content)].write_bytes(content)
        self.tools = replace(
            round_tools(self.workers, folder / "work"),
            validity=ValidityTools(gate=gate, **tools),  # type: ignore[arg-type]
        )
        self.paths = BlobPaths(by_digest=paths)
        self.said: list[str] = []
        self.runner = RoundRunner(plan=self.plan, paths=self.paths, tools=self.tools)

    def _outcome(self, contention: Contention | None) -> FakeOutcome:
        result = WorkerResult(runtime_version="1", latency_ns=(100,), sample_count=1, contention=contention)
        return FakeOutcome(result=result)

    async def run(self, pass_kind: int = PASS_LATENCY, index: int = 0) -> FinishedRound:
        async def before(_done: int, label: str) -> None:
            self.said.append(label)

        async def waiting(_done: int, sentence: str) -> None:
            self.said.append(sentence)

        return await self.runner.run(pass_kind, index, before_block=before, while_waiting=waiting)  # type: ignore[arg-type]


async def test_a_block_that_waited_is_announced_again_and_says_how_long(tmp_path: Path) -> None:
    gate = FakeGate(Admission(waited_ms=9000, not_looked_at=("charge: no",)))
    bench = Bench(tmp_path, gate)
    first, second = (await bench.run()).blocks
    assert bench.said == ["a", "waiting: cpu 71.2 C, wants 63.0 C", "a", "b"]
    assert first.status == second.status == BLOCK_STATUS_OK
    assert (first.validity.verdict, first.validity.waited_ms) == (VALIDITY_VERDICT_VALID, 9000)
    assert list(first.validity.not_looked_at) == ["charge: no"]
    assert gate.asked[0] == GateRules(most_temperature_rise_c=2.0, longest_wait_s=600.0)
    assert (gate.begun, second.validity.waited_ms) == (1, 0)
    assert (first.validity.run_delay_ns, first.validity.steal_ns) == (MS, 0)
    assert not first.validity.HasField("other_load"), "it was not told"


async def test_a_refused_block_takes_the_rest_of_its_round_with_it_and_the_next_round_tries_again(
    tmp_path: Path,
) -> None:
    refusal = Admission(waited_ms=600_000, refusal="not begun after 600 s of waiting: too hot", reason="not_cooled")
    bench = Bench(tmp_path, FakeGate(Admission(), refusal))
    first, second = (await bench.run(index=1)).blocks
    assert (first.label, first.status) == ("b", BLOCK_STATUS_OK)
    assert (second.status, second.error.reason) == (BLOCK_STATUS_NOT_VALID, "not_cooled")
    assert second.validity.verdict == VALIDITY_VERDICT_INCOMPLETE
    assert list(second.validity.evidence) == [second.error.message] == [refusal.refusal]
    assert second.validity.waited_ms == 600_000
    assert len(bench.workers.blocks) == 1
    both_refused = Bench(tmp_path, FakeGate(refusal))
    assert [one.status for one in (await both_refused.run()).blocks] == [BLOCK_STATUS_NOT_VALID] * 2
    assert len(both_refused.tools.validity.gate.asked) == 1  # type: ignore[attr-defined]
    assert [one.status for one in (await both_refused.run(index=1)).blocks] == [BLOCK_STATUS_OK] * 2


async def test_a_contended_block_ends_as_not_valid_and_keeps_its_samples(tmp_path: Path) -> None:
    first = (await Bench(tmp_path, FakeGate(), BUSY).run()).blocks[0]
    assert (first.status, first.error.reason) == (BLOCK_STATUS_NOT_VALID, "contended")
    assert first.validity.verdict == VALIDITY_VERDICT_CONTENDED
    assert first.error.message == first.validity.evidence[0]
    assert "ready but not running for 95 ms of 200 ms timed" in first.error.message
    assert list(first.latency_ns) == [100]


async def test_the_plan_says_how_much_contention_it_allows(tmp_path: Path) -> None:
    bench = Bench(tmp_path, FakeGate(), BUSY)
    bench.plan.timing.most_contention = 0.5
    first = (await bench.run()).blocks[0]
    assert first.status == BLOCK_STATUS_OK
    assert first.validity.run_delay_ns == 96 * MS


async def test_accuracy_neither_waits_nor_is_judged(tmp_path: Path) -> None:
    gate = FakeGate()
    bench = Bench(tmp_path, gate, BUSY)
    first = (await bench.run(PASS_EVALUATION)).blocks[0]
    assert (first.status, gate.asked, first.HasField("validity")) == (BLOCK_STATUS_OK, [], False)
    assert gate.begun == 1, "the job began here, before the device got warm"


async def test_an_energy_window_is_judged_as_well(tmp_path: Path) -> None:
    first = (await Bench(tmp_path, FakeGate(), BUSY).run(PASS_ENERGY)).blocks[0]
    assert first.status == BLOCK_STATUS_NOT_VALID


async def test_without_a_gate_in_the_plan_nothing_waits_and_the_verdict_stays(tmp_path: Path) -> None:
    gate = FakeGate()
    bench = Bench(tmp_path, gate, BUSY)
    bench.plan.ClearField("gate")
    bench.runner = RoundRunner(plan=bench.plan, paths=bench.paths, tools=bench.tools)
    assert (await bench.run()).blocks[0].status == BLOCK_STATUS_NOT_VALID
    assert gate.asked == []


async def test_times_that_are_not_the_devices_own_are_not_judged(tmp_path: Path) -> None:
    first = (await Bench(tmp_path, FakeGate(), BUSY, judges=False).run()).blocks[0]
    assert (first.status, first.HasField("validity")) == (BLOCK_STATUS_OK, False)


async def test_what_ran_without_counters_is_valid_and_says_what_is_missing(tmp_path: Path) -> None:
    first = (await Bench(tmp_path, FakeGate(), None).run()).blocks[0]
    assert first.validity.verdict == VALIDITY_VERDICT_VALID
    assert "does not tell what others did" in first.validity.not_looked_at[0]
    assert not first.validity.HasField("run_delay_ns")


class HotSurroundings(FakeSurroundings):
    """A device that throttles in every block."""

    def compare(self, before: object, after: object, latency_ns: Sequence[int]) -> BlockSurroundings:
        hot = ThrottleReport(verdict=ThrottleVerdict.YES, evidence=("policy0 ran below its steady 1800 MHz",))
        return replace(super().compare(before, after, latency_ns), throttle=hot)


@pytest.mark.parametrize(
    ("sustained", "contention", "verdict"),
    [
        (False, CALM, VALIDITY_VERDICT_THROTTLED),
        (True, CALM, VALIDITY_VERDICT_VALID),
        (True, BUSY, VALIDITY_VERDICT_CONTENDED),
    ],
)
async def test_heat_spoils_a_block_except_the_curve_that_shows_it(
    tmp_path: Path, sustained: bool, contention: Contention, verdict: int
) -> None:
    bench = Bench(tmp_path, FakeGate(), contention)
    if sustained:
        bench.plan.mode.mode, bench.plan.mode.duration_ms, bench.plan.mode.point_ms = MODE_SUSTAINED, 10_000, 1000
    tools = replace(bench.tools, surroundings=HotSurroundings())
    bench.runner = RoundRunner(plan=bench.plan, paths=bench.paths, tools=tools)
    first = (await bench.run()).blocks[0]
    assert first.validity.verdict == verdict
    assert (first.status == BLOCK_STATUS_OK) is (verdict == VALIDITY_VERDICT_VALID)


def test_unset_rules_are_none_and_nought_is_nought() -> None:
    rules = gate_rules(GateSpec(most_other_load=0.0, longest_wait_ms=1500))
    assert rules == GateRules(most_other_load=0.0, longest_wait_s=1.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("most_temperature_rise_c", -1.0),
        ("most_temperature_c", float("nan")),
        ("most_other_load", -0.1),
        ("least_available_bytes", -1),
        ("least_charge", 1.5),
        ("longest_wait_ms", -1),
        ("governor", "x" * 200),
    ],
)
def test_a_gate_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    plan = Plan()
    plan.CopyFrom(plan_of(b"A"))
    check_plan(plan)
    setattr(plan.gate, field, value)
    with pytest.raises(InvalidPlanError, match=f"{'governor' if field == 'governor' else field} of the gate"):
        check_plan(plan)


def test_contention_beyond_the_whole_window_is_refused() -> None:
    plan = plan_of(b"A")
    plan.timing.most_contention = 1.5
    with pytest.raises(InvalidPlanError, match=r"most_contention is 1\.5"):
        check_plan(plan)
