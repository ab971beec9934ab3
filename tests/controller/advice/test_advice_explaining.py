"""Why a variant is no faster: planted profiles, and one that must stay silent."""

from __future__ import annotations

from steelyard.advice.explaining import Profile, ProfiledOperator, reasons


def profile(*operators: tuple[str, float], provider: str = "CPUExecutionProvider", asked: str = "") -> Profile:
    return Profile(
        operators=tuple(ProfiledOperator(kind=kind, provider=provider, mean_ns=ns) for kind, ns in operators),
        asked_provider=asked,
    )


ORIGINAL = profile(("Conv", 900.0), ("Relu", 50.0), ("Softmax", 50.0))


def test_quantizing_and_layers_left_in_float_are_named_by_what_they_take() -> None:
    variant = profile(("QuantizeLinear", 300.0), ("DequantizeLinear", 200.0), ("Conv", 400.0), ("QLinearConv", 100.0))
    told = reasons(variant, ORIGINAL)
    assert told[0] == "50 % of its time quantizes and dequantizes (QuantizeLinear, DequantizeLinear)"
    assert told[1] == "40 % of its time is in layers that stayed in float (Conv)"
    assert len(told) == 2


def test_casts_of_a_float16_model_are_named() -> None:
    told = reasons(profile(("Cast", 250.0), ("Conv", 750.0)), ORIGINAL)
    assert told == ["25 % of its time casts between types (Cast)"]


def test_what_fell_back_to_another_provider_is_named() -> None:
    variant = Profile(
        operators=(
            ProfiledOperator(kind="Conv", provider="CUDAExecutionProvider", mean_ns=100.0),
            ProfiledOperator(kind="Resize", provider="CPUExecutionProvider", mean_ns=300.0),
        ),
        asked_provider="CUDAExecutionProvider",
    )
    original = profile(("Conv", 100.0), ("Resize", 300.0))
    assert reasons(variant, original) == [
        "75 % of its time fell back from CUDAExecutionProvider to CPUExecutionProvider"
    ]


def test_kernels_that_are_slower_themselves_are_named() -> None:
    told = reasons(profile(("ConvInteger", 5400.0), ("Relu", 50.0), ("Softmax", 50.0)), ORIGINAL)
    assert told == ["its convolutions (ConvInteger) take 6.0 times as long as the original's"]


def test_other_operators_that_take_longer_are_named() -> None:
    told = reasons(profile(("Conv", 900.0), ("ReorderInput", 500.0)), ORIGINAL)
    assert told == ["36 % of its time is in other operators, most in ReorderInput; they take longer than before"]


def test_a_profile_like_the_originals_gives_no_reason() -> None:
    (told,) = reasons(ORIGINAL, ORIGINAL)
    assert "no operator of it stands out" in told


def test_without_a_profile_the_reason_is_not_known() -> None:
    (told,) = reasons(profile(), ORIGINAL)
    assert "not profiled" in told
