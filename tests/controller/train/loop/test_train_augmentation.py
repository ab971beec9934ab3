"""Changes of samples while a model learns: what they keep, what they change, and what they are refused for."""

from __future__ import annotations

import numpy as np
import pytest

from steelyard.train.errors import TrainingInputError
from steelyard.train.loop.augmentation import Augmentation

PICTURE = {"image": (3, 20, 24)}
FLOATS = {"image": "float32"}


def augmentation(*wanted: str, shape: tuple[int, ...] = (3, 20, 24)) -> Augmentation:
    return Augmentation(wanted, shapes={"image": shape}, dtypes=FLOATS)


def pictures(shape: tuple[int, ...] = (3, 20, 24)) -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(0).random((6, *shape), dtype=np.float32)}


def test_auto_crops_pictures_and_leaves_all_else_alone() -> None:
    assert augmentation("auto").kinds == ("crop",)
    assert augmentation("auto", shape=(20, 24, 1)).kinds == ("crop",)
    assert augmentation("auto", shape=(1, 8, 8)).kinds == ()
    assert augmentation("auto", shape=(64, 21)).kinds == ()
    assert Augmentation(("auto",), shapes={"ids": (12,)}, dtypes={"ids": "int64"}).kinds == ()


def test_auto_moves_no_picture_whose_truth_may_lie_in_places_of_it() -> None:
    for truth, kinds in (("labels", ("crop",)), ("masks", ()), ("targets", ())):
        found = Augmentation(("auto",), shapes=PICTURE, dtypes=FLOATS, truth=(truth,))
        assert found.kinds == kinds
    with pytest.raises(TrainingInputError, match="augment has flip, which would move pictures and leave their masks"):
        Augmentation(("flip",), shapes=PICTURE, dtypes=FLOATS, truth=("masks",))
    assert Augmentation(("noise", "cutout"), shapes=PICTURE, dtypes=FLOATS, truth=("masks",)).kinds[1] == "cutout"


def test_a_number_of_nothing_changes_nothing() -> None:
    for kind in ("crop0", "cutout0", "noise0", "mixup0"):
        made, _ = augmentation(kind).apply(pictures(), np.random.default_rng(0))
        np.testing.assert_array_equal(made["image"], pictures()["image"])


@pytest.mark.parametrize("shape", [(3, 20, 24), (20, 24, 3)])
def test_a_crop_moves_a_picture_and_repeats_its_edge(shape: tuple[int, ...]) -> None:
    channel = 0 if shape[0] == 3 else 2
    inputs = pictures(shape)
    made, mixture = augmentation("crop2", shape=shape).apply(inputs, np.random.default_rng(1))
    assert mixture is None
    assert made["image"].shape == (6, *shape)
    first, moved = (np.moveaxis(one["image"][0], channel, 0)[0] for one in (inputs, made))
    padded = np.pad(first, 2, mode="edge")
    found = [
        (down, right)
        for down in range(5)
        for right in range(5)
        if np.array_equal(padded[down : down + 20, right : right + 24], moved)
    ]
    assert found
    assert not np.array_equal(made["image"], inputs["image"])


def test_a_flip_mirrors_some_pictures_and_leaves_others() -> None:
    inputs = pictures()
    made, _ = augmentation("flip").apply(inputs, np.random.default_rng(1))
    pairs = list(zip(inputs["image"], made["image"], strict=True))
    flipped = [np.array_equal(one[:, :, ::-1], other) for one, other in pairs]
    same = [np.array_equal(one, other) for one, other in pairs]
    assert any(flipped)
    assert any(same)
    assert all(one or other for one, other in zip(flipped, same, strict=True))


def test_a_cut_out_hides_a_square_behind_the_mean() -> None:
    inputs = pictures()
    made, _ = augmentation("cutout6").apply(inputs, np.random.default_rng(1))
    for before, after in zip(inputs["image"], made["image"], strict=True):
        changed = (before != after).any(axis=0)
        assert 0 < changed.sum() <= 49
        assert np.allclose(after[:, changed], before.mean(), atol=1e-6)


def test_a_mixture_is_a_share_of_two_samples() -> None:
    inputs = pictures()
    made, mixture = augmentation("mixup1").apply(inputs, np.random.default_rng(1))
    assert mixture is not None
    wanted = mixture.share * inputs["image"] + (1 - mixture.share) * inputs["image"][mixture.partners]
    np.testing.assert_allclose(made["image"], wanted, rtol=1e-6)


def test_noise_has_the_size_that_was_asked_for() -> None:
    inputs = pictures()
    made, _ = augmentation("noise0.1").apply(inputs, np.random.default_rng(1))
    assert np.std(made["image"] - inputs["image"]) == pytest.approx(0.1, rel=0.1)


def test_the_same_generator_gives_the_same_samples() -> None:
    every = augmentation("crop", "flip", "cutout", "mixup", "noise")
    first, second = (every.apply(pictures(), np.random.default_rng(5))[0]["image"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_does_not_fit_the_samples_is_refused() -> None:
    with pytest.raises(
        TrainingInputError, match=r"augment has flip, which is for pictures, and samples are image \[64, 21\]"
    ):
        augmentation("flip", shape=(64, 21))
    with pytest.raises(TrainingInputError, match="augment has noise, and no input holds floats"):
        Augmentation(("noise",), shapes={"ids": (12,)}, dtypes={"ids": "int64"})
    with pytest.raises(TrainingInputError, match="crop12, which would move pictures of 12 pixels out of sight"):
        augmentation("crop12", shape=(1, 12, 16))
