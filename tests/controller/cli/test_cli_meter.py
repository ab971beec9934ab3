"""`steelyard meter`, and `--meter` of a measurement."""

from __future__ import annotations

from tests.controller.cli.running import run_command
from tests.controller.meters.plugs import SHELLY_STATUS, plug


def test_a_probe_shows_power_rate_and_scope() -> None:
    with plug(SHELLY_STATUS) as address:
        ran = run_command("meter", "probe", f"shelly:{address}", "--seconds", "100ms")
    assert ran.code == 0
    plain = " ".join(ran.out.split())
    for part in ("scope wall", "power 8.9 W", "0.1 W", "6.532 Wh", "energy windows of 330 s, marker pulses of 3 s"):
        assert part in plain, plain
    assert max(map(len, ran.out.splitlines())) <= 80


def test_a_probe_as_json_has_the_figures_with_their_units() -> None:
    with plug(SHELLY_STATUS) as address:
        ran = run_command("meter", "probe", f"shelly:{address}", "--seconds", "100ms", "--json")
    assert ran.code == 0
    document = ran.document
    assert (document["kind"], document["schema_version"]) == ("meter", 1)
    meter = document["meter"]
    assert (meter["scope"], meter["mean_power_w"], meter["sample_count"]) == ("WALL", 8.9, 1)
    assert (meter["rate_hz"], meter["averaging_s"]) == (None, None)
    assert (meter["energy_window_s"], meter["marker_pulse_s"]) == (330.0, 3.0)


def test_a_meter_that_does_not_answer_is_an_infrastructure_error_of_one_line() -> None:
    with plug(SHELLY_STATUS) as address:
        pass
    assert "cannot be reached" in run_command("meter", "probe", f"shelly:{address}", "--json").is_refused(4)


def test_an_unknown_kind_is_a_usage_error() -> None:
    assert "did you mean 'tasmota'" in run_command("meter", "probe", "tasmot:http://h", "--json").is_refused(2)


def test_the_list_names_every_kind_and_what_it_needs() -> None:
    ran = run_command("meter", "list")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 80
    kinds = {one["kind"]: one for one in run_command("meter", "list", "--json").document["meters"]}
    assert set(kinds) == {"joulescope", "otii", "scpi", "shelly", "tasmota"}
    assert all(kind in ran.out for kind in kinds)
    assert kinds["shelly"]["usable"] is True
    for one in kinds.values():
        assert one["usable"] == (one["reason"] == "")


def test_a_measurement_refuses_a_meter_that_does_not_exist(steelyard, inputs) -> None:
    said = steelyard("measure", inputs / "conv.onnx", "--local", "--json", "--meter", "shely:http://h").is_refused(2)
    assert "did you mean 'shelly'" in said
