from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard_agent.adb.parse import Delegation, Replaced, Report, parse_report
from tests.support.fake_phone import RECORDINGS, recording

MIB = 1024 * 1024


def test_a_run_with_a_median_is_read_whole():
    report = parse_report(recording("xnnpack_complete"))
    assert report == Report(
        init_ns=102_320_000,
        first_inference_ns=670_083_000,
        warmup_count=1,
        warmup_mean_ns=670_083_000,
        inference_count=50,
        mean_ns=699_438_000,
        median_ns=576_856_000,
        peak_resident_bytes=round(104.5 * MIB),
        peak_growth_bytes=round(99.2031 * MIB),
        replaced=(Replaced(delegate="TfLiteXNNPackDelegate", node_count=49, of_count=49),),
        created_xnnpack=True,
    )
    assert report.is_complete


def test_a_run_without_a_median_has_its_mean():
    report = parse_report(recording("gpu_complete"))
    assert (report.median_ns, report.mean_ns, report.inference_count) == (None, 119_375_000, 50)
    assert report.delegations == (("GPU", Delegation.COMPLETE),)
    assert (report.peak_resident_bytes, report.peak_growth_bytes) == (None, round(101.2 * MIB))


def test_the_oldest_form_is_read():
    report = parse_report(recording("old_without_median"))
    assert (report.init_ns, report.mean_ns, report.warmup_mean_ns) == (9_933_000, 66_767_600, 76_605_900)
    assert report.first_inference_ns == 127_425_000, "the first of the warm-up"
    assert (report.inference_count, report.warmup_count) == (15, 7)


def test_the_newer_program_of_litert_is_read_by_its_statistics_which_are_finer_than_its_results():
    report = parse_report(recording("litert_complete"))
    assert report == Report(
        init_ns=4_478_000,
        first_inference_ns=1_033_000,
        warmup_count=1055,
        warmup_mean_ns=465_319,
        inference_count=2112,
        mean_ns=464_545,
        median_ns=462_000,
        peak_growth_bytes=round(11.51 * MIB),
        replaced=(Replaced(delegate="TfLiteXNNPackDelegate", node_count=1, of_count=1),),
        created_xnnpack=True,
    )
    with_peak = recording("litert_complete").replace(
        "Peak memory usage not available. (peak_mem_mb <= 0)", "Peak memory:          20.50 MB"
    )
    assert parse_report(with_peak).peak_resident_bytes == round(20.5 * MIB)


def test_a_deviation_that_is_not_a_number_hides_no_median():
    text = (
        "count=9 first=5 curr=5 min=5 max=5 avg=5 std=-nan p5=5 median=5 p95=5\n"
        "count=50 first=7 curr=7 min=7 max=7 avg=7 std=nan p5=7 median=6 p95=7\n"
        "Inference timings in us: Init: 10, First inference: 5, Warmup (avg): 5, Inference (avg): 7\n"
    )
    assert parse_report(text).median_ns == 6000


@pytest.mark.parametrize("name", sorted(path.stem for path in RECORDINGS.iterdir() if "complete" in path.stem))
def test_an_output_that_is_cut_off_anywhere_has_no_figure_of_a_run_that_did_not_end(name):
    whole = recording(name)
    end = whole.index("Inference timings") if "Inference timings" in whole else whole.index("Inference (avg)")
    for length in range(0, end, 7):
        report = parse_report(whole[:length])
        assert not report.is_complete
        assert report.median_ns is None


@pytest.mark.parametrize(
    ("name", "delegations"),
    [
        ("xnnpack_partial", (("XNNPACK", Delegation.PARTIAL),)),
        ("nnapi_not_applied", (("NNAPI", Delegation.NONE),)),
        ("gpu_missing", (("XNNPACK", Delegation.PARTIAL),)),
    ],
)
def test_delegates_say_how_much_they_took(name, delegations):
    assert parse_report(recording(name)).delegations == delegations


def test_flags_that_the_program_does_not_know_are_kept():
    assert parse_report(recording("gpu_missing")).unused_flags == "--allow_fp16"


@pytest.mark.parametrize("name", ["gpu_failure", "cannot_prepare", "crash", "cannot_link"])
def test_a_run_that_failed_is_not_complete(name):
    report = parse_report(recording(name))
    assert not report.is_complete
    assert report.mean_ns is report.median_ns is report.inference_count is None


def test_lines_of_logcat_and_powers_of_ten_are_read():
    text = (
        "07-08 15:34:26.201 I/tflite  ( 5395): count=2 first=1 curr=1 min=1 max=1 avg=1 std=0\n"
        "07-08 15:34:26.201 I/tflite  ( 5395): count=10 first=2653894 curr=2709263 min=2640862 max=3025403 "
        "avg=2.71985e+06 std=105101 p5=2640862 median=2709263 p95=3025403\n"
        "07-08 15:34:26.202 I/tflite  ( 5395): Inference timings in us: Init: 458883, First inference: 2732148, "
        "Warmup (avg): 2.73215e+06, Inference (avg): 2.71985e+06\n"
    )
    report = parse_report(text)
    assert (report.mean_ns, report.median_ns, report.inference_count) == (2_719_850_000, 2_709_263_000, 10)


def test_every_recording_says_where_it_is_from():
    assert {path.stem for path in RECORDINGS.iterdir()} >= {"gpu_complete", "gpu_failure", "crash"}
    for path in RECORDINGS.iterdir():
        assert recording(path.stem)


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    assert parse_report(text).mean_ns is None or "timings in us" in text


@given(
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.floats(0.1, 1e9, allow_nan=False),
    st.integers(1, 10**6),
    st.integers(1, 10**9),
)
def test_what_the_program_would_print_is_read_back(init, first, mean, count, median):
    text = (
        f"count=1 curr={first}\n"
        f"count={count} first=1 curr=1 min=1 max=1 avg={mean:g} std=0 p5=1 median={median} p95=1\n"
        f"Inference timings in us: Init: {init}, First inference: {first}, Warmup (avg): {first:g}, "
        f"Inference (avg): {mean:g}\n"
    )
    report = parse_report(text)
    assert (report.init_ns, report.first_inference_ns) == (init * 1000, first * 1000)
    assert (report.inference_count, report.median_ns) == (count, median * 1000)
    assert report.mean_ns == pytest.approx(float(f"{mean:g}") * 1000, abs=1)


@given(st.sampled_from(["xnnpack_complete", "gpu_complete"]), st.data())
def test_an_output_that_was_cut_is_never_taken_for_more_than_it_says(name, data):
    text = recording(name)
    cut = text[: data.draw(st.integers(0, len(text)))]
    report = parse_report(cut)
    assert report.is_complete == (report.mean_ns is not None)
    if not report.is_complete:
        assert report.median_ns is None
