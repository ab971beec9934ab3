"""Whatever a device sends is refused with a sentence, or the whole analysis can be made of it: never anything else."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from datetime import datetime, timezone
from random import Random
from typing import Any

import hypothesis.strategies as st
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from rich.console import Console

from steelyard.analysis.measurement import build_measurement
from steelyard.control.round_check import refuse_nonsense
from steelyard.errors import SteelyardError
from steelyard.report.html import render_html
from steelyard.report.plain import to_plain
from steelyard.report.samples import write_blocks_csv, write_curves_csv, write_samples_csv
from steelyard.report.terminal import render_comparison, render_measurement
from steelyard_protocol.v1 import plan_pb2, result_pb2
from tests.controller.analysis import planted_rounds
from tests.controller.analysis.planted_rounds import energy_round, evaluation_round
from tests.support import mode_rounds

TRUTH = {"original": 1e6, "static-int8": 5e5}
MODES = {
    "single": (plan_pb2.ModeSpec(), ()),
    "paced": (mode_rounds.PACED, (mode_rounds.queued,)),
    "sustained": (mode_rounds.SUSTAINED, (mode_rounds.heated,)),
    "stepwise": (mode_rounds.STEPWISE, (mode_rounds.stepped,)),
}
SIGNED = (-(2**63), -1, 0, 1, 2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 1)
VALUES = {
    FieldDescriptor.TYPE_INT64: SIGNED,
    FieldDescriptor.TYPE_INT32: (-1, 0, 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 1, 1000, 2**21, 2**31, 2**32 - 1),
    FieldDescriptor.TYPE_ENUM: (0, 1, 2, 3, 4, 7, 15, 99, -1, 2**31 - 1),
    FieldDescriptor.TYPE_DOUBLE: (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e308, -1e308, 1e-320, 0.5),
    FieldDescriptor.TYPE_BOOL: (True, False),
    FieldDescriptor.TYPE_STRING: (
        "",
        "x",
        "[/]",
        "[bold]",
        "\x1b[31m",
        "\u202e</script>",
        "a\nb",
        "100 %{}",
        "n" * 99_999,
    ),
}
Place = tuple[Message, Any]


def places(message: Message) -> list[Place]:
    """Return every field of a message and of all that is in it."""
    found: list[Place] = [(message, field) for field in message.DESCRIPTOR.fields]
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            # Some of a list are like all of it.
            for one in [value] if isinstance(value, Message) else value[:2]:
                found += places(one)
    return found


def spoil(random: Random, message: Message) -> None:
    """Change one field of a message, or of what is in it, to something absurd, empty it, or repeat what it has."""
    holder, field = random.choice(places(message))
    value = getattr(holder, field.name)
    if isinstance(value, (str, int, float)):
        setattr(holder, field.name, random.choice(VALUES[field.type]))
    elif isinstance(value, Message):
        value.SetInParent()
        spoil(random, value)
    elif random.random() < 0.3:
        holder.ClearField(field.name)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        one = value.add()
        if random.random() < 0.5:
            one.CopyFrom(value[0])
        spoil(random, one)
    else:
        value.append(random.choice(VALUES[field.type]))


def planted(mode: str) -> tuple[plan_pb2.ModeSpec, list[result_pb2.RoundResult]]:
    """Return short rounds of every pass that a device sends in a mode."""
    spec, plants = MODES[mode]
    rounds = mode_rounds.rounds_of(TRUTH, plants, 4)
    for result in rounds:
        for block in result.blocks:
            del block.latency_ns[20:], block.response_ns[20:], block.curve[8:]
            block.validity.verdict = result_pb2.VALIDITY_VERDICT_VALID
            block.throttle.verdict = result_pb2.THROTTLE_VERDICT_NO
    profiled = planted_rounds.round_of(result_pb2.PASS_OPERATORS, 0, [])
    for label in TRUTH:
        block = profiled.blocks.add(label=label, status=result_pb2.BLOCK_STATUS_OK)
        block.operators.inference_count, block.operators.wall_ns = 10, 10**7
        block.operators.operators.add(name="n", kind="Conv", provider="CPU", call_count=10, total_ns=10**6)
    return spec, [*rounds, energy_round(dict.fromkeys(TRUTH, 0.01)), evaluation_round(list(TRUTH)), profiled]


def tell_all(spec: plan_pb2.ModeSpec, rounds: list[result_pb2.RoundResult]) -> None:
    """Analyse and show rounds by every way that there is."""
    made = planted_rounds.given(list(TRUTH), rounds)
    made.request.plan.mode.CopyFrom(spec)
    made.request.plan.operators.window_ms = 100
    measurement = build_measurement(made)
    console = Console(file=io.StringIO(), width=80)
    console.print(render_measurement(measurement))
    console.print(render_comparison(measurement))
    render_html([measurement], generated_at=datetime.now(tz=timezone.utc), controller="c")
    json.dumps(to_plain(measurement), allow_nan=False)
    for write in (write_samples_csv, write_blocks_csv, write_curves_csv):
        write(rounds, io.StringIO())


def refusal(rounds: Sequence[result_pb2.RoundResult]) -> str:
    """Return why rounds are refused, "" when they are not."""
    try:
        for result in rounds:
            refuse_nonsense(result)
    except SteelyardError as error:
        return str(error)
    return ""


@settings(max_examples=60, deadline=None)
@given(mode=st.sampled_from(sorted(MODES)), count=st.integers(1, 3), random=st.randoms())
def test_absurd_rounds_are_refused_or_analysed(mode: str, count: int, random: Random) -> None:
    spec, rounds = planted(mode)
    for _ in range(count):
        spoil(random, random.choice(rounds))
    if sentence := refusal(rounds):
        assert sentence.startswith("round ")
        assert "update the " in sentence
        assert len(sentence) < 500
    else:
        tell_all(spec, rounds)
