import numpy as np
import pytest

from steelyard.stats.candidates import fastest
from steelyard.stats.comparison import compare_rounds
from steelyard.stats.estimate import Estimate, unknown
from steelyard.stats.percentiles import value_over_rounds
from steelyard.stats.requirements import decide, parse_requirement
from steelyard.stats.shipping import Candidate, DecisionKind, choose
from steelyard.stats.thresholds import Thresholds

QUIET = np.exp(np.array([-0.002, 0.001, 0.002, -0.001, 0.0, 0.001]))
LOUD = np.exp(np.array([-0.2, 0.25, 0.1, -0.15, 0.2, -0.1]))
NOT_MEASURED = unknown("ns", "no round was measured")


def drop(low, value, high):
    return Estimate(value=value, low=low, high=high, confidence=0.95, unit="pp", observation_count=2000)


def original(**changes):
    latency = value_over_rounds(10e6 * QUIET, "ns")
    fields = {"label": "original", "is_reference": True, "time": latency, "size_bytes": 1000}
    return Candidate(**{**fields, **changes})


def variant(label, speedup, loss=(-0.3, 0.1, 0.5), /, *, noise=QUIET, **changes):
    rounds = 10e6 * noise[::-1] / speedup
    latency = value_over_rounds(rounds, "ns")
    fields = {
        "label": label,
        "time": latency,
        "size_bytes": 300,
        "speedup": compare_rounds(10e6 * QUIET, rounds),
        "accuracy_drop": None if loss is None else drop(*loss),
    }
    return Candidate(**{**fields, **changes})


def failed(label, why="the op is not supported."):
    return Candidate(label=label, time=NOT_MEASURED, failed=why)


def with_requirements(candidate, *texts, figures=None):
    figures = {"p90": candidate.time, "drop": candidate.accuracy_drop, **(figures or {})}
    requirements = [parse_requirement(text) for text in texts]
    outcomes = tuple(decide(one, figures.get(one.metric) or drop(0.0, 0.0, 0.0)) for one in requirements)
    return Candidate(**{name: getattr(candidate, name) for name in Candidate.__slots__} | {"outcomes": outcomes})


def chosen(*candidates):
    choice = choose(candidates, device="pi5")
    assert choice.sentence.endswith(".")
    assert "pi5" in choice.sentence
    assert ".." not in choice.sentence
    return choice


def test_the_fastest_that_is_faster_and_loses_nothing_is_shipped():
    choice = chosen(original(), variant("float16", 1.2), variant("static-int8", 2.1), variant("slow", 0.8))
    assert (choice.kind, choice.label) == (DecisionKind.SHIP, "static-int8")
    assert choice.sentence.startswith("Ship static-int8 on pi5: 2.10x faster than the original (2.0")
    assert "p50 4.76 ms) with no accuracy loss beyond 1 pp (drop 0.1 pp, -0.3 to 0.5)." in choice.sentence


def test_a_faster_variant_that_loses_too_much_is_passed_over():
    choice = chosen(original(), variant("pruned", 3.0, (2.1, 3.2, 4.3)), variant("static-int8", 2.1))
    assert (choice.kind, choice.label) == (DecisionKind.SHIP, "static-int8")


def test_a_rival_that_may_be_faster_still_is_named():
    choice = chosen(original(), variant("pruned", 3.0, (0.1, 0.8, 1.5)), variant("static-int8", 2.1))
    assert choice.label == "static-int8"
    assert choice.sentence.endswith("; not settled yet for pruned, which may be faster still.")


def test_of_two_that_noise_cannot_tell_apart_the_smaller_is_shipped():
    choice = chosen(original(), variant("a", 2.1005, size_bytes=500), variant("b", 2.1, size_bytes=250))
    assert choice.label == "b"
    unsized = chosen(original(), variant("a", 2.1005, size_bytes=500), variant("b", 2.1, size_bytes=None))
    assert unsized.label == "a"


def test_speedups_paired_by_round_tell_apart_what_drift_blurs():
    drift = np.exp(np.array([-0.2, -0.1, 0.0, 0.1, 0.2, 0.3]))

    def drifting(label, speedup, size_bytes):
        rounds = 10e6 * drift * QUIET[::-1] / speedup
        latency = value_over_rounds(rounds, "ns")
        comparison = compare_rounds(10e6 * drift * QUIET, rounds)
        return Candidate(label=label, time=latency, size_bytes=size_bytes, speedup=comparison)

    assert fastest([drifting("a", 2.2, 500), drifting("b", 2.1, 250)]).label == "a"


def test_without_overlap_the_size_does_not_matter():
    assert chosen(original(), variant("a", 2.2, size_bytes=500), variant("b", 2.1, size_bytes=250)).label == "a"


def test_nothing_faster_keeps_the_original():
    choice = chosen(original(), variant("float16", 0.9), variant("dynamic-int8", 1.0))
    assert (choice.kind, choice.label) == (DecisionKind.KEEP_ORIGINAL, "original")
    assert "no variant is faster (the quickest, dynamic-int8, has 1.000x the speed of the original" in choice.sentence


def test_only_lossy_variants_are_faster_so_the_original_stays():
    choice = chosen(original(), variant("pruned", 2.1, (2.1, 3.2, 4.3)), variant("float16", 0.9))
    assert choice.kind is DecisionKind.KEEP_ORIGINAL
    assert "no variant is both faster and within 1 pp of its accuracy (pruned is 2.10x faster" in choice.sentence
    assert "but drop 3.2 pp, 2.1 to 4.3)" in choice.sentence


def test_a_lossy_variant_of_unsettled_speed_keeps_the_original():
    choice = chosen(original(), variant("pruned", 1.1, (2.1, 3.2, 4.3), noise=LOUD))
    assert choice.kind is DecisionKind.KEEP_ORIGINAL
    assert "shown to be faster" in choice.sentence


def test_a_variant_that_did_not_run_is_named_beside_the_decision():
    choice = chosen(original(), variant("float16", 0.9), failed("static-int8"))
    assert choice.kind is DecisionKind.KEEP_ORIGINAL
    assert choice.sentence.endswith("; static-int8 could not be measured (the op is not supported).")


def test_unsettled_speed_is_undecided_and_says_how_many_rounds():
    choice = chosen(original(), variant("float16", 1.15, noise=LOUD))
    assert (choice.kind, choice.label) == (DecisionKind.UNDECIDED, "float16")
    assert "float16 may be faster or not (1.1" in choice.sentence
    assert "more rounds)" in choice.sentence


def test_a_speed_that_was_not_compared_is_undecided():
    choice = chosen(original(), variant("float16", 1.1, (0.5, 0.9, 1.3), speedup=None))
    assert choice.kind is DecisionKind.UNDECIDED
    assert "it was not compared with the original" in choice.sentence
    assert "and its drop may pass 1 pp" in choice.sentence


def test_a_speed_on_the_border_says_that_rounds_will_not_help():
    rounds = 10e6 / (1.0199 * np.exp(np.array([-0.05, 0.05] * 3)))
    same = Thresholds(equivalence_margin=0.02)
    choice = chosen(
        original(), variant("float16", 1.0, speedup=compare_rounds(np.full(6, 10e6), rounds, thresholds=same))
    )
    assert choice.kind is DecisionKind.UNDECIDED
    assert "too close to call" in choice.sentence


def test_an_unsettled_drop_is_undecided_and_says_how_many_samples():
    choice = chosen(original(), variant("static-int8", 2.1, (0.2, 0.7, 1.3)))
    assert choice.kind is DecisionKind.UNDECIDED
    assert (
        "its accuracy drop may pass 1 pp (drop 0.7 pp, 0.2 to 1.3, evaluate 8,000 samples or more)" in choice.sentence
    )
    on_the_border = chosen(original(), variant("static-int8", 2.1, (0.5, 1.0, 1.5)))
    assert "evaluate more samples" in on_the_border.sentence


def test_without_a_task_the_fastest_is_named_but_not_shipped():
    choice = chosen(original(), variant("float16", 1.2, None), variant("static-int8", 2.1, None))
    assert (choice.kind, choice.label) == (DecisionKind.INCOMPLETE, "static-int8")
    assert "static-int8 is the fastest on pi5, 2.10x faster than the original" in choice.sentence
    assert "its accuracy was not measured: give a task with labels" in choice.sentence


def test_an_accuracy_that_could_not_be_read_gives_its_reason():
    lost = unknown("pp", "the outputs were not sent back.")
    choice = chosen(original(), variant("static-int8", 2.1, None, accuracy_drop=lost))
    assert choice.kind is DecisionKind.INCOMPLETE
    assert choice.sentence.endswith("its accuracy was not measured: the outputs were not sent back.")


def test_without_a_task_and_nothing_faster_the_original_stays():
    assert chosen(original(), variant("float16", 0.9, None)).kind is DecisionKind.KEEP_ORIGINAL


def test_one_open_in_speed_and_one_in_accuracy_are_both_named():
    choice = chosen(
        original(), variant("float16", 1.15, None, noise=LOUD), variant("static-int8", 2.1, None), variant("c", 0.5)
    )
    assert choice.kind is DecisionKind.UNDECIDED
    assert "its accuracy was not measured" in choice.sentence
    assert "static-int8 is 2.10x faster than the original" in choice.sentence


def test_a_long_list_is_counted_instead():
    open_ones = [variant(f"v{index}", 2.1 + index, (0.2, 0.7, 1.3)) for index in range(5)]
    assert chosen(original(), *open_ones).sentence.endswith("; and 3 more likewise.")


def test_the_original_alone_is_kept():
    choice = chosen(original())
    assert choice.kind is DecisionKind.KEEP_ORIGINAL
    assert choice.sentence == "Keep the original on pi5: it was measured alone (p50 10.0 ms)."
    assert "of unknown speed" in chosen(original(time=NOT_MEASURED)).sentence


def test_an_original_that_did_not_run_leaves_nothing_to_compare_with():
    choice = chosen(original(failed="out of memory"), variant("static-int8", 2.1))
    assert (choice.kind, choice.label) == (DecisionKind.INCOMPLETE, "")


def test_variants_that_all_did_not_run_are_incomplete():
    choice = chosen(original(), failed("a"), failed("b"), failed("c"))
    assert choice.kind is DecisionKind.INCOMPLETE
    assert choice.sentence.startswith("No decision on pi5: a could not be measured")


def test_with_requirements_the_fastest_that_meets_all_is_shipped():
    texts = ("p90<9ms", "drop<1pp")
    choice = chosen(
        with_requirements(original(), *texts),
        with_requirements(variant("float16", 1.2), *texts),
        with_requirements(variant("static-int8", 2.1), *texts),
        with_requirements(variant("pruned", 4.0, (2.1, 3.2, 4.3)), *texts),
    )
    assert (choice.kind, choice.label) == (DecisionKind.SHIP, "static-int8")
    assert "it meets every requirement (p90 is 4.76 ms (" in choice.sentence
    assert "drop is 0.1 pp (-0.3 to 0.5))" in choice.sentence
    assert "and nothing faster does" in choice.sentence


def test_a_loss_that_no_requirement_limits_is_named():
    texts = ("p90<9ms",)
    lossy = with_requirements(variant("pruned", 2.1, (30.0, 35.0, 40.0)), *texts)
    choice = chosen(with_requirements(original(), *texts), lossy)
    assert choice.kind is DecisionKind.SHIP
    assert choice.sentence.endswith("accuracy drop 35.0 pp, 30.0 to 40.0.")
    blind = with_requirements(variant("static-int8", 2.1, None), *texts)
    assert chosen(with_requirements(original(), *texts), blind).sentence.endswith("accuracy not measured.")


def test_the_original_takes_part_in_requirements():
    texts = ("p90<20ms",)
    choice = chosen(with_requirements(original(), *texts), with_requirements(variant("float16", 0.9), *texts))
    assert (choice.kind, choice.label) == (DecisionKind.KEEP_ORIGINAL, "original")
    assert "it meets every requirement (p90 is 10.00 ms" in choice.sentence


def test_when_all_fail_the_nearest_is_named_with_what_it_misses():
    texts = ("p90<4ms", "drop<1pp")
    choice = chosen(
        with_requirements(original(), *texts),
        with_requirements(variant("static-int8", 2.1), *texts),
        with_requirements(variant("pruned", 4.0, (2.1, 3.2, 4.3)), *texts),
        failed("broken"),
    )
    assert (choice.kind, choice.label) == (DecisionKind.UNMET, "static-int8")
    assert "the nearest is static-int8: p90 is 4.76 ms (4.7" in choice.sentence
    assert "wanted p90<4ms; broken could not be measured" in choice.sentence


def test_an_interval_that_straddles_the_bound_is_undecided():
    texts = ("p90<4.76ms",)
    choice = chosen(with_requirements(original(), *texts), with_requirements(variant("static-int8", 2.1), *texts))
    assert (choice.kind, choice.label) == (DecisionKind.UNDECIDED, "static-int8")
    assert "which does not settle p90<4.76ms" in choice.sentence


def test_a_figure_that_nothing_could_measure_is_incomplete():
    energy = {"energy": unknown("J", "no sensor")}
    texts = ("p90<9ms", "energy<5mJ")
    choice = chosen(
        with_requirements(original(), *texts, figures=energy),
        with_requirements(variant("static-int8", 2.1), *texts, figures=energy),
    )
    assert (choice.kind, choice.label) == (DecisionKind.INCOMPLETE, "static-int8")
    assert "energy is not known (no sensor)" in choice.sentence


def test_nothing_that_ran_is_incomplete_with_requirements_too():
    broken = with_requirements(variant("a", 2.0), "p90<9ms")
    broken = Candidate(**{name: getattr(broken, name) for name in Candidate.__slots__} | {"failed": "crashed"})
    choice = chosen(original(failed="crashed"), broken)
    assert choice.kind is DecisionKind.INCOMPLETE
    assert choice.sentence.startswith("No decision on pi5: original could not be measured (crashed)")


def test_a_choice_without_one_original_is_refused():
    for candidates in ([variant("a", 2.0)], [original(), original()], [original(), variant("original", 2.0)]):
        with pytest.raises(ValueError, match="one original"):
            choose(candidates)


def test_a_candidate_in_the_wrong_units_is_refused():
    with pytest.raises(ValueError, match="in 'pp', not 'fraction'"):
        original(accuracy_drop=unknown("fraction", "x"))
    with pytest.raises(ValueError, match="label"):
        original(label="")


def test_the_original_is_not_held_against_itself_so_a_gate_on_the_drop_can_fail():
    texts = ("p90<20ms", "drop<1pp")
    broken = with_requirements(variant("broken", 2.1, (90.0, 97.8, 99.0)), *texts)
    choice = chosen(with_requirements(original(), *texts), broken)
    assert (choice.kind, choice.label) == (DecisionKind.UNMET, "broken")


def test_an_unsettled_drop_keeps_a_gate_undecided_whatever_the_original_does():
    texts = ("drop<0.2pp",)
    choice = chosen(with_requirements(original(), *texts), with_requirements(variant("static-int8", 2.1), *texts))
    assert choice.kind is DecisionKind.UNDECIDED
