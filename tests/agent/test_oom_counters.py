"""The kernel's counters of kills for memory, of the system and of our cgroup, and what they prove."""

from __future__ import annotations

from pathlib import Path

import pytest

from steelyard_agent.oom_counters import OomCounters, read_oom_counters
from steelyard_agent.worker.ending import Answer, BlockOutcome, Evidence, explain_end
from steelyard_agent.worker.failure import BlockStatus

V1 = "9:name=systemd:/\n4:memory:/docker/abc\n1:cpu,cpuacct:/\n"
V2 = "0::/user.slice/agent.service\n"


def root_with(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("cgroup", "file", "text"),
    [
        (V2, "sys/fs/cgroup/user.slice/agent.service/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n"),
        # In a container the group's folder is the root of what is mounted.
        ("0::/\n", "sys/fs/cgroup/memory.events", "oom_kill 2\n"),
        (V1, "sys/fs/cgroup/memory/docker/abc/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        (V1, "sys/fs/cgroup/memory/memory.oom_control", "oom_kill 2\n"),
        # Both versions at once, as systemd mounts them.
        (V1 + "0::/x\n", "sys/fs/cgroup/unified/x/memory.events", "oom_kill 2\n"),
    ],
)
def test_our_groups_counter_is_found_where_it_lies(tmp_path: Path, cgroup: str, file: str, text: str) -> None:
    root = root_with(tmp_path, {"proc/self/cgroup": cgroup, "proc/vmstat": "nr_free 1\noom_kill 5\n", file: text})
    assert read_oom_counters(root) == OomCounters(system=5, group=2)


def test_a_system_that_tells_nothing_is_not_a_zero(tmp_path: Path) -> None:
    assert read_oom_counters(tmp_path) == OomCounters(system=None, group=None)


def test_an_old_kernel_whose_group_has_no_counter_is_not_a_zero(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": V1, "sys/fs/cgroup/memory/docker/abc/memory.oom_control": "under_oom 0\n"}
    assert read_oom_counters(root_with(tmp_path, files)).group is None


def test_this_system_can_be_read() -> None:
    assert read_oom_counters().since(read_oom_counters()).system in (None, 0)


def test_counters_rise_by_their_difference_where_both_are_known() -> None:
    before, after = OomCounters(system=3, group=None), OomCounters(system=5, group=1)
    assert after.since(before) == OomCounters(system=2, group=None)


def killed(**evidence: object) -> BlockOutcome:
    return explain_end(Answer(), Evidence(return_code=-9, **evidence))


def test_a_kill_within_our_group_is_out_of_memory_with_its_evidence() -> None:
    outcome = killed(oom_kill_count=1, group_oom_kill_count=1, least_available_bytes=4096)
    assert (outcome.status, outcome.reason) == (BlockStatus.OUT_OF_MEMORY, "oom_killed")
    assert outcome.notes == (
        "oom_kill of the agent's cgroup rose by 1 while the worker ran",
        "the device had 4096 bytes available at the least",
    )


def test_where_only_the_system_tells_its_counter_is_the_evidence() -> None:
    outcome = killed(oom_kill_count=2)
    assert outcome.status is BlockStatus.OUT_OF_MEMORY
    assert outcome.notes == ("oom_kill in /proc/vmstat rose by 2 while the worker ran",)


def test_a_neighbours_kill_proves_nothing_of_ours() -> None:
    outcome = killed(oom_kill_count=1, group_oom_kill_count=0)
    assert outcome.status is BlockStatus.KILLED_UNKNOWN
    assert "for memory meanwhile: 1, none of the agent's cgroup" in outcome.notes[0]


def test_a_kill_without_any_evidence_is_unknown() -> None:
    assert killed(oom_kill_count=0, group_oom_kill_count=0).status is BlockStatus.KILLED_UNKNOWN
    assert "for memory meanwhile: unknown" in killed().notes[0]


def test_our_own_limit_and_a_failed_allocation_carry_what_was_left() -> None:
    limit = explain_end(
        Answer(), Evidence(return_code=-9, over_limit_bytes=500, limit_bytes=400, least_available_bytes=7)
    )
    assert (limit.status, limit.reason) == (BlockStatus.OUT_OF_MEMORY, "memory_limit")
    abort = explain_end(
        Answer(),
        Evidence(return_code=-6, stderr_tail="terminate called: std::bad_alloc\n", least_available_bytes=7),
    )
    assert (abort.status, abort.reason) == (BlockStatus.OUT_OF_MEMORY, "allocation_failed")
    for outcome in (limit, abort):
        assert "the device had 7 bytes available at the least" in outcome.notes
