"""Devices that are simulated behind a real controller: jobs end at once with figures that a test decides.

Nights, series and alerts are the controller's own, over its socket; only what an agent would do is made up here.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Self

import numpy as np

from steelyard.control.client import Client
from steelyard.control.plans import MeasurementOptions
from steelyard.errors import DeviceError, NotFoundError
from steelyard.series.confirming import judge_confirmation
from steelyard.series.judgements import ConfirmationOutcome
from steelyard.series.metric_rules import MetricRule
from steelyard_protocol.v1 import common_pb2, control_pb2, measurement_pb2

JOB_S = 10.0


@dataclass(slots=True, kw_only=True)
class SimulatedDevice:
    """A device; ``factor`` slows everything on it down, the sentinel as well."""

    device_id: str
    name: str
    tags: tuple[str, ...] = ()
    online: bool = True
    kernel: str = "6.6.31"
    factor: float = 1.0
    # Environment ("" is the agent's own) by version of onnxruntime.
    runtimes: dict[str, str] = field(default_factory=lambda: {"": "1.20.0"})
    runtime_factors: dict[str, float] = field(default_factory=dict)
    quarantined: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    job: control_pb2.Job
    events: tuple[control_pb2.JobEvent, ...]
    measurement: measurement_pb2.Measurement | None
    rounds: Mapping[str, Mapping[str, Sequence[float]]]


class SimulatedClock:
    """A clock that only waiting moves on."""

    def __init__(self, start: datetime = datetime(2026, 11, 1, 2, 0, tzinfo=timezone.utc)) -> None:
        self._lock = threading.Lock()
        self._elapsed_s = 0.0
        self._now = start
        self.on_wait: Callable[[float], None] = lambda _elapsed_s: None

    def now(self) -> datetime:
        return self._now

    def elapsed_s(self) -> float:
        return self._elapsed_s

    def set(self, now: datetime) -> None:
        self._now = now

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        with self._lock:
            self._elapsed_s += seconds
            self._now += timedelta(seconds=seconds)
            self.on_wait(self._elapsed_s)
        return stop.is_set()


class SimulatedFleet:
    """The devices, how fast models are on them, and every job that they were given."""

    def __init__(self, connect: Callable[[], Client], devices: Sequence[SimulatedDevice], *, seed: int = 1) -> None:
        self._connect = connect
        self.devices = {one.device_id: one for one in devices}
        self.p50_ns: dict[str, float] = {}
        self.accuracies: dict[str, float] = {}
        self.default_p50_ns = 2e6
        self.jobs: list[tuple[str, str]] = []
        self.noise = 0.004
        self.failing: Callable[[str, str], control_pb2.ErrorInfo | None] = lambda _device, _title: None
        self.before_job: Callable[[str, str], None] = lambda _device, _title: None
        self.before_alerts: Callable[[], None] = lambda: None
        self.before_end: Callable[[], None] = lambda: None
        # How much slower the first launch of a job is, by the job's title: something else ran beside it.
        self.odd_launch: Callable[[str], float] = lambda _title: 1.0
        self._random = np.random.default_rng(seed)
        self._numbers = itertools.count(1)
        self._ran: dict[str, _Ran] = {}
        self._lock = threading.Lock()
        self.is_gone = False

    def client(self) -> Any:
        """Return a client of the controller whose devices are these."""
        if self.is_gone:
            raise DeviceError("controller_unreachable", "no controller answers")
        return SimulatedClient(self._connect(), self)

    def judge_pair(
        self, _client: Any, job_id: str, rules: Sequence[MetricRule]
    ) -> Mapping[str, ConfirmationOutcome | str]:
        """Judge a job of two variants by its simulated rounds."""
        first, second = self._ran[job_id].rounds.values()
        return {
            rule.metric: judge_confirmation(first[rule.metric], second[rule.metric], rule)
            if rule.metric in first
            else f"{rule.metric} is not simulated"
            for rule in rules
        }

    def submitted(self, part: str = "") -> list[str]:
        """Return the titles of the jobs so far that hold a text, in their order."""
        return [title for _, title in self.jobs if part in title]

    def described(self, device: SimulatedDevice) -> control_pb2.Device:
        """Return a device as the controller lists it."""
        found = control_pb2.Device(online=device.online, agent_version="0.1.0", tags=device.tags)
        found.quarantined_because = device.quarantined
        found.description.MergeFrom(
            common_pb2.DeviceDescription(
                device_id=device.device_id, name=device.name, kernel=device.kernel, operating_system="Debian 12"
            )
        )
        for environment, version in device.runtimes.items():
            found.description.runtimes.add(name="onnxruntime", version=version, environment=environment)
        return found

    def run(
        self, artifacts: Sequence[control_pb2.Artifact], device_id: str, options: MeasurementOptions
    ) -> control_pb2.Job:
        """Measure at once."""
        device = self.devices.get(device_id)
        if device is None:
            raise NotFoundError("device_not_found", f"no device {device_id}")
        self.before_job(device_id, options.title)
        with self._lock:
            job_id = f"job{next(self._numbers):05d}"
            self.jobs.append((device_id, options.title))
            error = self.failing(device_id, options.title)
            job = control_pb2.Job(job_id=job_id, state=control_pb2.JOB_STATE_RECORDED, device_id=device_id)
            rounds: dict[str, dict[str, list[float]]] = {}
            measurement = None
            if error is not None:
                job.state = control_pb2.JOB_STATE_DEVICE_LOST
                job.error.CopyFrom(error)
            else:
                measurement, rounds = self._measured(artifacts, device, options)
            self._ran[job_id] = _Ran(job=job, events=_events(), measurement=measurement, rounds=rounds)
        return job

    def ran(self, job_id: str) -> _Ran:
        """Return what became of a job."""
        return self._ran[job_id]

    def _measured(
        self, artifacts: Sequence[control_pb2.Artifact], device: SimulatedDevice, options: MeasurementOptions
    ) -> tuple[measurement_pb2.Measurement, dict[str, dict[str, list[float]]]]:
        environments = [str(one) for one in options.vary.get("env", ("",))]
        arms = [(one, "" if env == "own" else env) for one in artifacts for env in environments]
        count = options.max_round_count
        measurement = measurement_pb2.Measurement(
            job_id="", device_name=device.name, round_count=count, device=self.described(device).description
        )
        rounds = {}
        for number, (artifact, environment) in enumerate(arms):
            version = device.runtimes[environment or options.runtime.partition("@")[2]]
            p50_ns = self._truth(artifact, device, version)
            session = 1.0 + self._random.normal(0.0, self.noise) if len(arms) == 1 else 1.0
            values = p50_ns * session * (1.0 + self._random.normal(0.0, self.noise, size=count))
            values[0] *= self.odd_launch(options.title)
            variant = measurement.variants.add(
                artifact_digest=artifact.digest, label=f"{number}", size_bytes=artifact.size_bytes
            )
            variant.runtime.name, variant.runtime.environment = "onnxruntime", environment
            variant.runtime_version = version
            _fill(variant.p50_latency, float(np.exp(np.mean(np.log(values)))), "ns", count)
            for index, value in enumerate(values.tolist()):
                variant.rounds.add(round_index=index, p50_ns=value)
            if artifact.digest in self.accuracies:
                _fill(variant.accuracy, self.accuracies[artifact.digest], "fraction", 1000)
            rounds[f"{number}"] = {"p50": values.tolist()}
        if self.accuracies:
            measurement.metric.MergeFrom(
                measurement_pb2.MetricDescription(kind="top1", unit="fraction", higher_is_better=True)
            )
        return measurement, rounds

    def _truth(self, artifact: control_pb2.Artifact, device: SimulatedDevice, version: str) -> float:
        base = self.p50_ns.get(artifact.digest, self.p50_ns.get(artifact.name, self.default_p50_ns))
        return base * device.factor * device.runtime_factors.get(version, 1.0)


class _Through:
    """Everything of another object, but for what is defined here."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class _Nightly(_Through):
    def __init__(self, real: Any, fleet: SimulatedFleet) -> None:
        super().__init__(real)
        self._fleet = fleet

    def end(self, night_id: str, **values: Any) -> Any:
        """End a night, after what a test wants to happen just before."""
        self._fleet.before_end()
        return self._real.end(night_id, **values)

    @property
    def alerts(self) -> Any:
        """The alerts; a test may do something just before they are kept."""
        return _Alerts(self._real.alerts, self._fleet)

    @property
    def series(self) -> Any:
        return _Series(self._real.series)


class _Alerts(_Through):
    def __init__(self, real: Any, fleet: SimulatedFleet) -> None:
        super().__init__(real)
        self._fleet = fleet

    def put(self, night_id: str, alerts: Sequence[Any]) -> Any:
        self._fleet.before_alerts()
        return self._real.put(night_id, alerts)


class _Series(_Through):
    def record(self, night_id: str, points: Sequence[Any], environments: Sequence[Any] = ()) -> int:
        """Record points without their jobs, which the controller has never heard of."""
        kept = []
        for point in points:
            kept.append(type(point)())
            kept[-1].CopyFrom(point)
            kept[-1].job_id = ""
        recorded: int = self._real.record(night_id, kept, environments)
        return recorded


class _Handle:
    def __init__(self, job_id: str) -> None:
        self.job_id = job_id


class SimulatedClient:
    """A real client, but for devices and jobs."""

    def __init__(self, real: Client, fleet: SimulatedFleet) -> None:
        self._real = real
        self._fleet = fleet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._real.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def nightly(self) -> Any:
        return _Nightly(self._real.nightly, self._fleet)

    def devices(self) -> list[control_pb2.Device]:
        return [self._fleet.described(one) for one in self._fleet.devices.values()]

    def device(self, name: str) -> control_pb2.Device:
        for one in self.devices():
            if name in {one.description.device_id, one.description.name}:
                return one
        raise NotFoundError("device_not_found", f"no device {name}")

    def measure(
        self,
        artifacts: Sequence[control_pb2.Artifact],
        *,
        device: str,
        task: object = None,
        options: MeasurementOptions,
    ) -> _Handle:
        self._alive()
        return _Handle(self._fleet.run(artifacts, device, options).job_id)

    def events(self, job_id: str, *, after: int = 0, wait_s: float = 0.0) -> control_pb2.ListEventsResponse:
        self._alive()
        events = [one for one in self._fleet.ran(job_id).events if one.cursor > after]
        return control_pb2.ListEventsResponse(events=events, finished=True)

    def job(self, job_id: str) -> control_pb2.Job:
        return self._fleet.ran(job_id).job

    def measurement(self, job_id: str) -> control_pb2.GetMeasurementResponse:
        measurement = self._fleet.ran(job_id).measurement
        assert measurement is not None
        return control_pb2.GetMeasurementResponse(measurement=measurement)

    def _alive(self) -> None:
        if self._fleet.is_gone:
            raise DeviceError("controller_unreachable", "no controller answers")


def _events() -> tuple[control_pb2.JobEvent, ...]:
    events = []
    for cursor, (state, at_s) in enumerate(
        ((control_pb2.JOB_STATE_RUNNING, 0.0), (control_pb2.JOB_STATE_RECORDED, JOB_S)), start=1
    ):
        event = control_pb2.JobEvent(cursor=cursor, state=state)
        event.at.FromNanoseconds(int(1_790_000_000e9 + at_s * 1e9))
        events.append(event)
    return tuple(events)


def _fill(estimate: measurement_pb2.Estimate, value: float, unit: str, count: int) -> None:
    estimate.MergeFrom(
        measurement_pb2.Estimate(
            value=value, low=value * 0.99, high=value * 1.01, confidence=0.95, unit=unit, observation_count=count
        )
    )
