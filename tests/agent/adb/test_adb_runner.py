from __future__ import annotations

import asyncio
import contextlib

import psutil
import pytest

from steelyard_agent.adb.runner import PhoneRunner
from steelyard_agent.worker.block import (
    KIND_ENERGY,
    KIND_EVALUATION,
    KIND_LATENCY,
    KIND_NUMERIC,
    KIND_OPERATORS,
    KIND_PROBE,
    KIND_ROOFLINE,
    KIND_SIGNATURE,
    Block,
)
from steelyard_agent.worker.codec import encode_runtime_options
from steelyard_agent.worker.contract import ProviderSpec, RuntimeOptions
from steelyard_agent.worker.failure import BlockStatus
from tests.support.fake_phone import program, recording
from tests.support.processes import wait_until


def block_of(model, *wanted, kind=KIND_LATENCY, **more):
    options = RuntimeOptions(providers=tuple(ProviderSpec(name=name) for name in wanted))
    made = {"runtime": encode_runtime_options(options), "runtime_name": "benchmark_model", **more}
    return Block(kind=kind, model_path=str(model), **made)


def run(runner, block, tmp_path, timeout_s=20.0):
    return asyncio.run(runner(block, timeout_s=timeout_s, memory_limit_bytes=None, work_dir=tmp_path))


@pytest.fixture
def runner_of(phone, tmp_path):
    def make(output, then="", **more):
        return PhoneRunner(phone.adb, program(tmp_path, output, then=then), **more)

    return make


def running_there(name):
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any(word.startswith(name) for word in words) and any(word.startswith("--graph") for word in words):
                found.append(process)
    return found


def test_a_block_runs_on_the_phone_and_comes_back_as_a_result(runner_of, model, tmp_path):
    outcome = run(runner_of(recording("xnnpack_complete")), block_of(model), tmp_path)
    assert outcome.status is BlockStatus.OK, outcome.message
    assert outcome.result.latency_ns == (576_856_000,)
    assert outcome.result.runtime_version.startswith("sha256:")
    assert outcome.result.placements == {"XNNPACK": 49}
    assert outcome.started_at_unix_ns > 0
    assert outcome.wall_ns > 0


def test_both_files_travel_once_for_many_blocks(phones, runner_of, model, tmp_path):
    runner = runner_of(recording("xnnpack_complete"))
    for _ in range(3):
        assert run(runner, block_of(model), tmp_path).status is BlockStatus.OK
    assert len(phones.calls("push")) == 2


def test_a_program_that_prints_megabytes_loses_neither_its_delegates_nor_its_summary(runner_of, model, tmp_path):
    head, mark, tail = recording("gpu_complete").partition("Initialized session")
    noise = f"WARNING: {'x' * 4000}\n" * 800
    outcome = run(runner_of(f"{head}{noise}{mark}{tail}"), block_of(model, "GPU"), tmp_path)
    assert outcome.status is BlockStatus.OK, outcome.message
    assert outcome.result.providers == ("GPU",)


def test_the_flags_of_the_plan_reach_the_program(phones, runner_of, model, tmp_path):
    run(runner_of(recording("gpu_complete")), block_of(model, "GPU", core_ids=(0,)), tmp_path)
    script = next(call[-1] for call in phones.calls("shell") if "--graph=" in call[-1])
    assert "taskset 1 " in script
    assert "--use_gpu=true" in script


@pytest.mark.parametrize(
    ("name", "then", "wanted", "status", "reason"),
    [
        ("nnapi_not_applied", "", "NNAPI", BlockStatus.FALLBACK, "provider_fallback"),
        ("gpu_missing", "", "GPU", BlockStatus.UNSUPPORTED, "provider_unavailable"),
        ("gpu_failure", "exit 1", "GPU", BlockStatus.UNSUPPORTED, "provider_unavailable"),
        ("cannot_prepare", "exit 1", "", BlockStatus.UNSUPPORTED, "cannot_prepare"),
        ("litert_complete", "", "CPU", BlockStatus.FALLBACK, "provider_fallback"),
        ("litert_complete", "", "GPU", BlockStatus.UNSUPPORTED, "provider_unavailable"),
        ("cannot_link", "kill -ABRT $$", "", BlockStatus.RUNTIME_MISSING, "cannot_link"),
        ("crash", "kill -SEGV $$", "GPU", BlockStatus.CRASHED, "sigsegv"),
        ("crash", "kill -KILL $$", "GPU", BlockStatus.KILLED_UNKNOWN, "killed"),
        ("crash", "exit 3", "GPU", BlockStatus.INTERNAL, "no_answer"),
    ],
)
def test_every_end_has_a_status_of_its_own(runner_of, model, tmp_path, name, then, wanted, status, reason):
    providers = [wanted] if wanted else []
    outcome = run(runner_of(recording(name), then), block_of(model, *providers), tmp_path)
    assert (outcome.status, outcome.reason) == (status, reason)
    assert outcome.message


def test_a_kill_with_evidence_is_the_systems(runner_of, model, tmp_path):
    counts = iter((4, 4, 4, 5))
    runner = runner_of(
        recording("crash"),
        "kill -KILL $$",
        os_killer=lambda: "Android's low-memory killer",
        oom_kill_count=counts.__next__,
    )
    outcome = run(runner, block_of(model), tmp_path)
    assert outcome.status is BlockStatus.KILLED_BY_OS
    assert "low-memory killer" in outcome.message
    assert run(runner, block_of(model), tmp_path).status is BlockStatus.OUT_OF_MEMORY


def test_a_program_that_hangs_is_ended_on_the_phone(runner_of, model, tmp_path, phone):
    outcome = run(runner_of("INFO: STARTING!\n", "while :; do sleep 0.1; done"), block_of(model), tmp_path, 1.0)
    assert (outcome.status, outcome.reason) == (BlockStatus.TIMEOUT, "block_timeout")
    assert outcome.notes == ()
    assert running_there(str(phone.root / "data/local/tmp/steelyard")) == []


def test_a_program_that_does_not_hear_term_is_killed(runner_of, model, tmp_path, phone):
    runner = runner_of("INFO: STARTING!\n", "trap '' TERM; while :; do sleep 0.1; done")
    assert run(runner, block_of(model), tmp_path, 1.0).status is BlockStatus.TIMEOUT
    assert running_there(str(phone.root / "data/local/tmp/steelyard")) == []


async def test_a_cancelled_block_leaves_nothing_on_the_phone(runner_of, model, tmp_path, phone):
    runner = runner_of("INFO: STARTING!\n", "while :; do sleep 0.1; done")
    stored = str(phone.root / "data/local/tmp/steelyard")
    task = asyncio.ensure_future(runner(block_of(model), timeout_s=60.0, memory_limit_bytes=None, work_dir=tmp_path))
    await asyncio.to_thread(wait_until, lambda: running_there(stored))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running_there(stored) == []


async def test_a_cable_that_breaks_leaves_a_program_that_the_next_block_ends(phones, phone, model, tmp_path):
    hanging = program(tmp_path, "INFO: STARTING!\n", then="while :; do sleep 0.1; done", name="hanging")
    whole = program(tmp_path, recording("xnnpack_complete"))
    stored = str(phone.root / "data/local/tmp/steelyard")
    more = {"timeout_s": 60.0, "memory_limit_bytes": None, "work_dir": tmp_path}
    task = asyncio.ensure_future(PhoneRunner(phone.adb, hanging)(block_of(model), **more))
    await asyncio.to_thread(wait_until, lambda: running_there(stored))
    phones.unplug()
    (client,) = (one for one in psutil.Process().children() if "--graph=" in " ".join(one.cmdline()))
    client.kill()
    outcome = await task
    assert (outcome.status, outcome.reason) == (BlockStatus.INTERNAL, "phone_gone")
    # The phone goes on by itself; a process that just begins another program shows no words for a moment.
    strays: list[psutil.Process] = []
    await asyncio.to_thread(wait_until, lambda: strays.extend(running_there(stored)) or strays)
    try:
        phones.plug_in_again()
        outcome = await PhoneRunner(phone.adb, whole)(block_of(model), **more)
        assert outcome.status is BlockStatus.OK, outcome.message
        assert running_there(stored) == []
    finally:
        for stray in strays:
            with contextlib.suppress(psutil.NoSuchProcess):
                stray.kill()


def test_a_program_that_the_phone_may_not_run_is_sent_again(phones, phone, runner_of, model, tmp_path):
    runner = runner_of(recording("xnnpack_complete"))
    run(runner, block_of(model), tmp_path)
    for name in phone.stored:
        (phone.root / "data/local/tmp/steelyard" / name).chmod(0o644)
    assert run(runner, block_of(model), tmp_path).status is BlockStatus.OK
    assert len(phones.calls("push")) == 3, "the program twice, the model once"


def test_a_phone_that_is_gone_is_no_bug_of_the_model(phones, runner_of, model, tmp_path):
    runner = runner_of(recording("xnnpack_complete"))
    phones.unplug()
    outcome = run(runner, block_of(model), tmp_path)
    assert (outcome.status, outcome.reason) == (BlockStatus.INTERNAL, "phone_gone")


def test_a_full_phone_is_a_full_disk(phone, runner_of, model, tmp_path):
    phone.write("/full", "always")
    outcome = run(runner_of(recording("xnnpack_complete")), block_of(model), tmp_path)
    assert (outcome.status, outcome.reason) == (BlockStatus.DISK_FULL, "phone_full")


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        (KIND_EVALUATION, {"data_path": "d", "output_path": "o"}, "accuracy_not_measured"),
        (KIND_ENERGY, {}, "energy_not_measured"),
        (KIND_NUMERIC, {"data_path": "d", "output_path": "o"}, "outputs_not_told"),
        (KIND_OPERATORS, {}, "operators_not_profiled"),
        (KIND_ROOFLINE, {"runtime_name": ""}, "device_not_probed"),
        (KIND_SIGNATURE, {}, "block_not_offered"),
    ],
)
def test_what_the_program_cannot_do_is_unsupported_with_a_reason(runner_of, model, tmp_path, kind, more, reason):
    outcome = run(runner_of(""), block_of(model, kind=kind, **more), tmp_path)
    assert (outcome.status, outcome.reason) == (BlockStatus.UNSUPPORTED, reason)


@pytest.mark.parametrize(
    ("more", "status", "reason"),
    [
        ({"runtime_name": "onnxruntime"}, BlockStatus.RUNTIME_MISSING, "unknown_runtime"),
        ({"runtime": {"spinning": 3}}, BlockStatus.USER_ERROR, "runtime_options"),
    ],
)
def test_plans_for_other_runtimes_are_refused(runner_of, model, tmp_path, more, status, reason):
    outcome = run(runner_of(""), block_of(model, **more), tmp_path)
    assert (outcome.status, outcome.reason) == (status, reason)


def test_a_file_of_another_format_does_not_travel(phones, runner_of, tmp_path):
    other = tmp_path / "model.onnx"
    other.write_bytes(b"\x08\x07onnx....")
    outcome = run(runner_of(""), block_of(other), tmp_path)
    assert outcome.status is BlockStatus.INVALID_MODEL
    assert not (phones.home / "calls.log").exists()


def test_a_probe_sees_that_the_program_starts(runner_of, tmp_path):
    probe = Block(kind=KIND_PROBE, runtime_name="benchmark_model")
    outcome = run(runner_of("usage: benchmark_model\n", "exit 1"), probe, tmp_path)
    assert [one["name"] for one in outcome.result.provider_probes] == ["XNNPACK", "CPU", "GPU", "NNAPI"]
    outcome = run(runner_of(recording("cannot_link"), "exit 1"), probe, tmp_path)
    assert outcome.status is BlockStatus.RUNTIME_MISSING
