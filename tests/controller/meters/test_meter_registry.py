from __future__ import annotations

import pytest

from steelyard.errors import UsageError
from steelyard.meters import registry
from steelyard.meters.contract import MeterError as Refused
from steelyard.meters.contract import MeterFacts, MeterKind, MeterSample, MeterUrl, Scope
from steelyard.meters.registry import checked_url, kind_of, make_meter, missing_library, schemes


class Point:
    """An entry point of a plugin."""

    def __init__(self, name: str, what: object) -> None:
        self.name, self.what = name, what

    def load(self) -> object:
        return self.what


def test_every_kind_that_comes_along_says_what_it_is_and_has_an_example_that_it_takes() -> None:
    assert schemes() == ["joulescope", "otii", "scpi", "shelly", "tasmota"]
    for scheme in schemes():
        kind = kind_of(scheme)
        assert (kind.scheme, bool(kind.summary)) == (scheme, True)
        url = MeterUrl.parse(kind.example)
        assert url.scheme == scheme
        kind.make(url).close()


def test_pulses_and_windows_follow_from_how_often_a_kind_has_something_new() -> None:
    assert (kind_of("shelly").pulse_s, kind_of("shelly").energy_window_s) == (3.0, 330.0)
    assert (kind_of("joulescope").pulse_s, kind_of("joulescope").energy_window_s) == (0.2, 10.0)
    assert kind_of("scpi").energy_window_s == pytest.approx(33.0)


@pytest.mark.parametrize("text", ["", "shelly", "http", ":x", "Shelly:x", "sh\nelly:x", "shelly:" + "x" * 600])
def test_a_text_that_is_no_url_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"shelly:http://192\.168\.1\.20"):
        make_meter(text)


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'shelly'"):
        make_meter("shely:http://192.168.1.20")


def test_a_missing_library_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_library("json", "scpi") == ""
    assert "pip install 'steelyard[joulescope]'" in missing_library("no_such_module_here", "joulescope")
    monkeypatch.setattr(registry, "find_spec", lambda _name: None)
    for text in ("joulescope:1", "otii:127.0.0.1:1905", "scpi:TCPIP0::h::INSTR"):
        with pytest.raises(UsageError, match="pip install 'steelyard"):
            checked_url(text)


def test_a_plugin_brings_a_kind_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    brought = MeterKind(
        scheme="mine", summary="x", example="mine:1", period_s=0.1, make=lambda url: kind_of("shelly").make(url)
    )
    points = [Point("mine", brought), Point("broken", object()), Point("shelly", object())]
    monkeypatch.setattr(
        registry, "entry_points", lambda group, name=None: [one for one in points if name in (None, one.name)]
    )
    assert kind_of("mine") is brought
    assert (brought.missing(), brought.find()) == ("", [])
    assert "mine" in schemes()
    with pytest.raises(UsageError, match="not a MeterKind"):
        kind_of("broken")
    # The kinds that come along cannot be replaced.
    assert kind_of("shelly").summary.startswith("Shelly")


@pytest.mark.parametrize("values", [{}, {"power_w": float("nan")}, {"power_w": 2e4}, {"energy_j": -1.0}])
def test_a_sample_that_no_device_draws_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(Refused):
        MeterSample(time_ns=1, **values)


def test_a_period_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(ValueError, match="period"):
        MeterFacts(description="x", scope=Scope.WALL, period_s=0)
