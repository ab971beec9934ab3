"""Which series are meant, and what is said where none is."""

from __future__ import annotations

from steelyard.report.history.choice import SeriesChoice
from steelyard_protocol.v1 import nightly_pb2


def series(model: str, device: str, metric: str = "p50") -> nightly_pb2.Series:
    key = nightly_pb2.SeriesKey(
        suite_name="shelf", model=model, device_id=f"id-of-{device}", runtime="onnxruntime", metric=metric
    )
    return nightly_pb2.Series(key=key, device_name=device)


ALL = [series("mobilenet-a", "pi5"), series("mobilenet-b", "pi4"), series("resnet", "pi5", "accuracy")]


def of(**named: str) -> list[str]:
    return [one.key.model for one in SeriesChoice(**named).of(ALL)]


def test_names_and_patterns_choose() -> None:
    assert of() == ["mobilenet-a", "mobilenet-b", "resnet"]
    assert of(model="mobilenet*") == ["mobilenet-a", "mobilenet-b"]
    assert of(device="pi5") == of(device="id-of-pi5") == ["mobilenet-a", "resnet"]
    assert of(device="pi?", metric="p50", model="*-b") == ["mobilenet-b"]


def test_the_controller_chooses_by_whole_names_only() -> None:
    asked = SeriesChoice(suite="shelf", model="mobilenet*", metric="p50", device="pi5").on_wire()
    assert asked == nightly_pb2.SeriesFilter(suite_name="shelf", metric="p50")


def test_a_name_that_nothing_has_is_said_with_the_nearest() -> None:
    refusal = SeriesChoice(model="resnett", metric="p50").refusal(ALL)
    assert str(refusal) == "no series has the model 'resnett'; did you mean 'resnet'? (known: resnet)"
    assert "did you mean 'pi5'?" in str(SeriesChoice(device="pi55").refusal(ALL))


def test_names_that_nothing_has_together_are_said_together() -> None:
    refusal = SeriesChoice(model="resnet", metric="p50").refusal(ALL)
    assert str(refusal) == "no series has model 'resnet', metric 'p50' together; leave one of them out"


def test_where_nothing_was_recorded_it_says_what_does() -> None:
    assert "`steelyard nightly run` does" in str(SeriesChoice(model="x").refusal([]))
