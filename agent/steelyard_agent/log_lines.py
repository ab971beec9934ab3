"""Log records as JSON lines, with the job and the device that they are about.

The controller writes the same lines by ``steelyard/log_context.py``: the two programs share no code but the protocol.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import datetime, timezone

# "" outside of a job, and before this device's id was read. A task that is started later has what its starter had.
JOB_ID: ContextVar[str] = ContextVar("steelyard_agent_log_job_id", default="")
DEVICE_ID: ContextVar[str] = ContextVar("steelyard_agent_log_device_id", default="")

TEXT_FORMAT = "%(asctime)s %(levelname)s %(message)s"

# Words of others stand in messages: an id, a reason, a version. What begins a line or steers a terminal is written out.
_STEERING = {code: ascii(chr(code))[1:-1] for code in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029)}


class PlainLines(logging.Formatter):
    """One line a message, whatever is in it; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line, without its end."""
        record.message = record.message.translate(_STEERING)
        return super().formatMessage(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: at (UTC), level, logger, message; job_id, device_id and error where there are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        told = {
            "at": datetime.fromtimestamp(record.created, tz=timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if job_id := JOB_ID.get():
            told["job_id"] = job_id
        if device_id := DEVICE_ID.get():
            told["device_id"] = device_id
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told)


def make_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of "text" or "json".

    Raises:
        ValueError: for another format.
    """
    if log_format not in {"text", "json"}:
        raise ValueError(f"log format {log_format!r} is neither text nor json")
    return JsonLines() if log_format == "json" else PlainLines(TEXT_FORMAT)
