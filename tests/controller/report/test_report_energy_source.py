"""A figure of energy says which sensor it is from and what that covers."""

from __future__ import annotations

from steelyard.report.facts import method_facts
from steelyard_protocol.v1 import common_pb2, measurement_pb2
from tests.support import measurements


def with_gpu(*providers: str) -> dict[str, str]:
    measurement = measurements.with_energy()
    for variant in measurement.variants:
        variant.providers[:] = providers
        for source, value in (("NVML GPU 0", 0.03), ("silent", None)):
            reading = variant.energy_readings.add(name="energy_per_inference", unit="J", source=source)
            reading.scope = common_pb2.READING_SCOPE_GPU_BOARD
            if value is not None:
                reading.value = value
    return energy_rows(measurement)


def energy_rows(measurement: measurement_pb2.Measurement) -> dict[str, str]:
    return {name: text for name, text in method_facts(measurement) if name.startswith("Energy")}


def test_the_figures_source_is_told_with_its_scope_and_apart_from_the_others() -> None:
    gpu, processor = "NVML GPU 0, scope gpu board", "powercap/intel-rapl:0, scope soc"
    assert with_gpu("CUDAExecutionProvider") == {"Energy from": gpu, "Energy also read": processor}
    assert with_gpu("CPUExecutionProvider") == {"Energy from": processor, "Energy also read": gpu}
    assert energy_rows(measurements.normal()) == {}
