"""`steelyard compress` that measures what each step made: in the table, in JSON, in the tree, and by its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard.control.latency_oracle import DeviceLatency
from steelyard_protocol.v1 import control_pb2
from tests.support.anywhere import ANYWHERE_FLAGS
from tests.support.models import conv_model

QUICK = ("--min-rounds", "3", "--max-rounds", "3", *ANYWHERE_FLAGS)
RECIPE = "fold+float16"


@pytest.fixture(scope="module")
def own_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return conv_model(tmp_path_factory.mktemp("measured-steps") / "stepwise.onnx", seed=41)


def test_each_step_is_measured_on_the_device_that_is_named_and_told_in_80_columns(
    steelyard, own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ran = steelyard("compress", own_model, "--recipe", RECIPE, "--device", "local", *QUICK)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= 80
    (head,) = [line for line in lines if line.startswith("step ")]
    assert head.split() == ["step", "size", "p50", "speed", "seconds"]
    # Each step, the first model, and a sentence for each with its interval and its job.
    assert ran.out.count(" on local, ") == 2
    assert "over 3 rounds (job " in " ".join(ran.out.split())
    # Looked up when it is asked for again.
    document = steelyard("compress", own_model, "--recipe", RECIPE, "--local", "--json", *QUICK).document
    steps = document["variants"][0]["lineage"]["steps"]
    assert [step["reused"] for step in steps] == [True, True]
    for step in steps:
        assert step["latency"]["device"] == "local"
        assert step["latency"]["p50"]["low"] <= step["latency"]["p50"]["value"] <= step["latency"]["p50"]["high"]
        assert step["latency"]["job_id"][:12] in ran.out
    tree = steelyard("lineage", "stepwise").out
    assert tree.count(" on local") == 2


def test_a_device_that_only_chooses_settings_measures_nothing(steelyard, own_model: Path) -> None:
    ran = steelyard("compress", own_model, "--recipe", "sparsify", "--device", "local", "--no-measure-steps")
    assert ran.code == 0
    assert "p50" not in ran.out


def test_a_step_that_could_not_be_measured_is_made_and_told_and_ends_with_3(
    steelyard, own_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unplugged(*_: object, **__: object) -> control_pb2.StepLatency:
        return control_pb2.StepLatency(device="local", reason="it was unplugged")

    monkeypatch.setattr(DeviceLatency, "of_step", unplugged)
    ran = steelyard("compress", own_model, "--recipe", "share-weights", "--local", *QUICK)
    assert ran.code == 3, ran.err
    assert "its latency on local is not known: it was unplugged" in " ".join(ran.out.split())
    assert "stepwise-share-weights" in steelyard("artifact", "list").out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--recipe", "float16", "--measure-steps", "--device", "tag:rack1"), "no device is in tag:rack1"),
        (("--recipe", "prune,latency=2parsecs"), "write a share of the model's time"),
        (("--recipe", "prune,latency=1.2x"), "a share lies between 0x and 1x"),
    ],
    ids=["pool", "unit", "share"],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    steelyard, own_model: Path, flags: tuple[str, ...], words: str
) -> None:
    assert words in steelyard("compress", own_model, *flags).is_refused()


def test_in_ci_no_machine_is_measured_by_accident(steelyard, own_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    refused = steelyard("compress", own_model, "--recipe", "prune,latency=0.5x,epochs=0").is_refused()
    assert "name one with --device NAME, or say --local" in refused
