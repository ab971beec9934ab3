"""Readers of files and texts: whatever they are given, they read it or refuse it in a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzzing.file_targets import FILE_TARGETS, FileTarget, feed
from tests.fuzzing.night_targets import NIGHT_TARGETS

EXAMPLE_COUNT = 40
TARGETS = (*FILE_TARGETS, *NIGHT_TARGETS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_reader_reads_or_refuses_whatever_it_is_given(target: FileTarget, tmp_path: Path) -> None:
    # The same examples in each run: `make fuzz` looks for new ones.
    @settings(
        max_examples=EXAMPLE_COUNT,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(target.values())
    def read(value: Any) -> None:
        feed(target, value, tmp_path)

    read()


@pytest.mark.parametrize("target", [one for one in TARGETS if one.whole is not None], ids=lambda one: one.name)
def test_what_is_damaged_was_whole_before(target: FileTarget, tmp_path: Path) -> None:
    assert target.whole is not None
    target.feed(target.whole(), tmp_path)
    assert target.name not in {path.name for path in tmp_path.iterdir()}
