"""Each controller sees the rounds of its own jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.state.outbox import Outbox, RoundKey, decode_entry
from steelyard_agent.state.outbox_share import OutboxShare

KEY = RoundKey(job_id="j", attempt=1, pass_kind=2, round_index=0)
OTHER = RoundKey(job_id="k", attempt=1, pass_kind=2, round_index=0)


def share(outbox: Outbox, controller_id: str, *, takes_unnamed: bool = False) -> OutboxShare:
    return OutboxShare(outbox, controller_id=controller_id, takes_unnamed=takes_unnamed)


def test_a_round_is_shown_to_the_controller_whose_job_made_it_also_after_a_restart(tmp_path: Path) -> None:
    share(Outbox(tmp_path), "a").put(KEY, epoch=1, result=b"r", outputs={})
    again = Outbox(tmp_path)
    assert [entry.key for entry in share(again, "a").entries()] == [KEY]
    assert share(again, "b").entries() == ()
    assert (KEY in share(again, "a"), KEY in share(again, "b")) == (True, False)


def test_nobody_acknowledges_the_rounds_of_another_controller(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    entry = share(outbox, "a").put(KEY, epoch=1, result=b"r", outputs={})
    share(outbox, "b").remove(KEY)
    assert share(outbox, "a").result_path(entry).read_bytes() == b"r"
    share(outbox, "a").remove(KEY)
    assert outbox.entries() == ()


@pytest.mark.parametrize("takes_unnamed", [False, True])
def test_rounds_that_name_no_controller_go_to_the_only_one(tmp_path: Path, takes_unnamed: bool) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(KEY, epoch=1, result=b"r", outputs={})
    outbox.put(OTHER, epoch=1, result=b"r", outputs={}, controller_id="b")
    seen = [entry.key for entry in share(outbox, "a", takes_unnamed=takes_unnamed).entries()]
    assert seen == ([KEY] if takes_unnamed else [])


def test_an_entry_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    entry = Outbox(tmp_path).put(KEY, epoch=1, result=b"r", outputs={})
    digest = entry.result.digest
    old = (
        f'{{"key": {{"job_id": "j", "attempt": 1, "pass_kind": 2, "round_index": 0}}, "epoch": 1, '
        f'"result": {{"digest": "{digest}", "size_bytes": 1}}, "outputs": []}}'
    )
    assert decode_entry(old.encode()) == entry
