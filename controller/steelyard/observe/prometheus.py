"""Metrics for Prometheus, from a registry of our own, over HTTP on a port of their own.

Units stand in the names and are base units, as Prometheus asks for; label values are bounded: words of the protocol,
and the names of at most ``MAX_NAMED_DEVICES`` devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from steelyard.errors import SteelyardError, UsageError
from steelyard.observe.figures import Figures

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily, Metric


class ControllerCollector:
    """Turns figures into metrics; ``take`` is called by the thread of each scrape."""

    def __init__(self, take: Callable[[], Figures]) -> None:
        self._take = take

    def collect(self) -> Iterable[Metric]:
        """Yield every metric, or ``steelyard_up`` 0 alone when the figures cannot be had."""
        from prometheus_client.core import GaugeMetricFamily

        up = GaugeMetricFamily("steelyard_up", "Whether the controller answered the question for its figures.")
        try:
            figures = self._take()
        except (SteelyardError, TimeoutError):
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield from _metrics(figures)

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering must not ask a controller that still starts."""
        return ()


def make_registry(take: Callable[[], Figures]) -> CollectorRegistry:
    """Return a registry with the controller's metrics and those of its process.

    Raises:
        UsageError: ``extra_missing``.
    """
    try:
        from prometheus_client import CollectorRegistry, ProcessCollector
    except ImportError as error:
        raise UsageError(
            "extra_missing", "metrics need the package prometheus-client: pip install 'steelyard[metrics]'"
        ) from error
    registry = CollectorRegistry()
    registry.register(ControllerCollector(take))
    ProcessCollector(registry=registry)
    return registry


def _metrics(figures: Figures) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

    yield InfoMetricFamily("steelyard_controller", "The program.", value={"version": figures.version})
    unfinished = _gauge("steelyard_jobs_unfinished", "Jobs in no final state.", ("kind", "state"))
    for labels, number in sorted(figures.unfinished_jobs.items()):
        unfinished.add_metric(labels, number)
    yield unfinished
    finished = CounterMetricFamily("steelyard_jobs_finished", "Jobs that ended.", labels=("kind", "state"))
    for labels, number in sorted(figures.finished_jobs.items()):
        finished.add_metric(labels, number)
    yield finished
    yield CounterMetricFamily("steelyard_rounds_recorded", "Rounds in the store.", value=figures.recorded_round_count)
    yield _one("steelyard_artifacts", "Models and variants in the store.", figures.artifact_count)
    yield _one("steelyard_database_bytes", "Size of the database, without its log.", figures.database_bytes)
    yield _one("steelyard_state_free_bytes", "Free space on the state directory's disk.", figures.state_free_bytes)
    yield _one("steelyard_store_waiting_calls", "Calls that wait for the database.", figures.waiting_store_calls)
    yield from _device_metrics(figures)


def _device_metrics(figures: Figures) -> Iterable[Metric]:
    yield _one("steelyard_devices_known", "Devices that were ever seen.", figures.known_device_count)
    connected = _gauge("steelyard_devices_connected", "Devices with a session, by what they do.", ("activity",))
    for activity, number in figures.connected_devices.items():
        connected.add_metric((activity,), number)
    yield connected
    yield _one(
        "steelyard_devices_unnamed", "Connected devices beyond those told by name.", figures.unnamed_device_count
    )
    seen = _gauge("steelyard_device_last_seen_timestamp_seconds", "When a device last spoke.", ("device",))
    disk = _gauge("steelyard_device_free_disk_bytes", "Free space on a device's disk.", ("device",))
    heat = _gauge("steelyard_device_temperature_celsius", "A device's hottest sensor.", ("device",))
    running = _gauge("steelyard_device_leased", "Whether a device is leased to a job.", ("device",))
    yield from _health_metrics(figures)
    for one in figures.devices:
        seen.add_metric((one.name,), one.last_seen_s)
        running.add_metric((one.name,), float(one.running))
        if one.temperature_cel is not None:
            heat.add_metric((one.name,), one.temperature_cel)
        # 0 is a device that has not said it.
        if one.free_disk_bytes:
            disk.add_metric((one.name,), one.free_disk_bytes)
    yield from (seen, disk, heat, running)


def _health_metrics(figures: Figures) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily

    clock = _gauge("steelyard_device_clock_offset_seconds", "A device's clock less the controller's.", ("device",))
    within = _gauge("steelyard_device_clock_uncertainty_seconds", "The offset lies within it.", ("device",))
    supply = _gauge("steelyard_device_under_voltage", "Whether a device's supply is too weak.", ("device",))
    boots = CounterMetricFamily("steelyard_device_boots", "Boots that were seen.", labels=("device",))
    restarts = CounterMetricFamily("steelyard_device_agent_restarts", "Agents that started anew.", labels=("device",))
    for one in figures.devices:
        boots.add_metric((one.name,), one.boot_count)
        restarts.add_metric((one.name,), one.restart_count)
        # What is not known has no series.
        for metric, value in (
            (clock, one.clock_offset_s),
            (within, one.clock_uncertainty_s),
            (supply, one.under_voltage),
        ):
            if value is not None:
                metric.add_metric((one.name,), float(value))
    yield from (clock, within, supply, boots, restarts)


def _gauge(name: str, text: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, labels=labels)


def _one(name: str, text: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, text, value=value)
