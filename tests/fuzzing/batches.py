"""Every target under one name, and a batch of new examples for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzzing.agent_targets import fuzzed_agent
from tests.fuzzing.file_targets import FILE_TARGETS, FileTarget, feed
from tests.fuzzing.night_targets import NIGHT_TARGETS
from tests.fuzzing.service_targets import Rpc, fuzzed_controller, make_transfer, rpcs

# What was fed last, for whoever looks at a crash.
INPUT_FILE = "input.txt"
_LONGEST_INPUT = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What a target is fed with: ``draw`` makes a value, ``give`` gives it and raises what should not be raised."""

    draw: Callable[[st.DataObject], Any]
    give: Callable[[Any], object]


Opened = Callable[[Path], AbstractContextManager[Fed]]

_CHANCE = st.randoms(use_true_random=False)


def targets() -> dict[str, Opened]:
    """Return every target by its name."""
    found: dict[str, Opened] = {f"file:{one.name}": partial(_file, one) for one in (*FILE_TARGETS, *NIGHT_TARGETS)}
    found |= {f"rpc:{rpc.method.name}": partial(_rpc, rpc) for rpc in rpcs()}
    return {**found, "session": _session, "transfer": _transfer, "agent": _agent}


def run_batch(name: str, number: int, example_count: int, folder: Path) -> None:
    """Feed a target with so many new examples, those of a number always the same; each lies in ``folder`` before."""
    with targets()[name](folder / "work") as fed:

        @seed(number)
        @settings(
            max_examples=example_count,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.data())
        def one(data: st.DataObject) -> None:
            value = fed.draw(data)
            (folder / INPUT_FILE).write_text(_shown(value)[:_LONGEST_INPUT], encoding="utf-8", errors="replace")
            fed.give(value)

        one()


def _shown(value: Any) -> str:
    if isinstance(value, tuple | list):
        return "\n---\n".join(_shown(one) for one in value)
    return value.hex() if isinstance(value, bytes) else f"{value!r}"


@contextmanager
def _file(target: FileTarget, folder: Path) -> Iterator[Fed]:
    folder.mkdir(parents=True, exist_ok=True)
    values = target.values()
    yield Fed(draw=lambda data: data.draw(values), give=lambda value: feed(target, value, folder))


@contextmanager
def _rpc(rpc: Rpc, folder: Path) -> Iterator[Fed]:
    with fuzzed_controller(folder) as controller:
        yield Fed(
            draw=lambda data: controller.make_request(rpc, data.draw(_CHANCE)),
            give=lambda request: controller.call(rpc, request),
        )


@contextmanager
def _session(folder: Path) -> Iterator[Fed]:
    with fuzzed_controller(folder) as controller:
        yield Fed(
            draw=lambda data: controller.make_conversation(data.draw(_CHANCE)),
            give=lambda conversation: controller.talk(*conversation),
        )


@contextmanager
def _transfer(folder: Path) -> Iterator[Fed]:
    with fuzzed_controller(folder) as controller:
        yield Fed(draw=lambda data: make_transfer(data.draw(_CHANCE), controller.words), give=controller.transfer)


@contextmanager
def _agent(folder: Path) -> Iterator[Fed]:
    with fuzzed_agent(folder) as agent:
        yield Fed(draw=lambda data: agent.make_messages(data.draw(_CHANCE)), give=agent.hear)
