"""Log lines of the agent for machines: one JSON object each, with its job and device."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest

from steelyard_agent.cli.arguments import build_parser
from steelyard_agent.log_lines import DEVICE_ID, JOB_ID, make_formatter


def logger_to(stream: io.StringIO, log_format: str) -> logging.Logger:
    logger = logging.Logger("steelyard_agent.test")  # noqa: LOG001 - one of the test's own, known to nobody else
    handler = logging.StreamHandler(stream)
    handler.setFormatter(make_formatter(log_format))
    logger.addHandler(handler)
    return logger


async def test_a_task_of_a_job_names_it_and_all_name_the_device() -> None:
    stream = io.StringIO()
    log = logger_to(stream, "json")
    DEVICE_ID.set("dev-1")

    async def job() -> None:
        JOB_ID.set("job-1")
        log.warning("round %d", 4)

    await asyncio.create_task(job())
    log.error("two\nlines")
    first, second = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (first["job_id"], first["device_id"], first["message"]) == ("job-1", "dev-1", "round 4")
    assert "job_id" not in second
    assert (second["device_id"], second["message"], second["level"]) == ("dev-1", "two\nlines", "error")


def test_text_is_what_it_was_and_another_format_is_refused() -> None:
    stream = io.StringIO()
    logger_to(stream, "text").info("hello")
    assert stream.getvalue().endswith(" INFO hello\n")
    with pytest.raises(ValueError, match="'xml' is neither text nor json"):
        make_formatter("xml")


def test_every_command_takes_the_format() -> None:
    assert build_parser().parse_args(["run", "--log-format", "json"]).log_format == "json"
    assert build_parser().parse_args(["doctor"]).log_format == "text"


def test_what_a_controller_says_begins_no_line_and_steers_no_terminal() -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "goodbye: %s", ("late\nINFO all is well\x1b[2J",), None)
    (line,) = make_formatter("text").format(record).splitlines()
    assert line.endswith(r"goodbye: late\nINFO all is well\x1b[2J")
