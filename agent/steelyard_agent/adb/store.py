"""Files that the phone keeps for us, named by the SHA-256 of their bytes, so that each travels once."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Collection
from pathlib import Path

from steelyard_agent.adb.adb import Adb, AdbError
from steelyard_agent.state.blob_cache import digest_of

# Where the adb shell may write and run programs on every Android.
PHONE_FOLDER = "/data/local/tmp/steelyard"


class PhoneStore:
    """Puts files on one phone. Blocks: call it in a thread."""

    def __init__(self, adb: Adb) -> None:
        self._adb = adb
        # Hashed once by the phone since this agent started; afterwards a look at the size is enough.
        self._verified: set[str] = set()
        # The push of a job that was cancelled goes on in its thread: the next job's waits for it, and finds the file.
        self._turn = threading.Lock()

    def put(self, local: Path, *, executable: bool = False, keep: Collection[str] = ()) -> str:
        """Return the path on the phone of a file with these bytes; it is sent when it is not there.

        When the phone is full, files that earlier jobs left are removed, but for those named in ``keep``.

        Raises:
            AdbError: The phone is gone or full, or what arrived there is not what was sent.
        """
        digest = digest_of(local)
        with self._turn:
            return self._put(local, digest, executable=executable, keep=keep)

    def _put(self, local: Path, digest: str, *, executable: bool, keep: Collection[str]) -> str:
        remote = f"{PHONE_FOLDER}/{digest}"
        if self._is_there(local, digest, remote, executable=executable):
            return remote
        partial = f"{remote}.partial"
        self._do(f"mkdir -p {PHONE_FOLDER}")
        try:
            self._adb.push(local, partial)
        except AdbError as error:
            if error.reason != "phone_full":
                raise
            self._make_room({digest, *(name.rpartition("/")[2] for name in keep)})
            self._adb.push(local, partial)
        self._verify(local, digest, partial)
        self._do(f"chmod {'755' if executable else '644'} {partial} && mv -f {partial} {remote}")
        self._verified.add(digest)
        return remote

    def _is_there(self, local: Path, digest: str, remote: str, *, executable: bool) -> bool:
        may_run = f"test -x {remote} && " if executable else ""
        size = self._adb.shell(f"{may_run}wc -c < {remote}").output.strip()
        if size != str(local.stat().st_size):
            self._verified.discard(digest)
            return False
        if digest not in self._verified and self._digest(remote) not in (digest, None):
            return False
        self._verified.add(digest)
        return True

    def _verify(self, local: Path, digest: str, remote: str) -> None:
        size = self._adb.shell(f"wc -c < {remote}").output.strip()
        found = self._digest(remote)
        # A phone before Android 8 has no sha256sum; then the size has to do.
        if size != str(local.stat().st_size) or found not in (digest, None):
            self._adb.shell(f"rm -f {remote}")
            raise AdbError(
                "damaged_on_phone",
                f"{local.name} arrived there with other bytes; change the cable and try again",
            )

    def _digest(self, remote: str) -> str | None:
        match = re.match(r"\\?([0-9a-f]{64})\b", self._adb.shell(f"sha256sum {remote}", timeout_s=120.0).output)
        return match.group(1) if match else None

    def _make_room(self, keep: set[str]) -> None:
        names = self._adb.shell(f"ls {PHONE_FOLDER}").output.split()
        old = [name for name in names if re.fullmatch(r"[0-9a-f]{64}(\.partial)?", name) and name not in keep]
        if old:
            self._do(f"cd {PHONE_FOLDER} && rm -f {' '.join(old)}")

    def _do(self, script: str) -> None:
        answer = self._adb.shell(script)
        if answer.status != 0:
            full = "no space" in answer.output.lower()
            raise AdbError(
                "phone_full" if full else "phone_refuses",
                f"the phone {shlex.quote(self._adb.serial)} cannot keep files in {PHONE_FOLDER}: "
                f"{answer.output.strip()[:200] or f'status {answer.status}'}",
            )
