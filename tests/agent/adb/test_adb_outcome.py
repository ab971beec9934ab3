from __future__ import annotations

import pytest

from steelyard_agent.adb.outcome import check_delegation, explain_failure, placements, worker_result
from steelyard_agent.adb.parse import parse_report
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockFailure, BlockStatus
from tests.support.fake_phone import recording


def wanting(*names, **more):
    return RuntimeOptions(providers=tuple(ProviderSpec(name=name) for name in names), **more)


def result_of(name, *wanted, **more):
    options = wanting(*wanted)
    return worker_result(parse_report(recording(name)), options, version="v", **{"min_sample_count": 10, **more})


def test_the_median_stands_for_the_round_and_says_so():
    result = result_of("xnnpack_complete")
    assert (result.latency_ns, result.latency_summary, result.sample_count) == ((576_856_000,), "median", 50)
    assert (result.model_load_ns, result.first_inference_ns) == (102_320_000, 670_083_000)
    assert result.warmup_ns == 670_083_000
    assert result.warmup_steady is None, "the program does not look for a steady state"
    assert result.providers == ("XNNPACK",)
    assert result.notes == ("benchmark_model prints only a summary of each round: p90 and above are not measured",)


def timed(median, mean):
    return parse_report(
        f"count=1 curr=3\ncount=50 first=1 avg={mean} std=0 p5=1 median={median} p95=9\n"
        f"Inference timings in us: Init: 10, First inference: 3, Warmup (avg): 3, Inference (avg): {mean}\n"
    )


def test_a_program_that_counts_microseconds_says_how_coarse_a_fast_model_is():
    result = worker_result(timed(40, 40.4), wanting(), version="v", min_sample_count=10)
    assert (result.latency_ns, result.latency_summary) == ((40_000,), "median")
    assert any("a step is 2 % of this median" in note for note in result.notes)


def test_a_median_of_nothing_is_not_a_latency_of_nothing():
    result = worker_result(timed(0, 0.4), wanting(), version="v", min_sample_count=10)
    assert (result.latency_ns, result.latency_summary) == ((400,), "mean")
    assert any("below the microsecond" in note for note in result.notes)
    with pytest.raises(BlockFailure, match="takes less") as caught:
        worker_result(timed(0, 0), wanting(), version="v", min_sample_count=10)
    assert caught.value.status is BlockStatus.UNSUPPORTED


def test_without_a_median_the_mean_stands_in_and_is_called_so():
    result = result_of("gpu_complete", "GPU")
    assert (result.latency_ns, result.latency_summary, result.providers) == ((119_375_000,), "mean", ("GPU",))
    assert any("p50 is the mean" in note for note in result.notes)


def test_the_baseline_of_memory_is_the_peak_less_its_growth():
    result = result_of("xnnpack_complete")
    assert result.peak_resident_bytes is not None
    grown = result.peak_resident_bytes - result.memory_phases["imported"]["resident_bytes"]
    assert grown == round(99.2031 * 1024 * 1024)
    assert "every 250 ms" in result.peak_source


@pytest.mark.parametrize(("name", "told"), [("gpu_complete", "only how much"), ("old_without_median", "nothing")])
def test_memory_that_is_not_told_has_a_reason(name, told):
    result = result_of(name)
    assert result.peak_resident_bytes is None
    assert told in result.memory_reason


def test_a_run_that_was_cut_short_by_time_says_so():
    assert any(
        "15 inferences in the block, fewer than the 30" in note
        for note in result_of("old_without_median", min_sample_count=30).notes
    )


def test_unknown_flags_are_a_note():
    assert any("does not know --allow_fp16" in note for note in result_of("gpu_missing").notes)


@pytest.mark.parametrize(
    ("name", "wanted", "providers"),
    [
        ("xnnpack_partial", "", ("XNNPACK", "CPU")),
        ("xnnpack_partial", "XNNPACK", ("XNNPACK", "CPU")),
        ("nnapi_not_applied", "NNAPI", ("XNNPACK", "CPU")),
        ("old_without_median", "", ("CPU",)),
        ("old_without_median", "CPU", ("CPU",)),
    ],
)
def test_providers_are_those_that_did_the_work(name, wanted, providers):
    assert result_of(name, *([wanted] if wanted else [])).providers == providers


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("gpu_complete", "GPU"), ("xnnpack_complete", "XNNPACK"), ("xnnpack_partial", ""), ("nnapi_not_applied", "CPU")],
)
def test_a_run_on_what_was_asked_for_is_accepted(name, wanted):
    check_delegation(parse_report(recording(name)), wanting(*([wanted] if wanted else [])))


@pytest.mark.parametrize(
    ("name", "wanted", "how"),
    [("xnnpack_partial", "XNNPACK", "only part"), ("nnapi_not_applied", "NNAPI", "nothing")],
)
def test_a_silent_fallback_is_refused_unless_allowed(name, wanted, how):
    report = parse_report(recording(name))
    with pytest.raises(BlockFailure, match=how) as caught:
        check_delegation(report, wanting(wanted))
    assert (caught.value.status, caught.value.reason) == (BlockStatus.FALLBACK, "provider_fallback")
    check_delegation(report, wanting(wanted, allow_fallback=True))


def test_a_delegate_that_was_never_there_is_unsupported_not_a_fallback():
    with pytest.raises(BlockFailure, match="did not apply GPU") as caught:
        check_delegation(parse_report(recording("gpu_missing")), wanting("GPU"))
    assert caught.value.status is BlockStatus.UNSUPPORTED


def test_nodes_are_placed_where_the_program_counts_them():
    assert placements(parse_report(recording("xnnpack_complete")), wanting()) == {"XNNPACK": 49}
    assert placements(parse_report(recording("xnnpack_partial")), wanting()) == {"XNNPACK": None, "CPU": None}
    partly = parse_report("Replacing 54 out of 559 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 3")
    assert placements(partly, wanting("GPU")) == {"GPU": 54, "CPU": 505}


def test_nodes_of_two_delegates_and_of_several_subgraphs_are_counted_once():
    text = "\n".join(
        f"Replacing {counts} node(s) with delegate ({delegate}) node, yielding 3 partitions for subgraph {subgraph}."
        for counts, delegate, subgraph in (
            ("54 out of 559", "TfLiteGpuDelegateV2", 0),
            ("200 out of 507", "TfLiteXNNPackDelegate", 0),
            ("10 out of 12", "TfLiteXNNPackDelegate", 1),
        )
    )
    placed = placements(parse_report(text), wanting("GPU", allow_fallback=True))
    assert placed == {"GPU": 54, "XNNPACK": 210, "CPU": 559 + 12 - 54 - 210}


def test_the_cpu_alone_is_not_what_ran_when_xnnpack_took_nodes():
    report = parse_report(recording("litert_complete"))
    with pytest.raises(BlockFailure, match="XNNPACK runs") as caught:
        check_delegation(report, wanting("CPU"))
    assert caught.value.status is BlockStatus.FALLBACK
    check_delegation(report, wanting("CPU", allow_fallback=True))
    assert result_of("litert_complete", "CPU").providers == ("XNNPACK", "CPU")
    check_delegation(report, wanting("XNNPACK"))


def test_a_delegate_that_tells_only_its_nodes_is_taken_by_them():
    text = recording("litert_complete").replace("TfLiteXNNPackDelegate", "LiteRtGpuDelegate")
    check_delegation(parse_report(text), wanting("GPU"))
    with pytest.raises(BlockFailure, match="only part"):
        check_delegation(parse_report(text.replace("1 out of 1", "1 out of 9")), wanting("GPU"))


def test_nodes_of_a_delegate_that_was_not_applied_are_not_placed_there():
    placed = placements(parse_report(recording("nnapi_not_applied")), wanting("NNAPI", allow_fallback=True))
    assert placed == {"XNNPACK": None, "CPU": None}


def test_bytes_of_a_hostile_model_do_not_reach_a_terminal():
    failure = explain_failure('ERROR: Tensor "\x1b[2J\x07evil" failed to prepare.', 1)
    assert failure.reason == "cannot_prepare"
    assert "evil" in str(failure)
    assert str(failure).isprintable()


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        (recording("gpu_failure"), BlockStatus.UNSUPPORTED, "provider_unavailable"),
        (recording("cannot_prepare"), BlockStatus.UNSUPPORTED, "cannot_prepare"),
        (recording("cannot_link"), BlockStatus.RUNTIME_MISSING, "cannot_link"),
        ("sh: /data/x: not executable: 64-bit ELF file", BlockStatus.RUNTIME_MISSING, "wrong_architecture"),
        ("sh: /data/x: can't execute: Permission denied", BlockStatus.RUNTIME_MISSING, "cannot_run"),
        ("taskset: exec /data/x: Permission denied", BlockStatus.RUNTIME_MISSING, "cannot_run"),
        ("ERROR: /dev/kgsl-3d0: Permission denied\nERROR: x", BlockStatus.INTERNAL, "no_answer"),
        ("taskset: exec /data/x: Exec format error", BlockStatus.RUNTIME_MISSING, "wrong_architecture"),
        ("sh: /data/x: inaccessible or not found", BlockStatus.RUNTIME_MISSING, "program_gone"),
        (
            "ERROR: Model provided has model identifier 'abcd', should be 'TFL3'",
            BlockStatus.INVALID_MODEL,
            "invalid_model",
        ),
        ("ERROR: Didn't find op for builtin opcode 'X'", BlockStatus.UNSUPPORTED, "unsupported_op"),
        ("ERROR: Encountered unresolved custom op: Y.", BlockStatus.UNSUPPORTED, "unsupported_op"),
        ("ERROR: Inputs mismatch: Model inputs #:1 expected: 2", BlockStatus.USER_ERROR, "input_mismatch"),
        ("taskset: can't set mask: Invalid argument", BlockStatus.USER_ERROR, "no_such_core"),
        ("terminating: std::bad_alloc", BlockStatus.OUT_OF_MEMORY, "allocation_failed"),
        ("write: No space left on device", BlockStatus.DISK_FULL, "phone_full"),
        ("ERROR: something new\nERROR: Benchmarking failed.", BlockStatus.INTERNAL, "no_answer"),
        ("", BlockStatus.INTERNAL, "no_answer"),
    ],
)
def test_what_the_phone_says_has_a_status_of_its_own(text, status, reason):
    failure = explain_failure(text, 1)
    assert (failure.status, failure.reason) == (status, reason)
    assert len(str(failure)) < 500
