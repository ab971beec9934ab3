"""Log lines for machines: one JSON object each, with the job and the device that they are about."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.control.controller import Controller
from steelyard.log_context import DEVICE_ID, JOB_ID, JsonFormatter, make_formatter
from steelyard.settings import Settings
from tests.controller.fleet.scripted_agent import ScriptedAgent


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter("json"))
    logger = logging.getLogger("steelyard")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


def read(lines: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


async def test_each_task_logs_its_own_job_and_device(lines: io.StringIO) -> None:
    log = logging.getLogger("steelyard.test")

    async def work(job_id: str) -> None:
        JOB_ID.set(job_id)
        DEVICE_ID.set(f"device of {job_id}")
        await asyncio.sleep(0)
        log.info("round %d of %s", 3, job_id)

    await asyncio.gather(work("job-1"), work("job-2"))
    log.info("neither")
    told = read(lines)
    assert [(one.get("job_id"), one.get("device_id"), one["message"]) for one in told] == [
        ("job-1", "device of job-1", "round 3 of job-1"),
        ("job-2", "device of job-2", "round 3 of job-2"),
        (None, None, "neither"),
    ]
    assert {one["level"] for one in told} == {"info"}
    assert datetime.fromisoformat(told[0]["at"]).tzinfo is not None


def test_an_exception_is_in_the_same_line(lines: io.StringIO) -> None:
    try:
        int("nonsense")
    except ValueError:
        logging.getLogger("steelyard.test").exception("it broke")
    (told,) = read(lines)
    assert told["error"].splitlines()[-1].startswith("ValueError: invalid literal")
    assert told["level"] == "error"


@given(st.text())
def test_no_message_breaks_the_line(text: str) -> None:
    record = logging.LogRecord("steelyard", logging.INFO, __file__, 1, "%s", (text,), None)
    line = JsonFormatter().format(record)
    assert json.loads(line)["message"] == text
    assert len(line.splitlines()) == 1


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'xml' is neither text nor json"):
        make_formatter("xml")


async def test_what_a_session_logs_names_its_device(
    lines: io.StringIO, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = Settings(state_directory=tmp_path_factory.mktemp("log") / "state", agent_listen="127.0.0.1:0")
    controller = Controller(settings)
    await controller.start()
    async with ScriptedAgent(controller.agent_address, device_id="dev-7") as agent:
        await agent.say_hello()
        await agent.hang_up()
    await controller.stop()
    told = [one for one in read(lines) if one["message"].startswith("device pi5")]
    assert [one["device_id"] for one in told] == ["dev-7", "dev-7"]


def test_what_a_device_says_of_itself_begins_no_line_and_steers_no_terminal() -> None:
    said = "0.1\n2026-11-28 12:00:00 INFO steelyard: all is well\r\x1b[2J\x9b2J\u2028"
    record = logging.LogRecord(
        "steelyard", logging.INFO, __file__, 1, "device %s connected (agent %s)", ("pi", said), None
    )
    (line,) = make_formatter("text").format(record).splitlines()
    assert line.endswith(r"(agent 0.1\n2026-11-28 12:00:00 INFO steelyard: all is well\r\x1b[2J\x9b2J\u2028)")
