"""Joulescope: an object of ours with the driver's documented topics, and the real driver without an instrument."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Queue
from typing import Any

import pyjoulescope_driver
import pytest

from steelyard.meters import joulescope
from steelyard.meters.contract import MeterError, MeterUrl, Scope
from steelyard.meters.joulescope import Joulescope
from steelyard.meters.registry import make_meter


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
    """``fails`` names a call that fails as the real one does, of an instrument that does not answer."""

    def __init__(self, *paths: str, fails: str = "") -> None:
        self.paths, self.fails = paths, fails
        self.published: dict[str, object] = {}
        self.calls: list[str] = []
        self.emit: Callable[[str, Any], None] | None = None

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise TimeoutError(f"jsdrv_{name} timed out")

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

    def unsubscribe(self, _topic: str, call: object) -> None:
        self._call("unsubscribe")
        if call is not self.emit:
            raise RuntimeError("jsdrv_unsubscribe failed 16 NOT_FOUND: a subscriber is known by its identity")
        self.emit = None

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
    assert driver.emit is None


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
        (Driver("u/js220/1", fails="open"), "", "cannot be opened: jsdrv_open timed out"),
        (Driver("u/js220/1", fails="publish"), "", "cannot be opened: jsdrv_publish timed out"),
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


@pytest.mark.parametrize("fails", ["publish", "unsubscribe", "close", "finalize"])
def test_an_instrument_that_was_pulled_out_is_let_go_of_all_the_same(fails: str) -> None:
    driver = Driver("u/js220/1")
    meter = meter_of(driver)
    meter.open()
    driver.fails = fails
    meter.close()
    assert driver.calls[-4:] == ["publish", "unsubscribe", "close", "finalize"]


def test_instruments_are_found_where_the_driver_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joulescope, "_missing", lambda: "")
    monkeypatch.setattr(joulescope, "_driver", lambda: Driver("u/js220/7"))
    assert joulescope.KIND.find() == ["joulescope:7"]
    monkeypatch.setattr(joulescope, "_driver", lambda: Driver(fails="device_paths"))
    assert joulescope.KIND.find() == []
    monkeypatch.setattr(joulescope, "_missing", lambda: "not installed")
    assert joulescope.KIND.find() == []


class Bench:
    """The real driver with an instrument that is not there: what is published to it is kept, the rest is real.

    The driver is ended with the test: a second time can hang.
    """

    def __init__(self) -> None:
        self.real = pyjoulescope_driver.Driver()
        self.published: dict[str, object] = {}
        self.finalize_count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def device_paths(self) -> list[str]:
        assert self.real.device_paths() == []
        return ["u/js220/001234"]

    def open(self, path: str) -> None:
        self.published["open"] = path

    def close(self, path: str) -> None:
        self.published["close"] = path

    def publish(self, topic: str, value: object) -> None:
        self.published[topic] = value

    def finalize(self) -> None:
        self.finalize_count += 1


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.real.finalize()


def test_the_real_driver_without_an_instrument_says_that_there_is_none() -> None:
    meter = make_meter("joulescope:001234")
    with pytest.raises(MeterError, match="with the serial number 001234: connected are none"):
        meter.open()
    meter.close()
    assert joulescope.KIND.find() == []
    assert joulescope.KIND.missing() == ""


def test_an_instrument_that_goes_away_before_it_is_opened_is_told_by_the_real_driver(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "open", bench.real.open)
    meter = Joulescope(MeterUrl.parse("joulescope:"), driver=lambda: bench)
    with pytest.raises(MeterError, match="the Joulescope cannot be opened: jsdrv_open timed out"):
        meter.open()
    meter.close()


def test_values_come_through_the_real_drivers_bus_and_stop_with_the_meter(bench: Bench) -> None:
    """The bus takes no statistics from outside: a number stands for one. Nobody answers for the instrument."""
    meter = Joulescope(MeterUrl.parse("joulescope:"), driver=lambda: bench)
    after: Queue[int] = Queue()
    meter.open()
    bench.real.subscribe("test/after", "pub", lambda _topic, value: after.put(value))

    def send(value: int) -> None:
        bench.real.publish("u/js220/001234/s/stats/value", value, timeout=0)
        # The bus keeps its order: once this came, so did that.
        bench.real.publish("test/after", value, timeout=0)
        assert after.get(timeout=20) == value

    send(7)
    with pytest.raises(MeterError, match="the Joulescope sent 7"):
        meter.read()
    meter.close()
    send(8)
    assert meter.read() == [], "its subscription ended"
    assert bench.finalize_count == 1
    assert bench.published == {
        "open": "u/js220/001234",
        "u/js220/001234/s/i/range/mode": "auto",
        "u/js220/001234/s/stats/scnt": 20_000,
        "u/js220/001234/s/stats/ctrl": 0,
        "close": "u/js220/001234",
    }
