"""What Prometheus is told: names with units, bounded labels, the dashboard, and the port itself."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steelyard.control.controller import Controller
from steelyard.observe.figures import DeviceFigures, Figures, hottest_cel, take_figures
from steelyard.observe.server import metrics_server
from steelyard.settings import Settings
from steelyard.store.errors import StoreError
from steelyard.store.store import Store
from steelyard_protocol.v1 import common_pb2, session_pb2
from tests.controller.fleet.scripted_agent import ScriptedAgent
from tests.controller.store.messages import RECORDED, artifact, job, round_key

pytest.importorskip("prometheus_client")

ROOT = Path(__file__).parents[3]
_UNITS = ("_bytes", "_seconds", "_celsius", "_total", "_info")
_COUNTS = {
    *("steelyard_up", "steelyard_jobs_unfinished", "steelyard_artifacts", "steelyard_store_waiting_calls"),
    "steelyard_device_under_voltage",
    *("steelyard_devices_known", "steelyard_devices_connected", "steelyard_devices_unnamed", "steelyard_device_leased"),
}


def figures() -> Figures:
    device = DeviceFigures(
        name="pi5",
        last_seen_s=1.5e9,
        free_disk_bytes=7,
        running=True,
        temperature_cel=51.5,
        clock_offset_s=-7200.0,
        clock_uncertainty_s=0.004,
        under_voltage=True,
        boot_count=3,
        restart_count=1,
    )
    silent = DeviceFigures(
        name="pi4",
        last_seen_s=1.5e9,
        free_disk_bytes=0,
        running=False,
        temperature_cel=None,
        clock_offset_s=None,
        clock_uncertainty_s=None,
        under_voltage=None,
        boot_count=0,
        restart_count=0,
    )
    return Figures(
        version="1.2",
        unfinished_jobs={("measurement", "running"): 2},
        finished_jobs={("compression", "recorded"): 3},
        known_device_count=4,
        connected_devices={"idle": 1, "staging": 0, "running": 1, "other": 0},
        devices=(device, silent),
        unnamed_device_count=0,
        recorded_round_count=12,
        artifact_count=5,
        database_bytes=4096,
        state_free_bytes=10**9,
        waiting_store_calls=0,
    )


def exposed(take: object = figures) -> str:
    from prometheus_client import generate_latest

    from steelyard.observe.prometheus import make_registry

    return generate_latest(make_registry(take)).decode()  # type: ignore[arg-type]


def test_figures_are_told_with_their_labels() -> None:
    text = exposed()
    for line in (
        "steelyard_up 1.0",
        'steelyard_controller_info{version="1.2"} 1.0',
        'steelyard_jobs_unfinished{kind="measurement",state="running"} 2.0',
        'steelyard_jobs_finished_total{kind="compression",state="recorded"} 3.0',
        "steelyard_rounds_recorded_total 12.0",
        'steelyard_devices_connected{activity="idle"} 1.0',
        'steelyard_device_temperature_celsius{device="pi5"} 51.5',
        'steelyard_device_leased{device="pi4"} 0.0',
        'steelyard_device_clock_offset_seconds{device="pi5"} -7200.0',
        'steelyard_device_clock_uncertainty_seconds{device="pi5"} 0.004',
        'steelyard_device_under_voltage{device="pi5"} 1.0',
        'steelyard_device_boots_total{device="pi5"} 3.0',
        'steelyard_device_agent_restarts_total{device="pi5"} 1.0',
    ):
        assert line in text.splitlines()
    # What a device did not say is no zero.
    assert 'steelyard_device_free_disk_bytes{device="pi4"}' not in text
    for name in ("temperature_celsius", "clock_offset_seconds", "clock_uncertainty_seconds", "under_voltage"):
        assert f'steelyard_device_{name}{{device="pi4"}}' not in text


def test_names_end_with_their_unit_or_are_plain_counts() -> None:
    names = set(re.findall(r"^# TYPE (steelyard_\w+) ", exposed(), re.MULTILINE))
    assert {name for name in names if not name.endswith(_UNITS)} == _COUNTS


def test_a_controller_that_does_not_answer_is_down_and_says_nothing_else() -> None:
    def take() -> Figures:
        raise StoreError("store_closed", "the store is not open")

    text = exposed(take)
    assert "steelyard_up 0.0" in text.splitlines()
    assert "steelyard_artifacts" not in text


def test_the_dashboard_asks_for_metrics_that_there_are_and_for_all_of_them() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "steelyard.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    told = set(re.findall(r"^# TYPE (steelyard_\w+) ", exposed(), re.MULTILINE))
    assert set(re.findall(r"steelyard_\w+", asked)) == told
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_the_guide_lists_every_metric() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    told = set(re.findall(r"^# TYPE (steelyard_\w+) ", exposed(), re.MULTILINE))
    assert told <= set(re.findall(r"steelyard_\w+", page))


def test_the_hottest_sensor_counts_and_what_has_no_value_does_not() -> None:
    readings = [
        common_pb2.Reading(name="cpu_temperature", value=50.0, unit="Cel"),
        common_pb2.Reading(name="gpu_temperature", value=61.0, unit="Cel"),
        common_pb2.Reading(name="board_temperature", unit="Cel", reason="no sensor"),
        common_pb2.Reading(name="power", value=99.0, unit="W"),
    ]
    assert hottest_cel(readings) == 61.0
    assert hottest_cel(readings[2:]) is None


@pytest.fixture
async def controller(tmp_path: Path) -> AsyncIterator[Controller]:
    made = Controller(Settings(state_directory=tmp_path / "state", agent_listen="127.0.0.1:0"))
    await made.start()
    yield made
    await made.stop()


async def test_a_scrape_tells_of_jobs_rounds_and_devices_of_a_real_controller(controller: Controller) -> None:
    await controller.store.call(Store.put_artifact, artifact())
    await controller.store.call(Store.create_job, job(), b"", "request-1")
    key = round_key()
    digest = "0" * 64
    await controller.store.call(Store.record_round, key, segment=0, result_digest=digest, recorded_at_ns=1)
    await controller.store.call(Store.transition, "job-0001", RECORDED, message="done")
    async with ScriptedAgent(controller.agent_address) as agent:
        await agent.say_hello()
        reading = common_pb2.Reading(name="cpu_temperature", value=44.0, unit="Cel")
        await agent.say(heartbeat=session_pb2.Heartbeat(activity="made up", free_disk_bytes=9, readings=[reading]))

        async def heard() -> None:
            while not (await take_figures(controller, "1")).devices[0].free_disk_bytes:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(heard(), 60)
        async with metrics_server(controller, "127.0.0.1", 0) as address:
            text = await asyncio.to_thread(_scrape, address)
    lines = text.splitlines()
    assert 'steelyard_jobs_finished_total{kind="measurement",state="recorded"} 1.0' in lines
    assert "steelyard_rounds_recorded_total 1.0" in lines
    assert "steelyard_artifacts 1.0" in lines
    # A device cannot make up series.
    assert 'steelyard_devices_connected{activity="other"} 1.0' in lines
    assert 'steelyard_device_temperature_celsius{device="pi5"} 44.0' in lines
    assert "process_resident_memory_bytes" in text


def _scrape(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        return str(answer.read().decode())
