"""What differs between the variants of a plan beside the model, from the plan itself rather than its labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from steelyard_protocol.v1 import plan_pb2

_OPTIMIZATION = plan_pb2.GraphOptimization
_KINDS = {plan_pb2.CORE_SELECTION_BIG: "big", plan_pb2.CORE_SELECTION_LITTLE: "little"}
_DEFAULT = "default"


def varied_text(plan: plan_pb2.Plan) -> str:
    """Return "threads 1, 2; spinning on, off", "" where nothing but the model differs."""
    texts = []
    for name, value_of in _AXES.items():
        values = list(dict.fromkeys(map(value_of, plan.artifacts)))
        if len(values) > 1:
            texts.append(f"{name} {', '.join(values)}")
    return "; ".join(texts)


def _runtime(one: plan_pb2.PlannedArtifact) -> str:
    return one.runtime.name + (f"@{one.runtime.environment}" if one.runtime.environment else "")


def _providers(one: plan_pb2.PlannedArtifact) -> str:
    def options(provider: plan_pb2.Provider) -> str:
        pairs = ",".join(f"{key}={value}" for key, value in sorted(provider.options.items()))
        return f":{pairs}" if pairs else ""

    return " then ".join(f"{each.name}{options(each)}" for each in one.runtime.providers) or _DEFAULT


def _threads(one: plan_pb2.PlannedArtifact) -> str:
    runtime = one.runtime
    return str(runtime.intra_op_thread_count) if runtime.HasField("intra_op_thread_count") else _DEFAULT


def _cores(one: plan_pb2.PlannedArtifact) -> str:
    return _KINDS.get(one.core_selection) or "+".join(map(str, one.core_ids)) or "the plan's"


def _switch(name: str) -> Callable[[plan_pb2.PlannedArtifact], str]:
    def text(one: plan_pb2.PlannedArtifact) -> str:
        if not one.runtime.HasField(name):  # type: ignore[arg-type]  # one of two names, below
            return _DEFAULT
        return "on" if getattr(one.runtime, name) else "off"

    return text


def _optimization(one: plan_pb2.PlannedArtifact) -> str:
    level = one.runtime.graph_optimization
    return _OPTIMIZATION.Name(level).removeprefix("GRAPH_OPTIMIZATION_").lower() if level else _DEFAULT


def _batch(one: plan_pb2.PlannedArtifact) -> str:
    return str(one.batch_size) if one.batch_size else "the model's"


def _shapes(one: plan_pb2.PlannedArtifact) -> str:
    shapes = (f"{name}={'x'.join(map(str, shape.sizes))}" for name, shape in sorted(one.input_shapes.items()))
    return " ".join(shapes) or "the model's"


_AXES: Mapping[str, Callable[[plan_pb2.PlannedArtifact], str]] = {
    "runtime": _runtime,
    "provider": _providers,
    "threads": _threads,
    "cores": _cores,
    "spinning": _switch("spinning"),
    "arena": _switch("arena"),
    "graph optimization": _optimization,
    "batch": _batch,
    "shape": _shapes,
}
