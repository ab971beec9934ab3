"""The gate before the blocks of one round: a block that may not begin takes the rest of its round with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from steelyard_agent.jobs.validity import ValidityTools, gate_rules, waits
from steelyard_agent.validity.admission import Admission
from steelyard_protocol.v1.plan_pb2 import Plan
from steelyard_protocol.v1.result_pb2 import Pass


async def hear_nothing(_blocks_done: int, _sentence: str) -> None:
    """Stand for somebody who listens."""


class RoundGate:
    """Asks the device's gate before each block of a round; ``tell(blocks_done, sentence)`` hears what it waits for."""

    def __init__(
        self,
        plan: Plan,
        pass_kind: Pass.ValueType,
        tools: ValidityTools,
        tell: Callable[[int, str], Awaitable[None]],
    ) -> None:
        self._rules = gate_rules(plan.gate) if waits(pass_kind, plan) else None
        self._gate = tools.gate
        self._tell = tell
        self._refused: Admission | None = None

    async def admit(self, core_ids: Sequence[int], blocks_done: int) -> Admission:
        """Return what the gate says; after a refusal the same at once, since the round is lost anyway."""
        if self._rules is None:
            return Admission()
        if self._refused is not None:
            return replace(self._refused, waited_ms=0)

        async def tell(sentence: str) -> None:
            await self._tell(blocks_done, sentence)

        admission = await self._gate.admit(self._rules, core_ids=core_ids, tell=tell)
        if admission.refusal:
            self._refused = admission
        return admission
