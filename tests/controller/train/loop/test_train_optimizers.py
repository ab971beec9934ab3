"""How the learning rate goes, and what each parameter is given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.train.loop.optimizers import learning_rate_of, make_optimizer, rate_share, set_rate
from tests.controller.train.loop.small_trainings import network, settings

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'steelyard[train]')")


@given(
    schedule=st.sampled_from(["cosine", "step", "constant"]),
    warmup=st.floats(0, 1),
    count=st.integers(1, 200),
)
def test_the_rate_rises_to_its_peak_falls_behind_it_and_is_never_nothing(
    schedule: str, warmup: float, count: int
) -> None:
    wanted = settings(schedule=schedule, warmup=warmup)
    shares = [rate_share(wanted, update, count) for update in range(count)]
    assert all(0 < share <= 1 for share in shares)
    peak = shares.index(max(shares))
    assert shares[: peak + 1] == sorted(shares[: peak + 1])
    assert shares[peak:] == sorted(shares[peak:], reverse=True)


def test_schedules_are_those_of_the_documents() -> None:
    shares = {name: [rate_share(settings(schedule=name, warmup=0), at, 100) for at in (0, 49, 50, 75, 99)] for name in
              ("cosine", "step", "constant")}  # fmt: skip
    assert shares["step"] == [1, 1, 0.1, 0.01, 0.01]
    assert shares["constant"] == [1, 1, 1, 1, 1]
    assert shares["cosine"][0] == 1
    assert shares["cosine"][2] == pytest.approx(0.5)
    assert shares["cosine"][4] < 0.001
    assert rate_share(settings(warmup=0.1), 4, 100) == pytest.approx(5 / 11)


def test_the_rate_without_a_setting_is_by_optimizer_and_kind_of_model() -> None:
    layers = network().module
    assert learning_rate_of(settings(), layers) == 5e-4
    assert learning_rate_of(settings(), torch.nn.Sequential(layers, torch.nn.LayerNorm(2))) == 5e-5
    assert learning_rate_of(settings(optimizer="sgd"), layers) == 1e-2
    assert learning_rate_of(settings(learning_rate=0.3), layers) == 0.3


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_biases_and_scales_do_not_decay_and_projectors_have_a_rate_of_their_own(optimizer: str) -> None:
    wanted = settings(optimizer=optimizer, weight_decay=0.1, learning_rate=1e-4)
    made = make_optimizer(wanted, network(normalized=True).module, torch.nn.Linear(2, 2))
    assert [{one.dim() > 1 for one in group["params"]} for group in made.param_groups] == [{True}, {False}] * 2
    assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0, 0.1, 0.0]
    set_rate(made, settings(warmup=0, schedule="constant"), 0, 10)
    assert [group["lr"] for group in made.param_groups] == [1e-4, 1e-4, 1e-3, 1e-3]


def test_a_bias_that_a_file_adds_by_itself_does_not_decay() -> None:
    class Added(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(6, 1, bias=False)
            self.bias, self.place = (torch.nn.Parameter(torch.zeros(size)) for size in ((1, 6, 1, 1), (1, 4, 6)))

    module = Added()
    decaying, others = make_optimizer(settings(weight_decay=0.1), module, None).param_groups
    assert {tuple(one.shape) for one in decaying["params"]} == {(1, 6), (1, 4, 6)}
    assert [one is module.bias for one in others["params"]] == [True]
