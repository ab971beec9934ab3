"""Every RPC of the controller answers or refuses whatever message it is sent, and goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzzing.service_targets import FuzzedController, Rpc, fuzzed_controller, make_transfer, rpcs

# The same examples in each run: `make fuzz` looks for new ones.
SETTINGS = settings(
    max_examples=25,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
CHANCE = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FuzzedController]:
    with fuzzed_controller(tmp_path_factory.mktemp("fuzzed")) as made:
        yield made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[FuzzedController]:
    """One whose device was neither removed nor drained by what another test asked for."""
    with fuzzed_controller(tmp_path) as made:
        yield made


@pytest.mark.parametrize("rpc", rpcs(), ids=lambda rpc: rpc.method.name)
def test_an_rpc_answers_or_refuses_whatever_it_is_asked(controller: FuzzedController, rpc: Rpc) -> None:
    @SETTINGS
    @given(CHANCE)
    def ask(random: Random) -> None:
        controller.call(rpc, controller.make_request(rpc, random))

    ask()


def test_a_session_answers_or_ends_whatever_its_device_says(fresh: FuzzedController) -> None:
    @settings(SETTINGS, max_examples=60)
    @given(CHANCE)
    def talk(random: Random) -> None:
        fresh.talk(*fresh.make_conversation(random))

    talk()


def test_a_transfer_is_served_or_refused_whatever_is_asked_for(fresh: FuzzedController) -> None:
    @settings(SETTINGS, max_examples=60)
    @given(CHANCE)
    def move(random: Random) -> None:
        fresh.transfer(make_transfer(random, fresh.words))

    move()
