"""Joulescope JS220 and JS110, through pyjoulescope-driver: means of power, made on the instrument, 50 a second.

Source: the entry points `statistics` and `measure` of pyjoulescope_driver 2.2, which show the topics and the shape of
a statistics value, and what the driver raises without an instrument (RuntimeError, TimeoutError; ValueError for a
value that a topic does not take).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from steelyard.errors import first_line
from steelyard.meters.contract import MeterError, MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.registry import missing_library

_PERIOD_S = 0.02
# Between two calls of read; 20 s of samples while a reader is late.
_MOST_WAITING = 1000
# Topics to set before values come, and samples a second that ``scnt`` counts in, by model.
_SETTINGS: dict[str, tuple[tuple[tuple[str, object], ...], int]] = {
    "js220": ((("/s/i/range/mode", "auto"),), 1_000_000),
    "js110": (
        (("/s/i/range/select", "auto"), ("/s/i/ctrl", "on"), ("/s/v/ctrl", "on"), ("/s/p/ctrl", "on")),
        2_000_000,
    ),
}
# Everything that the driver raises: an instrument that does not answer is a TimeoutError, which is an OSError; its
# native library that does not load is an ImportError.
_DRIVER_ERRORS = (RuntimeError, OSError, ValueError, ImportError)


def _driver() -> Any:
    import pyjoulescope_driver

    return pyjoulescope_driver.Driver()


class Joulescope:
    """One instrument, by its serial number; the only one when the URL names none."""

    def __init__(
        self, url: MeterUrl, *, driver: Callable[[], Any] = _driver, clock_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._serial = url.address
        self._make_driver = driver
        self._clock_ns = clock_ns
        self._driver: Any = None
        self._path = ""
        # The driver's thread fills it.
        self._waiting: deque[tuple[int, Any]] = deque(maxlen=_MOST_WAITING)
        self._anchor_ns: int | None = None
        # The driver knows a subscriber by its identity, and each look at a bound method is another object.
        self._subscriber = self._on_value

    def open(self) -> MeterFacts:
        """Find the instrument and start its statistics."""
        try:
            self._driver = self._make_driver()
            self._path = self._choose(list(self._driver.device_paths()))
            self._start()
        except _DRIVER_ERRORS as error:
            raise MeterError("meter_silent", f"the Joulescope cannot be opened: {first_line(error)}") from error
        return MeterFacts(
            description=f"Joulescope {self._path.removeprefix('u/')}",
            scope=Scope.BOARD_INPUT,
            period_s=_PERIOD_S,
            averaging_s=_PERIOD_S,
        )

    def read(self) -> Sequence[MeterSample]:
        """Return the means that came in since the last call."""
        samples = []
        while self._waiting:
            arrived_ns, value = self._waiting.popleft()
            samples.append(self._sample(arrived_ns, value))
        return samples

    def close(self) -> None:
        """Stop the statistics and let go of the instrument."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        if self._path:
            with suppress(*_DRIVER_ERRORS):
                driver.publish(f"{self._path}/s/stats/ctrl", 0)
            with suppress(*_DRIVER_ERRORS):
                driver.unsubscribe(f"{self._path}/s/stats/value", self._subscriber)
            with suppress(*_DRIVER_ERRORS):
                driver.close(self._path)
        with suppress(*_DRIVER_ERRORS):
            driver.finalize()

    def _choose(self, paths: list[str]) -> str:
        fits = [path for path in paths if not self._serial or path.rpartition("/")[2] == self._serial]
        if len(fits) != 1:
            serials = ", ".join(path.rpartition("/")[2] for path in paths) or "none"
            which = f"with the serial number {self._serial}" if self._serial else "without a serial number"
            raise MeterError(
                "meter_not_found", f"there is not one Joulescope {which}: connected are {serials}; joulescope:SERIAL"
            )
        return fits[0]

    def _start(self) -> None:
        model = next((name for name in _SETTINGS if f"/{name}/" in self._path), None)
        if model is None:
            raise MeterError("meter_unknown_model", f"the Joulescope {self._path} is neither a JS220 nor a JS110")
        settings, sample_rate_hz = _SETTINGS[model]
        self._driver.open(self._path)
        for topic, value in settings:
            self._driver.publish(self._path + topic, value)
        self._driver.publish(f"{self._path}/s/stats/scnt", round(sample_rate_hz * _PERIOD_S))
        self._driver.publish(f"{self._path}/s/stats/ctrl", 1)
        self._driver.subscribe(f"{self._path}/s/stats/value", "pub", self._subscriber)

    def _on_value(self, _topic: str, value: Any) -> None:
        self._waiting.append((self._clock_ns(), value))

    def _sample(self, arrived_ns: int, value: Any) -> MeterSample:
        """Stamp a mean at its middle, by the instrument's own count of samples: arrival jitters with USB."""
        try:
            first, last = value["time"]["samples"]["value"]
            ns_per_sample = 1e9 / value["time"]["sample_freq"]["value"]
            power_w = float(value["signals"]["power"]["avg"]["value"])
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
            raise MeterError("meter_nonsense", f"the Joulescope sent {str(value)[:80]}") from error
        if self._anchor_ns is None:
            self._anchor_ns = arrived_ns - round(last * ns_per_sample)
        return MeterSample(time_ns=self._anchor_ns + round((first + last) / 2 * ns_per_sample), power_w=power_w)


def _missing() -> str:
    return missing_library("pyjoulescope_driver", "joulescope")


def _find() -> list[str]:
    if _missing():
        return []
    try:
        driver = _driver()
        try:
            return [f"joulescope:{path.rpartition('/')[2]}" for path in driver.device_paths()]
        finally:
            driver.finalize()
    except _DRIVER_ERRORS:
        return []


KIND = MeterKind(
    scheme="joulescope",
    summary="Joulescope JS220 and JS110, on USB",
    example="joulescope:001234",
    period_s=_PERIOD_S,
    make=Joulescope,
    missing=_missing,
    find=_find,
)
