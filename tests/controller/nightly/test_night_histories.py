"""What series are held against: other sentinels and the nights of open alerts are left out."""

from __future__ import annotations

import numpy as np

from steelyard.nightly.histories import (
    SentinelNights,
    freed_of_other_sentinels,
    without_bad_nights,
)
from steelyard.series.device_judging import SentinelNight
from steelyard.series.history import History, history_of
from steelyard.series.series_key import SeriesKey

KEY = SeriesKey(suite="shelf", model="m", device_id="d", runtime="cpu", metric="p50")


def history(count: int, *, accepted: int | None = None) -> History:
    nights = range(1, count + 1)
    values = [float(night) for night in nights]
    return history_of(KEY, list(nights), values, values, accepted_night=accepted)


def test_sentinels_of_one_frozen_runtime_stay() -> None:
    epochs = dict.fromkeys(range(1, 7), "frozen 1.20")
    assert freed_of_other_sentinels(history(6), epochs, 6).sentinels.tolist() == [1, 2, 3, 4, 5, 6]


def test_across_an_upgrade_of_the_sentinels_runtime_the_plain_values_are_compared() -> None:
    epochs = {**dict.fromkeys(range(1, 6), "frozen 1.20"), 6: "frozen 1.21"}
    assert np.isnan(freed_of_other_sentinels(history(6), epochs, 6).sentinels).all()


def test_a_change_that_was_accepted_begins_anew_also_for_the_sentinel() -> None:
    epochs = {**dict.fromkeys(range(1, 4), "frozen 1.20"), **dict.fromkeys(range(4, 7), "frozen 1.21")}
    assert not np.isnan(freed_of_other_sentinels(history(6, accepted=4), epochs, 6).sentinels).any()


def test_a_night_without_a_sentinel_compares_the_plain_values() -> None:
    epochs = dict.fromkeys(range(1, 6), "frozen 1.20")
    assert np.isnan(freed_of_other_sentinels(history(6), epochs, 6).sentinels).all()


def test_the_nights_of_an_open_alert_are_no_baseline() -> None:
    left = without_bad_nights(history(8, accepted=2), 5, 8)
    assert left.nights.tolist() == [1, 2, 3, 4, 8]
    assert left.accepted_index == 1


def test_texts_follow_their_nights() -> None:
    texts = history_of(KEY, [1, 2, 3], [None] * 3, texts=["a", "b", "c"])
    assert without_bad_nights(texts, 2, 3).texts == ("a", "c")


def test_the_sentinel_is_compared_with_nights_of_its_own_file_and_runtime() -> None:
    night = SentinelNight(start_ns=1.0, end_ns=1.0)
    nights = SentinelNights(nights={1: night, 2: night, 3: night}, epochs={1: "a", 2: "b", 3: "b"})
    assert len(nights.past(3)) == 1
    assert nights.past(3, since=3) == []
    assert nights.tonight(9).level_ns is None
