"""Parts run in order, step by step, and carry their state: planted truth in numpy, where a wrong state shows."""

from __future__ import annotations

import weakref
from pathlib import Path

import numpy as np
import pytest

from steelyard.artifacts import read_artifact
from steelyard.compress.errors import CompressionInputError
from steelyard.compress.parts.chain import Chain, PartModel
from steelyard.compress.parts.parts_file import PartsFile, load_parts
from tests.controller.compress.parts.planted import CLASS_COUNT, FEATURE_COUNT, Planted


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def models_of(file: PartsFile) -> dict[str, PartModel]:
    return {
        part.name: PartModel(path=part.file, format="onnx", signature=read_artifact(part.file).signature)
        for part in file.parts
    }


def _sample(steps: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, FEATURE_COUNT)).astype(np.float32)
    return {"x": x, "tokens": rng.integers(0, CLASS_COUNT, (1, steps))}


def _answer(path: Path, sample: dict[str, np.ndarray]) -> np.ndarray:
    file = load_parts(path)
    return Chain(file, models_of(file)).answer(sample)["logits"]


def test_given_tokens_and_a_carried_state_answer_as_the_planted_recurrence(planted: Planted) -> None:
    sample = _sample()
    found = _answer(planted.parts_file(), sample)
    expected = planted.forced(sample["x"], sample["tokens"])
    assert found.shape == (1, 6, CLASS_COUNT)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_state_of_zeros_is_another_answer_than_the_encoders(planted: Planted) -> None:
    sample = _sample()
    found = _answer(planted.parts_file(state='{ state = "state_out" }'), sample)
    zeros = np.zeros((2, 1, 8), np.float32)
    np.testing.assert_allclose(found, planted.forced(sample["x"], sample["tokens"], zeros), rtol=1e-4, atol=1e-5)
    assert np.abs(found - planted.forced(sample["x"], sample["tokens"])).max() > 0.1


def test_a_state_that_is_not_carried_is_another_answer(planted: Planted) -> None:
    sample = _sample()
    found = _answer(planted.parts_file(state='{ output = "encoder.state" }'), sample)
    expected = planted.forced(sample["x"], sample["tokens"])
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-4, atol=1e-5)
    assert np.abs(found[:, 1:] - expected[:, 1:]).max() > 0.1


def test_greedy_steps_feed_the_highest_class_back(planted: Planted) -> None:
    sample = _sample()
    found = _answer(planted.parts_file(token='{ greedy = "logits", first = 2 }', steps="steps = 5"), sample)
    state, token, expected = planted.encoded(sample["x"]), np.array([2]), []
    for _ in range(5):
        logits, state = planted.step(token, state)
        expected.append(logits)
        token = logits.argmax(axis=-1)
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("word", "reduced"),
    [
        ("last", lambda steps: steps[:, -1]),
        ("mean", lambda steps: steps.mean(axis=1)),
        ("max", lambda steps: steps.max(axis=1)),
    ],
)
def test_the_answers_of_steps_become_one(planted: Planted, word: str, reduced) -> None:
    sample = _sample()
    found = _answer(planted.parts_file(answer=f'steps = "{word}"'), sample)
    expected = reduced(planted.forced(sample["x"], sample["tokens"]))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_steps_may_be_fewer_than_the_windows_give(planted: Planted) -> None:
    assert _answer(planted.parts_file(steps="steps = 4"), _sample()).shape[1] == 4


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"token": '{ task = "tokens", window = 7 }'}, "give different numbers of steps, or too few"),
        ({"token": '{ task = "tokenz", window = 1 }'}, "did you mean 'tokens'"),
        ({"token": '{ task = "tokens", window = 1, axis = 3 }'}, "has no axis 3"),
        ({"token": '{ task = "x", window = 1 }'}, "takes int64 and gets float32"),
        ({"state": '{ state = "state_ot" }'}, "has no output 'state_ot'; did you mean 'state_out'"),
        ({"state": '{ output = "encoder.stat" }'}, "has no output 'stat'; did you mean 'state'"),
    ],
)
def test_parts_that_do_not_fit_are_named(planted: Planted, changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(CompressionInputError, match=sentence):
        _answer(planted.parts_file(**changes), _sample())


def test_an_input_without_a_source_is_named(planted: Planted) -> None:
    path = planted.parts_file()
    path.write_text(path.read_text().replace("rate = { value = 16000 }", ""))
    with pytest.raises(CompressionInputError, match="input 'rate' of the part 'decoder' has no source"):
        _answer(path, _sample())


@pytest.mark.parametrize("word", ["stack", "last"])
def test_states_of_steps_that_nothing_reads_are_let_go(planted: Planted, word: str) -> None:
    file = load_parts(planted.parts_file(answer=f'steps = "{word}"'))
    states: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def watch(part: str, step: int, feed: dict[str, np.ndarray], made: dict[str, np.ndarray]) -> None:
        if part == "decoder":
            states.append(weakref.ref(made["state_out"]))
            alive.append(sum(one() is not None for one in states))

    Chain(file, models_of(file)).answer(_sample(steps=20), watch)
    assert len(alive) == 20
    assert max(alive) <= 3
