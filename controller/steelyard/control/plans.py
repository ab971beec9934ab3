"""From what a person asks for to a plan: the defaults of a measurement, spelled out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard.control.axes import MOST_COMBINATIONS, Combination, Value, combinations
from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.gate_plan import GateOptions, add_gate
from steelyard.control.mode_plan import MOST_BATCH, ModeOptions, check_mode
from steelyard.control.model_labels import MOST_LABEL_CHARACTERS, model_labels
from steelyard.control.verdict_options import VerdictOptions
from steelyard.control.written_values import CORE_KINDS
from steelyard.errors import UsageError
from steelyard.priorities import DEFAULT_PRIORITY, parse_priority
from steelyard_protocol.v1 import control_pb2, plan_pb2

# 10,000 hours: far beyond any measurement, and safe in int64 milliseconds.
_MAX_WAIT_S = 36_000_000
_PROFILE_WINDOW_MS = 1000
# What is left of a name, at least, where settings are varied and stand behind it.
_LEAST_NAME = 20
_CORE_SELECTIONS = {"big": plan_pb2.CORE_SELECTION_BIG, "little": plan_pb2.CORE_SELECTION_LITTLE}
# An external delegate: its path may hold colons, its options begin behind the first one that a name and "=" follow.
_DELEGATE = re.compile(r"(?P<name>delegate:.*?)(?::(?P<options>[\w.-]+=.*))?")
_OPTIMIZATIONS = {
    "": plan_pb2.GRAPH_OPTIMIZATION_UNSPECIFIED,
    "disabled": plan_pb2.GRAPH_OPTIMIZATION_DISABLED,
    "basic": plan_pb2.GRAPH_OPTIMIZATION_BASIC,
    "extended": plan_pb2.GRAPH_OPTIMIZATION_EXTENDED,
    "all": plan_pb2.GRAPH_OPTIMIZATION_ALL,
}
# Cheap on every device, and enough to see a kernel that is wrong: each sample runs through every weight.
_NUMERIC_SAMPLE_COUNT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurementOptions:
    """How to measure. Zero rounds and budget mean the controller's defaults.

    ``thread_count`` is the runtime's intra-op threads: one by default, because one thread is what a busy device has
    left and what varies least. ``cores`` are numbers of logical cores, or "big" or "little", which the device resolves
    within what its cpuset lends; empty for not pinned. ``providers`` are "NAME" or "NAME:key=value,key=value", in order
    of preference.
    """

    requirements: tuple[str, ...] = ()
    budget_s: float = 0.0
    min_round_count: int = 0
    max_round_count: int = 0
    device_wait_s: float = 30.0
    # "interactive", "normal" or "nightly": who goes first where several jobs want the device.
    priority: str = DEFAULT_PRIORITY
    title: str = ""
    labels: tuple[str, ...] = ()
    runtime: str = ""
    thread_count: int = 1
    providers: tuple[str, ...] = ()
    graph_optimization: str = ""
    spinning: bool | None = None
    arena: bool | None = None
    allow_fallback: bool = False
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    sample_window_ms: int = 200
    block_timeout_s: float = 60.0
    memory_limit_bytes: int | None = None
    cores: str | tuple[int, ...] = ()
    seed: int = 0
    # URLs of power meters that the controller reads during the energy pass (docs/meters.md).
    meters: tuple[str, ...] = ()
    # Rounds, windows and idle baselines of the energy pass (docs/energy.md).
    energy: EnergyOptions = field(default_factory=EnergyOptions)
    # What blocks wait for before they begin, and how much others may take from them (docs/validity.md).
    gate: GateOptions = field(default_factory=GateOptions)
    # Passes of their own, after everything that is timed (docs/operators.md).
    operators: bool = False
    roofline: bool = False
    # Outputs beside the controller's own run of the same file; the first layer that diverges (docs/numeric-check.md).
    numeric_check: bool = True
    check_layers: bool = False
    # Which changes matter (docs/measuring.md#faster-slower-no-difference-undecided).
    verdicts: VerdictOptions = field(default_factory=VerdictOptions)
    # How one inference follows another, and the samples in one; 0: as the model has it (docs/modes.md).
    mode: ModeOptions = field(default_factory=ModeOptions)
    batch_size: int = 0
    # By the name of an axis its values, all combinations of which are measured; the first one is the reference.
    vary: Mapping[str, Sequence[Value]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse values that no device can honour."""
        parse_priority(self.priority)
        if not 1 <= self.thread_count <= 1024:
            raise UsageError("bad_threads", f"{self.thread_count} threads is not a count from 1 to 1024")
        if not 10 <= self.sample_window_ms <= 60_000:
            raise UsageError("bad_window", f"a sample window of {self.sample_window_ms} ms is not between 10 and 60000")
        if not 1 <= self.block_timeout_s <= 3600:
            raise UsageError("bad_timeout", f"a block time-out of {self.block_timeout_s} s is not between 1 and 3600")
        if not (0 <= self.budget_s <= _MAX_WAIT_S and 0 <= self.device_wait_s <= _MAX_WAIT_S):
            raise UsageError(
                "bad_duration",
                f"a budget of {self.budget_s} s or a wait of {self.device_wait_s} s is not between 0 and {_MAX_WAIT_S}",
            )
        if not 0 <= self.seed < 2**64:
            raise UsageError("bad_seed", f"seed {self.seed} is not between 0 and 2^64 - 1")
        if self.memory_limit_bytes is not None and not 0 < self.memory_limit_bytes < 2**60:
            raise UsageError("bad_memory_limit", f"a memory limit of {self.memory_limit_bytes} bytes is no device's")
        if isinstance(self.cores, str) and self.cores not in CORE_KINDS:
            raise UsageError("bad_core", f"cores {self.cores!r} is not big or little")
        if not isinstance(self.cores, str) and not all(0 <= core_id < 2**16 for core_id in self.cores):
            raise UsageError("bad_core", f"cores {', '.join(map(str, self.cores))}: one is not between 0 and 65535")
        if self.graph_optimization not in _OPTIMIZATIONS:
            known = ", ".join(name for name in _OPTIMIZATIONS if name)
            raise UsageError(
                "bad_optimization", f"graph optimization {self.graph_optimization!r} is not one of {known}"
            )
        _check_axes(self)

    def under(self, combination: Combination) -> MeasurementOptions:
        """Return these options with what a combination of axes changes.

        Raises:
            UsageError: a value that no device can honour.
        """
        changes = dict(combination.changes)
        environment = changes.pop("environment", None)
        if environment is not None:
            name = str(changes.get("runtime", self.runtime)).partition("@")[0]
            changes["runtime"] = f"{name}@{environment}" if environment else name
        return replace(self, vary={}, **changes)  # type: ignore[arg-type]  # each axis parses its option's type


def _check_axes(options: MeasurementOptions) -> None:
    """Refuse a batch, or a value of an axis, that no device can honour."""
    if options.check_layers and not options.numeric_check:
        raise UsageError("no_check", "--check-layers is part of the numeric check: leave --no-numeric-check out")
    if not 0 <= options.batch_size <= MOST_BATCH:
        raise UsageError("bad_batch", f"a batch of {options.batch_size} is not between 1 and {MOST_BATCH}")
    if options.vary:
        for one in combinations(options.vary):
            options.under(one)


def build_plan(artifacts: Sequence[control_pb2.Artifact], options: MeasurementOptions) -> plan_pb2.Plan:
    """Return the plan that measures ``artifacts`` with ``options``; the controller adds the task's data."""
    if not artifacts:
        raise UsageError("no_model", "name at least one model to measure")
    plan = plan_pb2.Plan(
        artifacts=_all_planned(artifacts, options),
        timing=plan_pb2.TimingSpec(
            sample_window_ms=options.sample_window_ms,
            warmup_window_ms=50,
            warmup_tolerance=0.03,
            warmup_cap_ms=2000,
            min_sample_count=10,
        ),
        inputs=plan_pb2.InputSpec(seed=options.seed),
        block_timeout_ms=int(options.block_timeout_s * 1000),
        mode=options.mode.spec(),
    )
    _pin(plan, options.cores)
    check_mode(plan)
    if options.operators:
        plan.operators.window_ms = _PROFILE_WINDOW_MS
    if options.numeric_check:
        plan.numeric.sample_count = _NUMERIC_SAMPLE_COUNT
    options.energy.add_to_plan(plan)
    if options.memory_limit_bytes is not None:
        plan.memory_limit_bytes = options.memory_limit_bytes
    add_gate(plan, options.gate)
    return plan


def _all_planned(
    artifacts: Sequence[control_pb2.Artifact], options: MeasurementOptions
) -> list[plan_pb2.PlannedArtifact]:
    """Return every model under every combination of the axes, the models in their order."""
    varied = combinations(options.vary)
    if (count := len(artifacts) * len(varied)) > MOST_COMBINATIONS:
        raise UsageError(
            "bad_axis",
            f"{len(artifacts)} models in {len(varied)} combinations are {count} to measure, more than "
            f"{MOST_COMBINATIONS}: vary less at once or name fewer models",
        )
    widest = max(len(f" {one.words}") if one.words else 0 for one in varied)
    labels = model_labels(artifacts, options.labels, room=max(_LEAST_NAME, MOST_LABEL_CHARACTERS - widest))
    return [
        _planned(artifact, one.label(label), options.under(one), own_cores="cores" in one.changes)
        for artifact, label in zip(artifacts, labels, strict=True)
        for one in varied
    ]


def _pin(target: plan_pb2.Plan | plan_pb2.PlannedArtifact, cores: str | tuple[int, ...]) -> None:
    if isinstance(cores, str):
        target.core_selection = _CORE_SELECTIONS[cores]
    else:
        target.core_ids.extend(cores)


def _planned(
    artifact: control_pb2.Artifact, label: str, options: MeasurementOptions, *, own_cores: bool
) -> plan_pb2.PlannedArtifact:
    name, at, environment = options.runtime.partition("@")
    if at and not environment:
        raise UsageError("bad_runtime", f"runtime {options.runtime!r} names no environment behind its @")
    runtime = plan_pb2.RuntimeSpec(
        # "" leaves it to the controller, which knows what the device has for this format.
        name=name,
        environment=environment,
        providers=[_provider(text) for text in options.providers],
        intra_op_thread_count=options.thread_count,
        graph_optimization=_OPTIMIZATIONS[options.graph_optimization],
        allow_fallback=options.allow_fallback,
    )
    if options.spinning is not None:
        runtime.spinning = options.spinning
    if options.arena is not None:
        runtime.arena = options.arena
    names = {tensor.name for tensor in artifact.signature.inputs}
    planned = plan_pb2.PlannedArtifact(
        artifact_digest=artifact.digest,
        label=label,
        format=artifact.format,
        size_bytes=artifact.size_bytes,
        runtime=runtime,
        batch_size=options.batch_size,
    )
    if own_cores:
        _pin(planned, options.cores)
    for name, sizes in options.input_shapes.items():
        if name not in names:
            raise UsageError(
                "unknown_input", f"model {artifact.name} has no input {name!r}; it has {', '.join(sorted(names))}"
            )
        planned.input_shapes[name].sizes.extend(sizes)
    return planned


def _provider(text: str) -> plan_pb2.Provider:
    delegate = _DELEGATE.fullmatch(text)
    name, rest = (delegate["name"], delegate["options"] or "") if delegate else text.partition(":")[::2]
    options: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError("bad_provider", f"provider {text!r}: {pair!r} is not KEY=VALUE")
        if key in options:
            raise UsageError("bad_provider", f"provider {text!r} gives {key!r} twice; give it once")
        options[key] = value
    if not name:
        raise UsageError("bad_provider", f"provider {text!r} has no name, as in CPUExecutionProvider")
    return plan_pb2.Provider(name=name, options=options)
