"""One screen of what goes on."""

from __future__ import annotations

import datetime as dt
import json

from rich.console import Console

from steelyard.report.top import Scene, render_scene, scene_to_plain
from steelyard_protocol.v1 import common_pb2, control_pb2

NOW = dt.datetime(2026, 11, 28, 12, 0, tzinfo=dt.timezone.utc)


def scene() -> Scene:
    pi = control_pb2.Device(online=True, activity="running", running_job_id="abcdef123456", free_disk_bytes=2 * 10**9)
    pi.description.name = "pi5"
    pi.last_seen.FromDatetime(NOW - dt.timedelta(seconds=5))
    pi.heartbeat_readings.add(name="cpu_temperature", value=51.4, unit="Cel")
    pi.heartbeat_readings.add(name="gpu_temperature", value=63.0, unit="Cel")
    pi.agent_version = "0.1.0"
    away = control_pb2.Device(description=common_pb2.DeviceDescription(name="jetson"))
    running = control_pb2.Job(job_id="abcdef123456", title="resnet", device="pi5", state=control_pb2.JOB_STATE_RUNNING)
    running.created_at.FromDatetime(NOW - dt.timedelta(minutes=3))
    waiting = control_pb2.Job(job_id="bbbbbb000000", title="yolo", device="pi5", state=control_pb2.JOB_STATE_QUEUED)
    ended = control_pb2.Job(job_id="cccccc000000", title="old", state=control_pb2.JOB_STATE_RECORDED)
    event = control_pb2.JobEvent(cursor=9, message="round 4 of 12 on pi5, which takes a while", done=4, total=12)
    return Scene(
        controller_id="0123456789",
        devices=[pi, away],
        jobs=[waiting, running, ended],
        last_events={"abcdef123456": event},
    )


def shown(scene_: Scene, width: int = 80) -> list[str]:
    console = Console(width=width, record=True, file=None, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(render_scene(scene_, now=NOW))
    return captured.get().splitlines()


def test_devices_jobs_and_their_progress_fit_80_columns() -> None:
    lines = shown(scene())
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert lines[0] == "controller 01234567: 1 of 2 devices connected, 1 jobs run, 1 wait"
    assert any(words[:3] == ["pi5", "running", "abcdef12"] and "63" in words for words in map(str.split, lines))
    assert "5 s ago" in text
    assert "33 %" in text
    assert "3 min ago" in text
    assert "cccccc" not in text
    # The oldest first, as they will run.
    assert text.index("resnet") < text.index("yolo")


def test_an_empty_controller_says_so() -> None:
    text = "\n".join(shown(Scene(controller_id="0123456789", devices=[], jobs=[])))
    assert "no device has connected yet" in text
    assert "no job runs or waits" in text


def test_the_scene_is_plain_data_with_the_last_line_of_each_job() -> None:
    plain = json.loads(json.dumps(scene_to_plain(scene())))
    assert [one["job"]["job_id"] for one in plain["jobs"]] == ["abcdef123456", "bbbbbb000000"]
    assert plain["jobs"][0]["last_event"]["done"] == 4
    assert plain["jobs"][1]["last_event"] is None
    assert plain["devices"][0]["heartbeat_readings"][1]["value"] == 63.0
