"""What can be put back of the last good night, and what is said of the rest."""

from __future__ import annotations

from steelyard.nightly.notes import Factor
from steelyard.nightly.rollback import Rollback, reproducing, rollbacks
from steelyard_protocol.v1 import common_pb2

BEFORE = {"artifact": "a" * 64, "runtime": "onnxruntime", "runtime_version": "1.19.2", "kernel": "6.6.31"}


def runtimes(**versions: str) -> list[common_pb2.RuntimeDescription]:
    return [
        common_pb2.RuntimeDescription(name="onnxruntime", version=version, environment="" if name == "own" else name)
        for name, version in versions.items()
    ]


def test_another_model_is_confirmed_by_the_old_one_beside_it() -> None:
    (way,) = rollbacks(BEFORE, {**BEFORE, "artifact": "b" * 64}, [], has_artifact=True)
    assert way == Rollback(factor=Factor.MODEL, artifact="a" * 64)


def test_another_runtime_is_confirmed_by_the_environment_that_still_has_the_old_one() -> None:
    now = {**BEFORE, "runtime_version": "1.20.0"}
    (way,) = rollbacks(BEFORE, now, runtimes(own="1.20.0", frozen="1.19.2"), has_artifact=True)
    assert (way.factor, way.environments, way.limits) == (Factor.RUNTIME, ("frozen", "own"), "")


def test_where_both_changed_each_is_put_back_by_itself_and_names_the_other() -> None:
    now = {**BEFORE, "artifact": "b" * 64, "runtime_version": "1.20.0"}
    model, runtime = rollbacks(BEFORE, now, runtimes(own="1.20.0", frozen="1.19.2"), has_artifact=True)
    assert (model.factor, runtime.factor) == (Factor.MODEL, Factor.RUNTIME)
    assert "the runtime (onnxruntime 1.19.2 -> onnxruntime 1.20.0)" in model.limits
    assert "the model (aaaaaaaaaaaa -> bbbbbbbbbbbb)" in runtime.limits


def test_a_kernel_cannot_be_put_back_and_the_confirmation_says_what_it_does_not_prove() -> None:
    now = {**BEFORE, "artifact": "b" * 64, "kernel": "6.12.9"}
    (way,) = rollbacks(BEFORE, now, [], has_artifact=True)
    assert way.limits == ("also changed and not put back, so that nothing is proven of it: kernel (6.6.31 -> 6.12.9)")


def test_what_is_gone_is_named_where_nothing_can_be_put_back() -> None:
    now = {**BEFORE, "artifact": "b" * 64, "runtime_version": "1.20.0"}
    (way,) = rollbacks(BEFORE, now, runtimes(own="1.20.0"), has_artifact=False)
    assert way.factor is Factor.AGAIN
    assert "the old one is not kept any more" in way.limits
    assert "no environment of the device has the old one" in way.limits
    (same,) = rollbacks(BEFORE, BEFORE, [], has_artifact=True)
    assert "there is nothing to put back" in same.limits


def test_an_environment_that_cannot_be_used_is_none() -> None:
    broken = runtimes(own="1.20.0", frozen="1.19.2")
    broken[1].reason = "the interpreter is gone"
    (way,) = rollbacks(BEFORE, {**BEFORE, "runtime_version": "1.20.0"}, broken, has_artifact=True)
    assert way.factor is Factor.AGAIN


def test_commands_that_reproduce_name_what_was_measured() -> None:
    model = Rollback(factor=Factor.MODEL, artifact="a" * 64)
    words = {"artifact": "b" * 64, "device": "pi5", "runtime": "onnxruntime", "threads": 2}
    assert reproducing(model, **words) == (
        "steelyard compare aaaaaaaaaaaa bbbbbbbbbbbb --device pi5 --threads 2 --runtime onnxruntime"
    )
    runtime = Rollback(factor=Factor.RUNTIME, environments=("frozen", "own"))
    assert reproducing(runtime, **words) == (
        "steelyard measure bbbbbbbbbbbb --device pi5 --threads 2 --runtime onnxruntime --vary env=frozen,own"
    )
