"""Requests to measure, made of what a person asks for: of models, and of what a compression makes on its way."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steelyard.control.energy_plan import EnergyOptions
from steelyard.control.mode_plan import ModeOptions
from steelyard.control.plans import MeasurementOptions, build_plan
from steelyard.priorities import parse_priority
from steelyard_protocol.v1 import control_pb2


def measurement_request(
    artifacts: Sequence[control_pb2.Artifact],
    *,
    device: str,
    task: control_pb2.Task | None,
    options: MeasurementOptions,
) -> control_pb2.SubmitMeasurementRequest:
    """Return the request that measures ``artifacts`` on ``device``; the first one is the reference.

    Raises:
        UsageError: options that make no plan.
    """
    request = control_pb2.SubmitMeasurementRequest(
        request_id=uuid.uuid4().hex,
        device=device,
        plan=build_plan(artifacts, options),
        task_id=task.task_id if task is not None else "",
        requirements=options.requirements,
        budget_ms=int(options.budget_s * 1000),
        min_round_count=options.min_round_count,
        max_round_count=options.max_round_count,
        device_wait_ms=int(options.device_wait_s * 1000),
        priority=parse_priority(options.priority),
        title=options.title or artifacts[0].name,
        meters=options.meters,
        probe_roofline=options.roofline,
        check_layers=options.check_layers,
    )
    options.verdicts.add_to(request)
    options.energy.add_to(request)
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMeasuring:
    """How a compression measures on ``device``: where a step asks for it and, with ``each_step``, what each step made.

    Of ``options`` counts what a latency hangs on; models are timed one inference after another, and nothing else is
    measured.
    """

    device: str
    options: MeasurementOptions = field(default_factory=MeasurementOptions)
    each_step: bool = False

    def add_to(self, request: control_pb2.SubmitCompressionRequest, artifact: control_pb2.Artifact) -> None:
        """Put into the request of a compression of ``artifact`` how it measures.

        Raises:
            UsageError: options that make no plan.
        """
        timed = replace(
            self.options,
            requirements=(),
            labels=(),
            title="",
            meters=(),
            vary={},
            mode=ModeOptions(),
            energy=EnergyOptions(round_count=0),
            operators=False,
            roofline=False,
            numeric_check=False,
            check_layers=False,
        )
        made = measurement_request([artifact], device=self.device, task=None, options=timed)
        made.request_id = ""
        request.measurement.CopyFrom(made)
        request.measure_steps = self.each_step
