"""Checking what clients ask for, and spelling out what they left to the controller."""

from __future__ import annotations

from steelyard.analysis.duration import estimated_duration_ms
from steelyard.analysis.scoring import metric_of
from steelyard.compress.recipe_text import parse_recipe
from steelyard.control.default_runtime import fill_in_runtime
from steelyard.control.energy_plan import complete_energy, energy_round_count, reads_energy
from steelyard.control.extension import complete_extension
from steelyard.control.gate_plan import complete_gate
from steelyard.control.job_world import JobWorld
from steelyard.control.mode_plan import check_fit, check_mode
from steelyard.control.numeric_plan import complete_numeric, numeric_digests
from steelyard.control.output_size import check_output_size
from steelyard.control.profile_plan import complete_roofline, roofline_digests
from steelyard.control.required_metrics import check_requirements
from steelyard.control.verdict_options import complete_verdicts
from steelyard.errors import UsageError
from steelyard.stats.student import MIN_ROUND_COUNT
from steelyard.store.names import require_name
from steelyard.store.store import Store
from steelyard.tasks.metrics.contract import Reduction
from steelyard.tasks.metrics.device_outputs import QUOTA_BYTES
from steelyard_protocol.v1 import control_pb2, plan_pb2

DEFAULT_BUDGET_MS = 10 * 60 * 1000
DEFAULT_MIN_ROUND_COUNT = 6
DEFAULT_MAX_ROUND_COUNT = 40
MAX_ARTIFACT_COUNT = 64
_REDUCERS = {
    "argmax": plan_pb2.REDUCER_ARGMAX,
    "top_k": plan_pb2.REDUCER_TOP_K,
    "score_threshold": plan_pb2.REDUCER_SCORE_THRESHOLD,
    "full": plan_pb2.REDUCER_FULL,
}


async def complete_measurement(world: JobWorld, request: control_pb2.SubmitMeasurementRequest) -> int:
    """Check a measurement, fill in its defaults and its task's data, and return its estimated time in ms.

    Raises:
        UsageError: for a plan that makes no sense, with what to change.
        NotFoundError: for an artifact, task or device that nobody knows.
    """
    if request.extended_job_id:
        await complete_extension(world, request)
        _fill_defaults(request)
        return estimated_duration_ms(request, 0)
    plan = request.plan
    if not 1 <= len(plan.artifacts) <= MAX_ARTIFACT_COUNT:
        raise UsageError("bad_plan", f"a plan of {len(plan.artifacts)} models is not one of 1 to {MAX_ARTIFACT_COUNT}")
    if request.title:
        require_name(request.title, "the title")
    labels = [planned.label for planned in plan.artifacts]
    if len(set(labels)) != len(labels):
        raise UsageError("labels_repeat", f"the labels {', '.join(labels)} are not unique: name each variant once")
    check_mode(plan)
    artifacts = {}
    for planned in plan.artifacts:
        artifact = await world.store.call(Store.find_artifact, planned.artifact_digest)
        artifacts[artifact.digest] = artifact
        check_fit(planned, artifact, plan.mode)
        planned.artifact_digest = artifact.digest
        planned.size_bytes = artifact.size_bytes
        planned.format = artifact.format
        planned.confidential = artifact.confidential
    task = await world.store.call(Store.get_task, request.task_id) if request.task_id else None
    check_requirements(request, task)
    if task is not None:
        found = metric_of(task)
        check_output_size(plan, artifacts, task, found)
        _add_task_data(plan, task, found.reduction)
    complete_verdicts(request)
    _fill_defaults(request)
    await world.devices.check_known(request.device)
    device = await world.devices.description_or_none(request.device)
    complete_energy(request, device)
    complete_gate(plan, await world.devices.core_count(request.device), budget_ms=request.budget_ms)
    described = await world.devices.runtimes(request.device)
    for planned in plan.artifacts:
        fill_in_runtime(planned, described)
    await complete_roofline(world.blobs, request)
    await complete_numeric(world.blobs, request, artifacts, task)
    return estimated_duration_ms(
        request,
        task.evaluation_sample_count if task is not None else 0,
        energy_round_count=energy_round_count(request, device_tells=device is not None and reads_energy(device)),
    )


def _add_task_data(plan: plan_pb2.Plan, task: control_pb2.Task, reduction: Reduction) -> None:
    """Evaluate the task, one sample at a time as deployed, and time on its first samples."""
    plan.evaluation.data_digest = task.evaluation_digest
    plan.evaluation.data_size_bytes = task.evaluation_size_bytes
    plan.evaluation.reducer = _REDUCERS[reduction.reducer]
    plan.evaluation.top_count = reduction.top_count
    plan.evaluation.score_threshold = reduction.score_threshold
    plan.evaluation.batch_size = 1
    plan.evaluation.output_quota_bytes = QUOTA_BYTES
    plan.inputs.data_digest = task.evaluation_digest
    plan.inputs.data_size_bytes = task.evaluation_size_bytes
    # Of tasks that an older version stored the stored samples are not known.
    if task.preprocessing_json and task.stored_dtype:
        plan.processing.preprocessing_json = task.preprocessing_json
        plan.processing.stored_dtype = task.stored_dtype
        plan.processing.stored_shape.CopyFrom(task.stored_shape)
        plan.processing.reducer = plan.evaluation.reducer


def _fill_defaults(request: control_pb2.SubmitMeasurementRequest) -> None:
    request.budget_ms = request.budget_ms or DEFAULT_BUDGET_MS
    for name, count in (("min-rounds", request.min_round_count), ("max-rounds", request.max_round_count)):
        if 0 < count < MIN_ROUND_COUNT and not request.extended_job_id:
            raise UsageError("too_few_rounds", f"--{name} {count}: an interval needs {MIN_ROUND_COUNT} rounds or more")
    request.max_round_count = request.max_round_count or max(DEFAULT_MAX_ROUND_COUNT, request.min_round_count)
    request.min_round_count = request.min_round_count or min(DEFAULT_MIN_ROUND_COUNT, request.max_round_count)
    if request.min_round_count > request.max_round_count:
        raise UsageError(
            "bad_rounds",
            f"at least {request.min_round_count} and at most {request.max_round_count} rounds cannot both be: "
            "lower --min-rounds or raise --max-rounds",
        )
    if request.budget_ms < 0:
        raise UsageError("bad_budget", f"a budget of {request.budget_ms} ms is none: give a time such as 10m")


def plan_digests(plan: plan_pb2.Plan) -> frozenset[str]:
    """Return every blob that a plan names: what its device may fetch."""
    digests = {planned.artifact_digest for planned in plan.artifacts}
    digests |= {plan.inputs.data_digest, plan.evaluation.data_digest}
    digests |= roofline_digests(plan) | numeric_digests(plan)
    return frozenset(digests - {""})


def recipe_with_data(recipe_toml: str, task: control_pb2.Task | None) -> str:
    """Check a recipe against its task and return the recipe's name.

    Raises:
        UsageError: when it needs calibration or training data that the task does not have.
    """
    recipe = parse_recipe(recipe_toml)
    if recipe.needs_calibration and (task is None or not task.calibration_digest):
        missing = "no task was named" if task is None else f"task {task.name!r} has none"
        raise UsageError(
            "no_calibration_data",
            f"recipe {recipe.name!r} needs calibration data and {missing}: name a task with a calibration split "
            "by --task FILE",
        )
    if recipe.needs_training and (task is None or not task.training_digest):
        missing = "no task was named" if task is None else f"task {task.name!r} has none"
        raise UsageError(
            "no_training_data",
            f"recipe {recipe.name!r} learns from samples and {missing}: name a task with a training split by "
            "--task FILE",
        )
    return recipe.name
