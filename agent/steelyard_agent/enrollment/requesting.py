"""Asks a child process for a key and a request, so that this process stays small."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.within import within

# Python, cryptography and a key on a slow card, cold.
_TIMEOUT_S = 120.0


async def make_request(key: Path) -> str:
    """Return a PKCS#10 request (PEM) for the key at ``key``, which is made where it is missing.

    Raises:
        EnrollmentError: ``key_unusable``: the sentence says what is missing.
    """
    words = (sys.executable, "-m", "steelyard_agent.enrollment.key", str(key))
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, complaint = await within(process.communicate(), _TIMEOUT_S)
    except asyncio.TimeoutError:
        raise EnrollmentError(
            "key_unusable", f"making a key took longer than {_TIMEOUT_S:g} s; try again when the device is idle"
        ) from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        raise EnrollmentError("key_unusable", lines[-1] if lines else f"making a key ended with {process.returncode}")
    return output.decode("ascii")
