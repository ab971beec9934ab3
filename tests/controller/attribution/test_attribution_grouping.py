from __future__ import annotations

import random

import pytest

from steelyard.attribution.grouping import attribute
from steelyard.attribution.survey import Surveyed
from steelyard.nightly.night_findings import Cause, EnvironmentDifference
from tests.controller.attribution.surveys import (
    BOARD,
    DEVICES,
    KERNEL,
    MODELS,
    RUNTIME,
    TOOLS,
    artifact,
    night,
    series,
    worse,
)


def test_one_runtime_on_several_devices_is_the_runtime() -> None:
    found = attribute(
        night(
            is_worse=lambda model, device: device != "pi4" and model != "m0",
            changed=lambda _model, device: () if device == "pi4" else (RUNTIME,),
        )
    )
    (group,) = found.groups
    assert group.cause is Cause.RUNTIME
    assert group.title == "runtime version 1.19.2 -> 1.20.0"
    assert group.because == (
        "likely: 14 of 16 cells with runtime version 1.19.2 -> 1.20.0 got worse, of the others none of 8; "
        "nothing else that is known changed there"
    )
    assert group.differences == (RUNTIME,)
    assert len(group.findings) == 14
    assert found.troubles == ()


def test_a_change_that_every_cell_has_is_likely_and_says_that_nothing_could_be_compared() -> None:
    found = attribute(night(is_worse=lambda model, _device: model != "m0", changed=lambda _model, _device: (RUNTIME,)))
    (group,) = found.groups
    assert group.cause is Cause.RUNTIME
    assert "got worse, and there is no cell without it to compare with" in group.because


def test_one_model_everywhere_is_the_model() -> None:
    found = attribute(
        night(
            is_worse=lambda model, _device: model == "m3",
            changed=lambda model, _device: (artifact("m3"),) if model == "m3" else (),
        )
    )
    (group,) = found.groups
    assert group.cause is Cause.MODEL
    assert group.title == "artifact m3-old000000 -> m3-new000000"
    assert "3 of 3 cells" in group.because
    assert "none of 21" in group.because


def test_one_tool_behind_many_models_is_told_once_and_not_model_by_model() -> None:
    found = attribute(
        night(
            is_worse=lambda model, _device: model < "m4",
            changed=lambda model, _device: (artifact(model), TOOLS) if model < "m4" else (),
        )
    )
    (group,) = found.groups
    assert (group.cause, group.differences[0]) == (Cause.MODEL, TOOLS)
    assert len(group.findings) == 12


def test_one_board_with_many_models_is_a_device_in_trouble() -> None:
    found = attribute(night(is_worse=lambda model, device: device == "pi5" and model != "m7"))
    (group,) = found.groups
    (trouble,) = found.troubles
    assert (group.cause, group.title) == (Cause.BOARD, "device pi5")
    assert (trouble.device_id, trouble.device) == ("id-pi5", "pi5")
    assert trouble.sentence == group.because
    assert group.because == (
        "likely the board: 7 of 8 cells on pi5 got worse, of 7 models, without a known change; elsewhere none of 16 did"
    )


def test_a_board_that_was_exchanged_is_the_board() -> None:
    found = attribute(
        night(
            is_worse=lambda _model, device: device == "pi5",
            changed=lambda _model, device: (BOARD,) if device == "pi5" else (),
        )
    )
    assert [group.cause for group in found.groups] == [Cause.BOARD]


def test_a_kernel_on_one_board_is_the_environment_and_not_the_board() -> None:
    found = attribute(
        night(
            is_worse=lambda _model, device: device == "pi5",
            changed=lambda _model, device: (KERNEL,) if device == "pi5" else (),
        )
    )
    (group,) = found.groups
    assert group.cause is Cause.ENVIRONMENT
    assert found.troubles == ()


def test_all_devices_at_once_without_a_change_is_nobodys_guess() -> None:
    found = attribute(night(is_worse=lambda _model, _device: True))
    (group,) = found.groups
    assert group.cause is Cause.UNKNOWN
    assert group.because.startswith("not known: 24 of 24 cells got worse though model, runtime, system and device")
    assert found.troubles == ()


def test_two_changes_on_the_same_cells_cannot_be_told_apart() -> None:
    found = attribute(
        night(
            is_worse=lambda _model, device: device != "pi4",
            changed=lambda _model, device: () if device == "pi4" else (RUNTIME, KERNEL),
        )
    )
    (group,) = found.groups
    assert group.cause is Cause.UNKNOWN
    assert set(group.differences) == {RUNTIME, KERNEL}
    assert group.because.startswith("not known: kernel 6.1 -> 6.6 and runtime version 1.19.2 -> 1.20.0 came together")


def test_a_change_that_is_in_every_worse_cell_and_in_few_others_is_a_rival() -> None:
    def changed(model: str, device: str) -> tuple[EnvironmentDifference, ...]:
        if device == "pi4":
            return ()
        return (RUNTIME,) if (model, device) == ("m0", "pi5") else (RUNTIME, KERNEL)

    found = attribute(night(is_worse=lambda model, device: KERNEL in changed(model, device), changed=changed))
    (group,) = found.groups
    assert group.cause is Cause.UNKNOWN
    assert group.differences == (KERNEL, RUNTIME)


def test_a_change_that_is_missing_in_one_worse_cell_is_no_rival() -> None:
    def changed(model: str, device: str) -> tuple[EnvironmentDifference, ...]:
        if device == "pi4":
            return ()
        return (RUNTIME,) if (model, device) == ("m0", "pi5") else (RUNTIME, KERNEL)

    (group,) = attribute(night(is_worse=lambda _model, device: device != "pi4", changed=changed)).groups
    assert (group.cause, group.differences) == (Cause.RUNTIME, (RUNTIME,))


def test_a_change_that_is_also_where_nothing_got_worse_is_no_rival() -> None:
    found = attribute(
        night(
            is_worse=lambda model, _device: model == "m3",
            changed=lambda model, _device: (KERNEL, artifact("m3")) if model == "m3" else (KERNEL,),
        )
    )
    (group,) = found.groups
    assert (group.cause, group.differences) == (Cause.MODEL, (artifact("m3"),))


def test_what_a_confirmation_put_back_decides_between_two_changes() -> None:
    found = attribute(
        night(
            is_worse=lambda _model, device: device != "pi4",
            changed=lambda _model, device: () if device == "pi4" else (RUNTIME, KERNEL),
            put_back=Cause.RUNTIME,
        )
    )
    (group,) = found.groups
    assert (group.cause, group.title) == (Cause.RUNTIME, "runtime version 1.19.2 -> 1.20.0")
    assert group.because.startswith(
        "proven: with the old runtime put back beside the new one, it was as good as before in 16 of 16 worse cells"
    )
    # What changed as well is still shown.
    assert group.differences == (RUNTIME, KERNEL)


def test_one_model_that_a_new_runtime_made_slower_is_proven_by_its_confirmation() -> None:
    survey = night(is_worse=lambda _model, _device: False, changed=lambda _model, _device: (RUNTIME,))
    survey[0] = worse(survey[0].series, RUNTIME, put_back=Cause.RUNTIME)
    (group,) = attribute(survey).groups
    assert group.cause is Cause.RUNTIME
    assert "1 of 24 cells" in group.because


def test_one_model_of_many_under_a_new_runtime_without_a_confirmation_is_not_guessed() -> None:
    survey = night(is_worse=lambda _model, _device: False, changed=lambda _model, _device: (RUNTIME,))
    survey[0] = worse(survey[0].series, RUNTIME)
    (group,) = attribute(survey).groups
    assert group.cause is Cause.UNKNOWN
    assert group.because == (
        "not known: runtime version 1.19.2 -> 1.20.0 changed in 1 cell that got worse; "
        "23 cells with some of it are steady"
    )


def test_one_model_under_a_new_runtime_on_every_device_is_told_as_that() -> None:
    found = attribute(night(is_worse=lambda model, _device: model == "m3", changed=lambda _model, _device: (RUNTIME,)))
    (group,) = found.groups
    assert (group.cause, group.title) == (Cause.RUNTIME, "runtime version 1.19.2 -> 1.20.0 (m3)")
    assert group.because.startswith("likely: 3 of 3 cells of m3 with runtime version")


def test_the_only_model_that_changed_is_the_likely_cause_of_its_own_change() -> None:
    survey = night(is_worse=lambda _model, _device: False)
    survey[0] = worse(survey[0].series, artifact("m0"))
    (group,) = attribute(survey).groups
    assert group.cause is Cause.MODEL
    assert group.because.startswith("likely: 1 of 1 cell with artifact m0-old")


def test_a_proof_of_the_runtime_speaks_not_for_a_model_that_changed_as_well() -> None:
    survey = night(is_worse=lambda _model, _device: False, changed=lambda _model, _device: ())
    survey[0] = worse(survey[0].series, artifact("m0"), RUNTIME, put_back=Cause.RUNTIME)
    (group,) = attribute(survey).groups
    assert (group.cause, group.title) == (Cause.RUNTIME, "runtime version 1.19.2 -> 1.20.0")


def test_several_causes_of_one_night_are_told_apart() -> None:
    def changed(model: str, device: str) -> tuple[EnvironmentDifference, ...]:
        return (*((artifact("m3"),) if model == "m3" else ()), *((RUNTIME,) if device == "rock5" else ()))

    found = attribute(
        night(
            is_worse=lambda model, device: model == "m3" or device == "rock5" or (device == "pi5" and model != "m1"),
            changed=changed,
            models=MODELS,
        )
    )
    assert {group.cause for group in found.groups} == {Cause.MODEL, Cause.RUNTIME, Cause.BOARD}
    assert [trouble.device for trouble in found.troubles] == ["pi5"]


def test_a_board_alone_needs_three_models() -> None:
    for count, causes in ((2, [Cause.UNKNOWN]), (3, [Cause.BOARD])):
        survey = night(is_worse=lambda _model, _device: True, models=MODELS[:count], devices=DEVICES[:1])
        found = attribute(survey)
        assert [group.cause for group in found.groups] == causes
    assert "no other device was measured" in found.troubles[0].sentence


def test_what_was_put_back_on_a_board_clears_the_board() -> None:
    found = attribute(
        night(
            is_worse=lambda _model, device: device == "pi5",
            changed=lambda model, device: (artifact(model),) if device == "pi5" else (),
            put_back=Cause.MODEL,
        )
    )
    assert {group.cause for group in found.groups} == {Cause.MODEL}
    assert found.troubles == ()


def test_many_metrics_of_one_cell_count_as_one() -> None:
    survey = night(is_worse=lambda _model, _device: False)
    survey += [worse(series("m0", "pi4", metric)) for metric in ("p90", "p95", "p99", "energy", "memory")]
    found = attribute(survey)
    assert found.troubles == ()
    assert [len(group.findings) for group in found.groups] == [5]
    assert found.groups[0].because.startswith("not known: 1 of 24 cells got worse")


def test_a_night_on_which_nothing_got_worse_has_no_groups() -> None:
    assert attribute(night(is_worse=lambda _model, _device: False)).groups == ()
    assert attribute([]).groups == ()


@pytest.mark.parametrize("seed", range(30))
def test_every_finding_is_in_exactly_one_group_whatever_the_night(seed: int) -> None:
    rng = random.Random(seed)
    changes = [RUNTIME, KERNEL, TOOLS, BOARD]
    survey = night(
        is_worse=lambda _model, _device: rng.random() < 0.3,
        changed=lambda model, _device: rng.sample([*changes, artifact(model)], rng.randrange(4)),
    )
    survey = [
        worse(one.series, *one.differences, put_back=rng.choice([None, None, Cause.MODEL, Cause.RUNTIME]))
        if one.finding is not None
        else one
        for one in survey
    ]
    found = attribute(survey)
    told = [finding.series for group in found.groups for finding in group.findings]
    assert sorted(told, key=str) == sorted((one.series for one in survey if one.finding is not None), key=str)
    assert all(group.because and group.title for group in found.groups)


def test_chance_alone_is_hardly_ever_given_a_cause() -> None:
    rng = random.Random(7)
    named = 0
    for _ in range(200):
        # A kernel came to one device, and two unrelated cells anywhere got worse.
        bad = rng.sample([(model, device) for model in MODELS for device in DEVICES], 2)
        found = attribute(
            night(
                is_worse=lambda model, device, bad=bad: (model, device) in bad,  # type: ignore[misc]
                changed=lambda _model, device: (KERNEL,) if device == "pi5" else (),
            )
        )
        named += any(group.cause is not Cause.UNKNOWN for group in found.groups)
    assert named <= 10


def test_a_steady_series_is_no_proof() -> None:
    with pytest.raises(ValueError, match="proves nothing"):
        Surveyed(series=series("m0", "pi4"), put_back=Cause.MODEL)
    with pytest.raises(ValueError, match="puts back a model or a runtime"):
        worse(series("m0", "pi4"), put_back=Cause.BOARD)


def test_hundreds_of_changes_at_once_are_told_apart() -> None:
    models, devices = [f"m{number}" for number in range(100)], [f"d{number}" for number in range(20)]
    bad = {"m0", "m7", "m42"}
    found = attribute(
        night(
            is_worse=lambda model, device: model in bad or device == "d3",
            changed=lambda model, _device: (artifact(model),),
            models=models,
            devices=devices,
        )
    )
    assert {group.title.split("-")[0] for group in found.groups if group.cause is Cause.MODEL} == {
        f"artifact {model}" for model in bad
    }
