"""How one inference follows another: from what a person asks for to the mode of a plan, checked before anything runs.

The words are those of the flags, of `steelyard measure` and `steelyard-agent measure` alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

from steelyard.analysis.duration import timed_window_ms
from steelyard.errors import UsageError
from steelyard_protocol.v1 import common_pb2, control_pb2, plan_pb2

_Spec = plan_pb2.ModeSpec
MODES: Mapping[str, plan_pb2.Mode.ValueType] = {
    "single-stream": plan_pb2.MODE_SINGLE_STREAM,
    "offline": plan_pb2.MODE_OFFLINE,
    "paced": plan_pb2.MODE_PACED,
    "multi-stream": plan_pb2.MODE_MULTI_STREAM,
    "sustained": plan_pb2.MODE_SUSTAINED,
    "stepwise": plan_pb2.MODE_STEPWISE,
}
_WORDS = {kind: word for word, kind in MODES.items()} | {plan_pb2.MODE_UNSPECIFIED: "single-stream"}
# What each flag sets, and the mode that it belongs to.
_FLAGS = {
    "--rate": ("rate_hz", plan_pb2.MODE_PACED),
    "--random-arrivals": ("random_arrivals", plan_pb2.MODE_PACED),
    "--streams": ("stream_count", plan_pb2.MODE_MULTI_STREAM),
    "--duration": ("duration_ms", plan_pb2.MODE_SUSTAINED),
    "--point": ("point_ms", plan_pb2.MODE_SUSTAINED),
    "--steps": ("step_counts", plan_pb2.MODE_STEPWISE),
    "--state": ("state_outputs", plan_pb2.MODE_STEPWISE),
}
# The limits of agents (steelyard_agent.worker.modes), so that nothing starts which a device would refuse.
_MOST_RATE_HZ = 100_000.0
_MOST_STREAMS = 64
_SHORTEST_POINT_MS, _MOST_POINTS = 100, 720
_LONGEST_CURVE_MS = 24 * 3_600_000
_LONGEST_WINDOW_MS = 3_600_000
_MOST_ARRIVALS = 1 << 20
_MOST_STEPS, _MOST_STEP_COUNTS, _MOST_STATES = 65_536, 16, 512
MOST_BATCH = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeOptions:
    """The mode by its name and what it needs (docs/modes.md); a field of another mode stays as it is.

    ``name`` is "single-stream", "offline", "paced" (``rate_hz`` arrivals a second, with exponential gaps where
    ``random_arrivals``), "multi-stream" (``stream_count`` sessions), "sustained" (``duration_s`` in points of
    ``point_s``, 0 for points by the length) or "stepwise" (times at each of ``step_counts``, rising; ``state_outputs``
    names, for each state input, the output of the last step that it is fed with).
    """

    name: str = "single-stream"
    rate_hz: float = 0.0
    random_arrivals: bool = False
    stream_count: int = 0
    duration_s: float = 0.0
    point_s: float = 0.0
    step_counts: tuple[int, ...] = ()
    state_outputs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a mode that is unknown, lacks something, or is told something of another."""
        if self.name not in MODES:
            raise _bad(f"--mode {self.name} is none of {', '.join(MODES)}")
        for flag, value in (("--duration", self.duration_s), ("--point", self.point_s)):
            _refuse_outside(flag, value, 0, _LONGEST_CURVE_MS / 1000, "s")
        for flag, count in (("--streams", self.stream_count), *(("--steps", one) for one in self.step_counts)):
            _refuse_outside(flag, count, 0, _MOST_STEPS)
        check_spec(self.spec())

    def spec(self) -> plan_pb2.ModeSpec:
        """Return the mode as it travels."""
        return _Spec(
            mode=MODES[self.name],
            rate_hz=self.rate_hz,
            random_arrivals=self.random_arrivals,
            stream_count=self.stream_count,
            duration_ms=round(self.duration_s * 1000),
            point_ms=round(self.point_s * 1000),
            step_counts=self.step_counts,
            state_outputs=self.state_outputs,
        )


def mode_word(kind: plan_pb2.Mode.ValueType) -> str:
    """Return what a mode is called: "single-stream", "paced"."""
    return _WORDS.get(kind, str(kind))


def check_mode(plan: plan_pb2.Plan) -> None:
    """Refuse a mode that no device can run, or that takes more than an hour for the least number of samples.

    Raises:
        UsageError: one sentence that names the flag and its value.
    """
    check_spec(plan.mode)
    if plan.mode.mode != plan_pb2.MODE_PACED:
        return
    window_ms, rate_hz = timed_window_ms(plan), plan.mode.rate_hz
    if window_ms > _LONGEST_WINDOW_MS:
        raise _bad(
            f"--rate {rate_hz:g}: the least number of arrivals takes {window_ms / 1000:.0f} s, longer than "
            f"{_LONGEST_WINDOW_MS // 1000} s; raise the rate"
        )
    if window_ms * rate_hz / 1000 > _MOST_ARRIVALS:
        raise _bad(
            f"--rate {rate_hz:g} for {window_ms / 1000:g} s is more than {_MOST_ARRIVALS} arrivals; shorten "
            "--sample-window"
        )


def check_spec(spec: plan_pb2.ModeSpec) -> None:
    """Refuse a mode that lacks something, has something of another, or a value that makes no sense.

    Raises:
        UsageError: one sentence that names the flag and its value.
    """
    if spec.mode not in _WORDS:
        raise _bad(f"mode {spec.mode} is none that this version knows; update the controller")
    word = mode_word(spec.mode)
    for flag, (name, kind) in _FLAGS.items():
        if getattr(spec, name) and spec.mode != kind:
            raise _bad(
                f"{flag} belongs to --mode {mode_word(kind)} and the mode is {word}: leave it out or change the mode"
            )
    check = _CHECKS.get(spec.mode)
    if check is not None:
        check(spec)


def check_fit(planned: plan_pb2.PlannedArtifact, artifact: control_pb2.Artifact, spec: plan_pb2.ModeSpec) -> None:
    """Refuse a batch that a model's inputs do not take, and states that it does not have.

    Raises:
        UsageError: one sentence that names the model and what it has.
    """
    _check_batch(planned, artifact)
    inputs = [one.name for one in artifact.signature.inputs]
    outputs = [one.name for one in artifact.signature.outputs]
    for name, output in spec.state_outputs.items():
        for what, wanted, there in (("input", name, inputs), ("output", output, outputs)):
            if wanted not in there:
                raise _bad(
                    f"--state {name}={output}: model {artifact.name} has no {what} {wanted!r}; it has "
                    f"{', '.join(there) or 'none'}"
                )


def _check_batch(planned: plan_pb2.PlannedArtifact, artifact: control_pb2.Artifact) -> None:
    batch = planned.batch_size
    if not batch:
        return
    _refuse_outside("--batch", batch, 1, MOST_BATCH)
    if not any(tensor.dimensions for tensor in artifact.signature.inputs):
        raise _bad(f"--batch {batch}: no input of model {artifact.name} has a first dimension; leave the batch out")
    for tensor in artifact.signature.inputs:
        sizes = tensor.dimensions
        # Where a later dimension is dynamic it may be the batch: states of recurrent layers begin with the layers.
        if not sizes or any(not _is_fixed(one) for one in sizes):
            continue
        if sizes[0].size != batch:
            raise _bad(
                f"--batch {batch}: input {tensor.name!r} of model {artifact.name} has the fixed first dimension "
                f"{sizes[0].size}; export the model with a dynamic one, or leave the batch out"
            )


def _is_fixed(one: common_pb2.Dimension) -> bool:
    return one.WhichOneof("kind") == "size"


def _check_paced(spec: _Spec) -> None:
    _refuse_missing("paced", "--rate", spec.rate_hz, "20")
    if not (isfinite(spec.rate_hz) and 0 < spec.rate_hz <= _MOST_RATE_HZ):
        raise _bad(f"--rate {spec.rate_hz:g} is not above 0 and at most {_MOST_RATE_HZ:g} arrivals a second")


def _check_streams(spec: _Spec) -> None:
    _refuse_missing("multi-stream", "--streams", spec.stream_count, "4")
    _refuse_outside("--streams", spec.stream_count, 1, _MOST_STREAMS)


def _check_sustained(spec: _Spec) -> None:
    _refuse_missing("sustained", "--duration", spec.duration_ms, "5m")
    duration_s, point_s = spec.duration_ms / 1000, spec.point_ms / 1000
    _refuse_outside("--duration", duration_s, 2 * _SHORTEST_POINT_MS / 1000, _LONGEST_CURVE_MS / 1000, "s")
    if not spec.point_ms:
        return
    if not _SHORTEST_POINT_MS / 1000 <= point_s <= duration_s / 2:
        raise _bad(
            f"--point {point_s:g} s is not between {_SHORTEST_POINT_MS / 1000:g} s and half of --duration "
            f"{duration_s:g} s: a curve has two points at least"
        )
    if duration_s / point_s > _MOST_POINTS:
        raise _bad(
            f"--point {point_s:g} s makes more than {_MOST_POINTS} points of --duration {duration_s:g} s: lengthen it"
        )


def _check_steps(spec: _Spec) -> None:
    counts = list(spec.step_counts)
    _refuse_missing("stepwise", "--steps", counts, "1,16,64")
    _refuse_missing("stepwise", "--state", spec.state_outputs, "h=hn, for each state input the output that feeds it")
    written = ",".join(map(str, counts))
    if len(counts) > _MOST_STEP_COUNTS or len(spec.state_outputs) > _MOST_STATES:
        raise _bad(
            f"{len(counts)} --steps and {len(spec.state_outputs)} --state are more than {_MOST_STEP_COUNTS} and "
            f"{_MOST_STATES}"
        )
    if not all(1 <= count <= _MOST_STEPS for count in counts):
        raise _bad(f"--steps {written}: each is between 1 and {_MOST_STEPS}")
    if any(later <= earlier for earlier, later in pairwise(counts)):
        raise _bad(f"--steps {written} do not rise: write each once, the smallest first")


_CHECKS: Mapping[plan_pb2.Mode.ValueType, Callable[[_Spec], None]] = {
    plan_pb2.MODE_PACED: _check_paced,
    plan_pb2.MODE_MULTI_STREAM: _check_streams,
    plan_pb2.MODE_SUSTAINED: _check_sustained,
    plan_pb2.MODE_STEPWISE: _check_steps,
}


def _refuse_missing(mode: str, flag: str, value: object, example: str) -> None:
    if not value:
        raise _bad(f"--mode {mode} needs {flag}, such as {flag} {example}")


def _refuse_outside(flag: str, value: float, low: float, high: float, unit: str = "") -> None:
    if not (isfinite(value) and low <= value <= high):
        raise _bad(f"{f'{flag} {value:g} {unit}'.rstrip()} is not between {low:g} and {high:g}")


def _bad(sentence: str) -> UsageError:
    return UsageError("bad_mode", sentence)
