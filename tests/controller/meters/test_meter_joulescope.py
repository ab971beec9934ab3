"""Joulescope, against an object of ours with the driver's documented topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from steelyard.meters import joulescope
from steelyard.meters.contract import MeterError, MeterUrl, Scope
from steelyard.meters.joulescope import Joulescope


def statistics(first: int, last: int, power_w: float, *, sample_freq: int = 1_000_000) -> dict[str, Any]:
    """A value of the topic s/stats/value, with the fields that pyjoulescope_driver 2.2 gives it."""
    return {
        "time": {
            "samples": {"value": [first, last], "units": "samples"},
            "sample_freq": {"value": sample_freq, "units": "Hz"},
        },
        "signals": {"power": {"avg": {"value": power_w, "units": "W"}}},
        "accumulators": {"energy": {"value": 0.0, "units": "J"}},
    }


class Driver:
    def __init__(self, *paths: str, fails: str = "") -> None:
        self.paths, self.fails = paths, fails
        self.published: dict[str, object] = {}
        self.calls: list[str] = []
        self.emit: Callable[[str, Any], None] | None = None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise RuntimeError(f"{name} failed 7")

    def device_paths(self) -> list[str]:
        self._call("device_paths")
        return list(self.paths)

    def open(self, _path: str) -> None:
        self._call("open")

    def close(self, _path: str) -> None:
        self._call("close")

    def publish(self, topic: str, value: object) -> None:
        self._call("publish")
        self.published[topic] = value

    def subscribe(self, topic: str, flags: str, call: Callable[[str, Any], None]) -> None:
        assert (topic.rpartition("/s/")[2], flags) == ("stats/value", "pub")
        self.emit = call

    def unsubscribe(self, _topic: str, _call: object) -> None:
        self._call("unsubscribe")

    def finalize(self) -> None:
        self._call("finalize")


def meter_of(driver: Driver, serial: str = "", clock: list[int] | None = None) -> Joulescope:
    times = iter(clock or [])
    url = MeterUrl.parse(f"joulescope:{serial}")
    return Joulescope(url, driver=lambda: driver, clock_ns=lambda: next(times, 0))


def test_means_are_stamped_at_their_middle_by_the_instruments_own_clock() -> None:
    driver = Driver("u/js220/001234")
    # The second arrives 30 ms late; its samples say when it was.
    meter = meter_of(driver, clock=[1_000_000_000, 1_050_000_000])
    facts = meter.open()
    assert facts.scope is Scope.BOARD_INPUT
    assert facts.description == "Joulescope js220/001234"
    assert meter.read() == []
    assert driver.emit is not None
    driver.emit("u/js220/001234/s/stats/value", statistics(500_000, 520_000, 2.5))
    driver.emit("u/js220/001234/s/stats/value", statistics(520_000, 540_000, 3.5))
    assert [(one.time_ns, one.power_w) for one in meter.read()] == [(990_000_000, 2.5), (1_010_000_000, 3.5)]
    meter.close()
    meter.close()
    assert driver.published["u/js220/001234/s/stats/ctrl"] == 0
    assert driver.calls[-3:] == ["unsubscribe", "close", "finalize"]


@pytest.mark.parametrize(("model", "scnt"), [("js220", 20_000), ("js110", 40_000)])
def test_each_model_is_set_to_fifty_means_a_second(model: str, scnt: int) -> None:
    driver = Driver(f"u/{model}/1", f"u/{model}/2")
    meter = meter_of(driver, "2")
    meter.open()
    assert driver.published[f"u/{model}/2/s/stats/scnt"] == scnt
    assert driver.published[f"u/{model}/2/s/stats/ctrl"] == 1
    assert not any(topic.startswith(f"u/{model}/1") for topic in driver.published)


@pytest.mark.parametrize(
    ("driver", "serial", "part"),
    [
        (Driver(), "", "connected are none"),
        (Driver("u/js220/1", "u/js220/2"), "", "connected are 1, 2; joulescope:SERIAL"),
        (Driver("u/js220/1"), "9", "with the serial number 9"),
        (Driver("u/js999/1"), "", "neither a JS220 nor a JS110"),
        (Driver("u/js220/1", fails="open"), "", "cannot be opened: open failed 7"),
    ],
)
def test_an_instrument_that_cannot_be_used_is_said(driver: Driver, serial: str, part: str) -> None:
    meter = meter_of(driver, serial)
    with pytest.raises(MeterError, match=part):
        meter.open()
    meter.close()
    assert driver.calls[-1] == "finalize"


def test_a_value_of_another_shape_is_said() -> None:
    driver = Driver("u/js220/1")
    meter = meter_of(driver)
    meter.open()
    assert driver.emit is not None
    driver.emit("x", {"time": {}})
    with pytest.raises(MeterError, match="the Joulescope sent"):
        meter.read()


def test_instruments_are_found_where_the_driver_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joulescope, "_missing", lambda: "")
    monkeypatch.setattr(joulescope, "_driver", lambda: Driver("u/js220/7"))
    assert joulescope.KIND.find() == ["joulescope:7"]
    monkeypatch.setattr(joulescope, "_driver", lambda: Driver(fails="device_paths"))
    assert joulescope.KIND.find() == []
    monkeypatch.setattr(joulescope, "_missing", lambda: "not installed")
    assert joulescope.KIND.find() == []
