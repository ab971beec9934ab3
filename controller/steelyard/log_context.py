"""Which job and which device a log record is about: known from the task that logs, not from each call."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import datetime, timezone

# "" outside of a job, of a session. Set at the top of a task; whatever that task calls or starts has it, too.
JOB_ID: ContextVar[str] = ContextVar("steelyard_log_job_id", default="")
DEVICE_ID: ContextVar[str] = ContextVar("steelyard_log_device_id", default="")

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

# Words of others stand in messages: an id, a reason, a version. What begins a line or steers a terminal is written out.
_STEERING = {code: ascii(chr(code))[1:-1] for code in (*range(32), *range(0x7F, 0xA0), 0x2028, 0x2029)}


class PlainLines(logging.Formatter):
    """One line a message, whatever is in it; a traceback follows on lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line, without its end."""
        record.message = record.message.translate(_STEERING)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: at (UTC), level, logger, message; job_id, device_id and error where there are."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        told: dict[str, str] = {
            "at": datetime.fromtimestamp(record.created, tz=timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        # By the handler, in the thread and the task that logs.
        for name, variable in (("job_id", JOB_ID), ("device_id", DEVICE_ID)):
            if value := variable.get():
                told[name] = value
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=True)


def make_formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of "text" or "json".

    Raises:
        ValueError: for another format.
    """
    if log_format not in {"text", "json"}:
        raise ValueError(f"log format {log_format!r} is neither text nor json")
    return JsonFormatter() if log_format == "json" else PlainLines(TEXT_FORMAT)
