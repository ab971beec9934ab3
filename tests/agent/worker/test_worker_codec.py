"""The worker's JSON: what goes in comes out, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard_agent.worker import codec, modes
from steelyard_agent.worker.block import KINDS, REDUCERS, Block, CurvePoint, Timing, WorkerResult
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.modes import Mode
from steelyard_agent.worker.processing_spec import Processing

_TEXT = st.text(max_size=20)
_COUNT = st.integers(1, 10**12)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner)
)
_TIMINGS = st.builds(
    Timing,
    sample_window_ms=_COUNT,
    warmup_window_ms=_COUNT,
    warmup_tolerance=st.floats(0, 1),
    warmup_cap_ms=_COUNT,
    min_sample_count=_COUNT,
)
_BLOCKS = st.builds(
    Block,
    kind=st.sampled_from(KINDS),
    runtime_name=_TEXT,
    model_path=st.text(min_size=1, max_size=20),
    runtime=st.dictionaries(_TEXT, _JSON, max_size=3),
    timing=_TIMINGS,
    seed=_COUNT,
    data_path=st.just("d"),
    output_path=st.just("o"),
    reducer=st.sampled_from(REDUCERS),
    batch_size=_COUNT,
    score_threshold=st.floats(allow_nan=False, allow_infinity=False),
    core_ids=st.lists(st.integers(0, 64), max_size=4).map(tuple),
    mode=st.sampled_from(
        [
            Mode(),
            Mode(name=modes.OFFLINE),
            Mode(name=modes.PACED, rate_hz=12.5, random_arrivals=True),
            Mode(name=modes.MULTI_STREAM, stream_count=3),
            Mode(name=modes.SUSTAINED, duration_ms=60_000, point_ms=500),
            Mode(name=modes.STEPWISE, step_counts=(1, 8), state_outputs={"h": "hn"}),
        ]
    ),
    processing=st.sampled_from(
        [
            Processing(),
            Processing(stored_dtype="uint8", stored_shape=(4, 4, 3), mean=(0.1, 0.2, 0.3), layout="NCHW", reduces=True),
        ]
    ),
)
_RESULTS = st.builds(
    WorkerResult,
    runtime_version=_TEXT,
    providers=st.lists(_TEXT, max_size=3).map(tuple),
    provider_probes=st.lists(st.dictionaries(_TEXT, _TEXT, max_size=2), max_size=2).map(tuple),
    inputs=st.lists(st.dictionaries(_TEXT, _JSON, max_size=2), max_size=2).map(tuple),
    process_start_ns=st.none() | _COUNT,
    warmup_steady=st.none() | st.booleans(),
    latency_ns=st.lists(_COUNT, max_size=20).map(tuple),
    memory_phases=st.dictionaries(_TEXT, st.dictionaries(_TEXT, _COUNT, max_size=2), max_size=2),
    notes=st.lists(_TEXT, max_size=3).map(tuple),
    response_ns=st.lists(_COUNT, max_size=5).map(tuple),
    missed_count=_COUNT,
    curve=st.lists(
        st.builds(
            CurvePoint,
            offset_ms=_COUNT,
            inference_count=_COUNT,
            p50_ns=_COUNT,
            p90_ns=st.none() | _COUNT,
            temperature_c=st.none() | st.floats(-50, 150),
            frequency_hz=st.none() | _COUNT,
        ),
        max_size=3,
    ).map(tuple),
    sequences=st.lists(st.lists(_COUNT, max_size=3).map(tuple), max_size=3).map(tuple),
    cpu_ns=st.none() | _COUNT,
)


@given(_BLOCKS)
@settings(max_examples=60, deadline=None)
def test_a_block_survives_the_pipe(block: Block) -> None:
    line = codec.encode_block(block)
    assert "\n" not in line
    assert codec.decode_block(line) == block


@given(_RESULTS)
@settings(max_examples=60, deadline=None)
def test_a_result_survives_the_pipe(result: WorkerResult) -> None:
    line = codec.encode_result(result)
    assert "\n" not in line
    assert codec.decode_result(line) == result


@given(_TEXT | _JSON.map(json.dumps))
@settings(max_examples=100, deadline=None)
def test_anything_else_is_refused_with_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        codec.decode_block(text)
    with pytest.raises(ValueError):
        codec.decode_result(text)


def test_runtime_options_survive_and_defaults_are_left_out() -> None:
    options = RuntimeOptions(
        providers=(ProviderSpec(name="CPUExecutionProvider", options={"a": "b"}),),
        intra_op_thread_count=2,
        graph_optimization="basic",
        spinning=False,
        arena=True,
        options={"session.x": "1"},
        input_shapes={"image": (1, 3, 224, 224)},
    )
    plain = codec.encode_runtime_options(options)
    assert codec.decode_runtime_options(json.loads(json.dumps(plain))) == options
    assert plain["spinning"] is False
    assert codec.encode_runtime_options(RuntimeOptions()) == {}


@pytest.mark.parametrize(
    "kind", [Block, WorkerResult, Timing, RuntimeOptions, ProviderSpec, Mode, Processing, CurvePoint]
)
def test_every_field_has_a_reader(kind: type) -> None:
    assert {str(item.type) for item in fields(kind)} <= set(codec._READERS)


def _block(**changes: object) -> str:
    return json.dumps({"protocol": 1, "kind": "probe", "runtime_name": "onnxruntime"} | changes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (_block(protocol=2), "protocol 1, the block is of 2"),
        (_block(speed=1), "has no field 'speed'"),
        (_block(seed=True), "True is not of type int"),
        (_block(seed="0" * 100), "is not of type int"),
        (_block(core_ids=1), "1 is not a list"),
        (_block(runtime=[]), r"\[\] is not an object"),
        (_block(timing={"warmup_tolerance": "3"}), "'3' is not a number"),
        (_block(kind="guess"), "'guess' is none of"),
        (_block(reducer="mode"), "'mode' is none of"),
        (_block(batch_size=-1), "batch_size is -1"),
        (_block(kind="latency"), "needs a model_path"),
        (_block(mode={"name": "paced"}), "rate_hz is 0"),
        (_block(mode={"name": "stepwise", "step_counts": [4, 2], "state_outputs": {"h": "hn"}}), "4, 2 do not rise"),
        (_block(processing={"stored_dtype": "text"}), "stored_dtype 'text'"),
        (_block(kind="evaluation", model_path="m"), "needs a data_path"),
        (_block(timing={"sample_window_ms": 0}), "sample_window_ms is 0"),
        ('{"protocol": 1, "kind": "probe"}', "lacks the field 'runtime_name'"),
        ("[" * 100_000, "nested"),
    ],
)
def test_a_block_that_makes_no_sense_is_refused_by_name(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        codec.decode_block(text)


@pytest.mark.parametrize(
    "options", [{"graph_optimization": "most"}, {"intra_op_thread_count": 0}, {"input_shapes": {"x": [0]}}]
)
def test_runtime_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        codec.decode_runtime_options(options)
