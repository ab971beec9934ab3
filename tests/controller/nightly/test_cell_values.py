"""Values and environments of cells: what a measurement tells, in the units of the metrics' rules."""

from __future__ import annotations

from steelyard.nightly.cell_values import cell_values
from steelyard.nightly.environment import environment_of
from steelyard.series.metric_rules import METRIC_RULES
from steelyard_protocol.v1 import measurement_pb2
from tests.support.measurements import normal
from tests.support.recorded import artifact


def test_every_value_is_of_a_metric_that_has_a_rule_and_in_its_unit() -> None:
    measurement = normal()
    values = cell_values(measurement.variants[1], measurement.metric, mac_count=12)
    assert {"p50", "p90", "size", "macs", "memory"} <= values.keys()
    for one in values.values():
        assert one.unit == METRIC_RULES[one.metric].unit
    assert values["macs"].value == 12.0
    assert values["size"].value == measurement.variants[1].size_bytes


def test_what_is_not_known_has_its_reason_and_no_value() -> None:
    measurement = normal()
    values = cell_values(measurement.variants[0], None, mac_count=None)
    assert (values["accuracy"].value, values["accuracy"].reason) == (None, "no task was given")
    assert values["energy"].value is None
    assert values["energy"].reason
    assert "macs" not in values


def test_scores_that_are_no_shares_are_not_judged_over_nights() -> None:
    variant = measurement_pb2.VariantMeasurement()
    variant.accuracy.value = 3.1
    metric = measurement_pb2.MetricDescription(kind="rmse", label="RMSE", unit="number")
    assert "RMSE is not judged over nights" in cell_values(variant, metric, mac_count=None)["accuracy"].reason


def test_placement_and_outputs_are_texts() -> None:
    variant = measurement_pb2.VariantMeasurement()
    variant.placements.add(provider="CPUExecutionProvider", node_count=12)
    variant.placements.add(provider="ACLExecutionProvider")
    variant.numeric.outputs_digest = "abcd"
    values = cell_values(variant, None, mac_count=None)
    assert values["placement"].text == "ACLExecutionProvider, CPUExecutionProvider 12"
    assert values["output_hash"].text == "abcd"


def test_an_environment_names_the_models_that_a_training_read() -> None:
    measurement, made = normal(), artifact("distill", parent=artifact())
    before = environment_of(measurement, measurement.variants[0], made, agent_version="0.1")
    made.lineage.steps[0].read_models.add(name="big", digest="ef" * 32)
    now = environment_of(measurement, measurement.variants[0], made, agent_version="0.1")
    assert now == {**before, "models": "big (efefefef)"}


def test_an_environment_names_what_may_change_and_leaves_out_what_is_not_known() -> None:
    measurement = normal()
    measurement.circumstances.add(name="governor", value="performance")
    measurement.circumstances.add(name="power_mode", reason="no nvpmodel")
    parent = artifact()
    told = environment_of(
        measurement, measurement.variants[0], artifact("static-int8", parent=parent), agent_version="0.1"
    )
    assert told["kernel"] == "6.6.51+rpt-rpi-2712"
    assert told["agent"] == "0.1"
    assert told["governor"] == "performance"
    assert told["parent"] == parent.digest
    assert told["recipe"].startswith("static-int8 (")
    assert "power_mode" not in told
    assert all(told.values())
