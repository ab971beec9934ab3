"""The agent goes on whatever its controller says."""

from __future__ import annotations

from pathlib import Path
from random import Random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzzing.agent_targets import fuzzed_agent


def test_an_agent_goes_on_whatever_its_controller_says(tmp_path: Path) -> None:
    with fuzzed_agent(tmp_path) as agent:

        @settings(
            max_examples=80,
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.randoms(use_true_random=False))
        def hear(random: Random) -> None:
            agent.hear(agent.make_messages(random))

        hear()
