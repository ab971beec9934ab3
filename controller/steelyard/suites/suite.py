"""A suite as it is run: after inheritance, substitution and every check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from steelyard.series.metric_rules import MetricRule

BUILT_IN_SENTINEL = "built-in"
NO_SENTINEL = "none"
SENTINEL_RUNTIME = "onnxruntime"
DEFAULT_RUNTIME = "default"
DEFAULT_BUDGET_S = 90 * 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a night is meant to begin: a hint for timers, which Steelyard does not start by itself.

    ``at`` is "02:00"; ``timezone`` an IANA name, "" for the machine's own.
    """

    at: str = "02:00"
    timezone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSlot:
    """A runtime with its options under the name that the series have.

    ``runtime`` is "NAME" or "NAME@ENVIRONMENT", "" for what fits the model's file. Versions are no part of it: an
    upgrade shows up as a change of the series.
    """

    name: str = DEFAULT_RUNTIME
    runtime: str = ""
    threads: int = 1
    providers: tuple[str, ...] = ()
    cores: str = ""
    graph_optimization: str = ""
    spinning: bool | None = None
    arena: bool | None = None
    allow_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSlot:
    """Labelled data by which models are scored: a task's TOML or .npz file."""

    name: str
    file: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSlot:
    """A model under the name that its series have; the artifact behind it may differ from night to night.

    It comes from one of: ``file``; the newest file of the folder ``registry`` that matches ``newest``; ``artifact``, a
    name or digest that the controller knows; ``parent``, another slot of the suite. With ``recipe`` what is measured
    is the variant that the recipe makes of it, afresh each night. ``runtimes`` and ``devices`` are names of the suite's
    own; empty: all of them.
    """

    name: str
    file: Path | None = None
    registry: Path | None = None
    newest: str = "*"
    artifact: str = ""
    parent: str = ""
    recipe: str = ""
    task: str = ""
    runtimes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a slot without a source, or with several."""
        if sum(map(bool, (self.file, self.registry, self.artifact, self.parent))) != 1:
            raise ValueError(f"model {self.name!r} comes from one of file, registry, artifact and parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSlot:
    """Devices to measure on: a name or id, "tag:NAME", or "pool:PROFILE" for every device of that kind.

    ``budget_s`` None: the suite's. ``runtimes`` empty: all.
    """

    name: str
    budget_s: float | None = None
    runtimes: tuple[str, ...] = ()


_Slot = TypeVar("_Slot", ModelSlot, RuntimeSlot, TaskSlot)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSettings:
    """How each cell is measured; rounds are as many as the budget gives, between the least and the most."""

    min_rounds: int = 6
    max_rounds: int = 20
    sample_window_s: float = 0.2
    block_timeout_s: float = 60.0
    # Wait for a calm and cool device before each block (docs/validity.md).
    gate: bool = True
    max_contention: float | None = None
    energy: bool = True
    numeric_check: bool = True
    meters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSettings:
    """How a night goes on.

    ``window_s``: no measurement begins later than this after the night's start. ``confirmation_share`` of the budget is
    kept for confirmations, of which there are ``max_confirmations`` a device at most.
    """

    window_s: float = 6 * 3600.0
    device_wait_s: float = 60.0
    confirm: bool = True
    max_confirmations: int = 12
    confirmation_share: float = 0.33
    confirmation_rounds: int = 28
    # A device whose sentinel drifted is sent nothing more until somebody lifts it.
    quarantine_drifted: bool = False
    # Where the night's report will be found, for messages; "{night}" stands for its number.
    report_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What a night measures.

    ``metrics`` are the rules of every metric that is judged, the defaults included. ``notify`` and ``heartbeat`` hold
    their ``${NAME}`` as they are written, so that no secret is stored; ``substitute_tables`` fills them in.
    ``folder`` is where the suite's file lies; ``budget_s`` is device time for each device.
    """

    name: str
    folder: Path
    sources: tuple[Path, ...]
    models: tuple[ModelSlot, ...]
    devices: tuple[DeviceSlot, ...]
    runtimes: tuple[RuntimeSlot, ...]
    tasks: tuple[TaskSlot, ...] = ()
    metrics: Mapping[str, MetricRule] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    budget_s: float = DEFAULT_BUDGET_S
    # "built-in", "none", or a model's file.
    sentinel: str = BUILT_IN_SENTINEL
    # "NAME" or "NAME@ENVIRONMENT": one that nobody upgrades.
    sentinel_runtime: str = SENTINEL_RUNTIME
    measure: MeasureSettings = field(default_factory=MeasureSettings)
    night: NightSettings = field(default_factory=NightSettings)
    notify: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    heartbeat: Mapping[str, Any] = field(default_factory=dict)

    def model(self, name: str) -> ModelSlot:
        """Return a slot by its name.

        Raises:
            KeyError: there is none.
        """
        return _named(self.models, name)

    def runtime(self, name: str) -> RuntimeSlot:
        """Return a runtime by its name.

        Raises:
            KeyError: there is none.
        """
        return _named(self.runtimes, name)

    def task(self, name: str) -> TaskSlot | None:
        """Return a task by its name, None for ""."""
        return _named(self.tasks, name) if name else None


def _named(items: tuple[_Slot, ...], name: str) -> _Slot:
    for one in items:
        if one.name == name:
            return one
    raise KeyError(name)
