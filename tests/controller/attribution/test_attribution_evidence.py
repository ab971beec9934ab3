from __future__ import annotations

import pytest
from scipy.stats import fisher_exact

from steelyard.attribution.differences import Kind, cause_of, differences, kind_of, words_of
from steelyard.attribution.evidence import Field
from steelyard.attribution.survey import cells_of
from steelyard.nightly.night_findings import Cause, EnvironmentDifference
from tests.controller.attribution.surveys import KERNEL, MODELS, RUNTIME, artifact, night, series, worse


@pytest.mark.parametrize(
    ("hits", "exposed", "other_hits", "others"),
    [(7, 8, 0, 24), (2, 8, 3, 16), (0, 5, 2, 5), (3, 3, 0, 21), (1, 1, 9, 23)],
)
def test_the_p_value_is_that_of_fishers_exact_test(hits: int, exposed: int, other_hits: int, others: int) -> None:
    models = [f"m{number}" for number in range(exposed + others)]
    bad = {*models[:hits], *models[exposed : exposed + other_hits]}
    cells = cells_of(night(is_worse=lambda model, _device: model in bad, models=models, devices=["pi4"]))
    evidence = Field(cells).weigh({cell.key for cell in cells[:exposed]})
    table = [[hits, exposed - hits], [other_hits, others - other_hits]]
    assert evidence.p_value == pytest.approx(fisher_exact(table, alternative="greater")[1])
    assert (len(evidence.hits), evidence.exposed_count, evidence.other_hit_count, evidence.other_count) == (
        hits,
        exposed,
        other_hits,
        others,
    )


def test_without_cells_to_compare_with_nothing_is_unlikely() -> None:
    cells = cells_of(night(is_worse=lambda model, _device: model < "m4"))
    assert Field(cells).weigh({cell.key for cell in cells}).p_value == 1.0


def test_a_cell_is_worse_where_any_of_its_metrics_is() -> None:
    survey = night(is_worse=lambda _model, _device: False, models=MODELS[:1], devices=["pi4"])
    survey.append(worse(series("m0", "pi4", "p95"), KERNEL, put_back=Cause.MODEL))
    (cell,) = cells_of(survey)
    assert cell.is_worse
    assert (cell.differences, cell.put_back) == (frozenset({KERNEL}), frozenset({Cause.MODEL}))


def test_entries_that_differ_are_told_the_likeliest_first() -> None:
    before = {"kernel": "6.1", "runtime_version": "1.19.2", "governor": "performance", "artifact": "a" * 64, "os": "x"}
    after = {"kernel": "6.6", "runtime_version": "1.20.0", "artifact": "b" * 64, "os": "x", "power_mode": "15W"}
    found = differences(before, after)
    assert [one.name for one in found] == ["artifact", "runtime_version", "kernel", "governor", "power_mode"]
    assert [(one.before, one.after) for one in found[3:]] == [("performance", None), (None, "15W")]
    assert differences(before, before) == ()


@pytest.mark.parametrize(
    ("name", "kind", "cause"),
    [
        ("artifact", Kind.MODEL, Cause.MODEL),
        ("recipe", Kind.RECIPE, Cause.MODEL),
        ("runtime_options", Kind.RUNTIME, Cause.RUNTIME),
        ("providers", Kind.RUNTIME, Cause.RUNTIME),
        ("kernel", Kind.KERNEL, Cause.ENVIRONMENT),
        ("firmware", Kind.FIRMWARE, Cause.ENVIRONMENT),
        ("driver_cuda", Kind.DRIVER, Cause.ENVIRONMENT),
        ("governor", Kind.GOVERNOR, Cause.ENVIRONMENT),
        ("allowed_cores", Kind.GOVERNOR, Cause.ENVIRONMENT),
        ("android_api_level", Kind.OS, Cause.ENVIRONMENT),
        ("agent", Kind.AGENT, Cause.ENVIRONMENT),
        ("processor", Kind.BOARD, Cause.BOARD),
        ("memory_bytes", Kind.BOARD, Cause.BOARD),
        ("task", Kind.TASK, Cause.ENVIRONMENT),
        ("something_new", Kind.OTHER, Cause.ENVIRONMENT),
    ],
)
def test_every_entry_is_a_change_of_something(name: str, kind: Kind, cause: Cause) -> None:
    assert kind_of(name) is kind
    assert cause_of(EnvironmentDifference(name=name, before="a", after="b")) is cause


def test_a_difference_is_told_in_words() -> None:
    assert words_of(RUNTIME) == "runtime version 1.19.2 -> 1.20.0"
    assert words_of(artifact("m3")) == "artifact m3-old000000 -> m3-new000000"
    assert words_of(EnvironmentDifference(name="driver", before=None, after="535")) == "driver not there -> 535"
