import math
from collections.abc import Callable

import pytest

from steelyard_agent.jobs.errors import InvalidPlanError
from steelyard_agent.jobs.plan_check import check_grant, check_offer, check_plan
from steelyard_protocol.v1.plan_pb2 import (
    CORE_SELECTION_BIG,
    MODE_MULTI_STREAM,
    MODE_PACED,
    MODE_STEPWISE,
    MODE_SUSTAINED,
    ModeSpec,
    Plan,
)
from steelyard_protocol.v1.result_pb2 import PASS_ENERGY, PASS_EVALUATION, PASS_LATENCY
from steelyard_protocol.v1.session_pb2 import JobOffer, RoundGrant
from tests.agent.jobs.fakes import plan_of


def good_plan() -> Plan:
    plan = plan_of(b"one", b"two", evaluation=b"data")
    plan.artifacts[0].input_shapes["x"].sizes.extend([1, 3])
    plan.artifacts[0].runtime.providers.add(name="CPU")
    plan.artifacts[0].runtime.intra_op_thread_count = 2
    plan.inputs.data_digest = plan.evaluation.data_digest
    plan.inputs.data_size_bytes = 4
    plan.memory_limit_bytes = 10**9
    return plan


def test_a_plan_that_makes_sense_passes() -> None:
    check_plan(good_plan())
    check_offer(JobOffer(job_id="job-1", attempt=1, plan=good_plan(), lease_ttl_ms=1000))


BREAKS: dict[str, Callable[[Plan], object]] = {
    "two artifacts are labelled 'a'": lambda p: setattr(p.artifacts[1], "label", "a"),
    "the number of artifacts is 0": lambda p: p.ClearField("artifacts"),
    "the number of artifacts is 65": lambda p: [p.artifacts.add(label=str(i)) for i in range(63)],
    "label '' is not": lambda p: setattr(p.artifacts[0], "label", ""),
    r"label 'x\\ny' is not": lambda p: setattr(p.artifacts[0], "label", "x\ny"),
    r"the digest '\.\./x' of artifact 'a'": lambda p: setattr(p.artifacts[0], "artifact_digest", "../x"),
    r"the digest '[0-9A-F]+' of artifact": lambda p: setattr(
        p.artifacts[0], "artifact_digest", p.artifacts[0].artifact_digest.upper()
    ),
    "the size of artifact 'a' is 0": lambda p: setattr(p.artifacts[0], "size_bytes", 0),
    "no known format": lambda p: p.artifacts[0].ClearField("format"),
    "names no runtime": lambda p: setattr(p.artifacts[0].runtime, "name", ""),
    "a provider of 'a' has no name": lambda p: p.artifacts[0].runtime.providers.add(),
    "intra_op_thread_count of 'a' is 5000": lambda p: setattr(p.artifacts[0].runtime, "intra_op_thread_count", 5000),
    # 0 threads is no default: a plan that leaves the count to the runtime leaves it unset.
    "intra_op_thread_count of 'a' is 0": lambda p: setattr(p.artifacts[0].runtime, "intra_op_thread_count", 0),
    "a core id is 4000000000": lambda p: p.core_ids.append(4_000_000_000),
    "score_threshold is nan": lambda p: setattr(p.evaluation, "score_threshold", math.nan),
    "a size of input 'x' is -1": lambda p: p.artifacts[0].input_shapes["x"].sizes.append(-1),
    "the rank of input 'x' is 17": lambda p: p.artifacts[0].input_shapes["x"].sizes.extend([1] * 15),
    "block_timeout_ms is 0": lambda p: p.ClearField("block_timeout_ms"),
    "block_timeout_ms is -5": lambda p: setattr(p, "block_timeout_ms", -5),
    "memory_limit_bytes is 0": lambda p: setattr(p, "memory_limit_bytes", 0),
    "sample_window_ms is 99999999": lambda p: setattr(p.timing, "sample_window_ms", 99_999_999),
    "warmup_tolerance is nan": lambda p: setattr(p.timing, "warmup_tolerance", math.nan),
    "energy window_ms is -1": lambda p: setattr(p.energy, "window_ms", -1),
    "of the input data": lambda p: setattr(p.inputs, "data_digest", "nothing"),
    "of the evaluation data": lambda p: setattr(p.evaluation, "data_digest", ""),
    "names no reducer": lambda p: p.evaluation.ClearField("reducer"),
    "batch_size is 100000": lambda p: setattr(p.evaluation, "batch_size", 100_000),
    "output_quota_bytes is -1": lambda p: setattr(p.evaluation, "output_quota_bytes", -1),
    "batch_size of 'a' is 70000": lambda p: setattr(p.artifacts[0], "batch_size", 70_000),
    "a core id of 'a' is 4000000000": lambda p: p.artifacts[0].core_ids.append(4_000_000_000),
    "core_ids and core_selection of 'a' are both": lambda p: (
        p.artifacts[0].core_ids.append(0),
        setattr(p.artifacts[0], "core_selection", CORE_SELECTION_BIG),
    ),
    "mode 99 is none that this agent knows": lambda p: setattr(p.mode, "mode", 99),
    "rate_hz is 0;": lambda p: setattr(p.mode, "mode", MODE_PACED),
    "rate_hz is nan": lambda p: _mode(p, mode=MODE_PACED, rate_hz=math.nan),
    r"1000 arrivals at rate_hz 0\.1 take 10000 s": lambda p: (
        _mode(p, mode=MODE_PACED, rate_hz=0.1),
        setattr(p.timing, "min_sample_count", 1000),
    ),
    "stream_count is 1000": lambda p: _mode(p, mode=MODE_MULTI_STREAM, stream_count=1000),
    "stream_count is given and the mode is single-stream": lambda p: _mode(p, stream_count=2),
    "duration_ms is -1": lambda p: _mode(p, mode=MODE_SUSTAINED, duration_ms=-1),
    "64, 16 do not rise": lambda p: _mode(p, mode=MODE_STEPWISE, step_counts=[64, 16], state_outputs={"h": "hn"}),
    "needs state_outputs": lambda p: _mode(p, mode=MODE_STEPWISE, step_counts=[1]),
    "graph_optimization of 'a' is 99": lambda p: setattr(p.artifacts[0].runtime, "graph_optimization", 99),
    "the reducer of the evaluation is 99": lambda p: setattr(p.evaluation, "reducer", 99),
    "the reducer of the processing is 99": lambda p: setattr(p.processing, "reducer", 99),
    "divide '10{39}', which is not a number that a float": lambda p: _process(p, f'{{"divide": 1{"0" * 400}}}'),
    "stored_shape has 400003 sizes, more than 16": lambda p: (
        _process(p, "{}"),
        p.processing.stored_shape.sizes.extend([2**62] * 400_001),
    ),
    "preprocessing_json is no JSON": lambda p: setattr(p.processing, "preprocessing_json", "{"),
    "operation 'blur', which this agent cannot do": lambda p: _process(p, '{"blur": 3}'),
    "comes without stored_dtype": lambda p: setattr(p.processing, "preprocessing_json", "{}"),
    "stored_dtype 'object'": lambda p: _process(p, "{}", dtype="object"),
    "divide and std must not be 0": lambda p: _process(p, '{"divide": 0}'),
    "divide 'ten', which is not a number": lambda p: _process(p, '{"divide": "ten"}'),
    "mean '0.5', which is not a list of numbers": lambda p: _process(p, '{"mean": 0.5}'),
    "needs a stored image": lambda p: _process(p, '{"layout": "NCHW"}', shape=(5,)),
}


def _mode(plan: Plan, **values: object) -> None:
    plan.mode.CopyFrom(ModeSpec(**values))


def _process(plan: Plan, text: str, *, dtype: str = "uint8", shape: tuple[int, ...] = (4, 4)) -> None:
    plan.processing.preprocessing_json = text
    plan.processing.stored_dtype = dtype
    plan.processing.stored_shape.sizes.extend(shape)


@pytest.mark.parametrize("sentence", list(BREAKS))
def test_a_plan_that_makes_no_sense_is_refused_naming_the_value(sentence: str) -> None:
    plan = good_plan()
    BREAKS[sentence](plan)
    with pytest.raises(InvalidPlanError, match=sentence) as caught:
        check_plan(plan)
    assert caught.value.reason == "invalid_plan"


@pytest.mark.parametrize("job_id", ["", "../x", "a@b", "x" * 200])
def test_a_job_id_that_is_no_name_is_refused(job_id: str) -> None:
    with pytest.raises(InvalidPlanError, match="job id"):
        check_offer(JobOffer(job_id=job_id, plan=good_plan(), lease_ttl_ms=1))


def test_a_lease_that_never_begins_is_refused() -> None:
    with pytest.raises(InvalidPlanError, match="lease_ttl_ms is 0"):
        check_offer(JobOffer(job_id="j", plan=good_plan()))


def test_a_grant_must_name_rounds_that_the_plan_has() -> None:
    plan = good_plan()
    for pass_kind in (PASS_LATENCY, PASS_EVALUATION, PASS_ENERGY):
        check_grant(RoundGrant(pass_kind=pass_kind, round_count=1000), plan)
    with pytest.raises(InvalidPlanError, match="no known pass"):
        check_grant(RoundGrant(round_count=1), plan)
    for count in (0, 1001):
        with pytest.raises(InvalidPlanError, match=f"round_count is {count}"):
            check_grant(RoundGrant(pass_kind=PASS_LATENCY, round_count=count), plan)
    with pytest.raises(InvalidPlanError, match="no data"):
        check_grant(RoundGrant(pass_kind=PASS_EVALUATION, round_count=1), plan_of(b"x"))


def test_an_environment_that_is_not_here_names_those_that_are() -> None:
    plan = good_plan()
    plan.artifacts[1].runtime.environment = "tflite"
    offer = JobOffer(job_id="job-1", attempt=1, plan=plan, lease_ttl_ms=1000)
    check_offer(offer, {"tflite", "old"})
    with pytest.raises(InvalidPlanError, match="no runtime environment 'tflite', it has a, b; name one"):
        check_offer(offer, {"b", "a"})
    with pytest.raises(InvalidPlanError, match=r"it has none; .* steelyard-agent environment add"):
        check_offer(offer)
