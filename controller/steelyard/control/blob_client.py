"""Blobs between a client and its controller: verified, and continued where a slow link let a call run out of time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

from steelyard.control.errors_on_wire import called, code_of, raise_from_rpc, reason_of
from steelyard.errors import SteelyardError
from steelyard.fleet.transport import CHUNK_BYTES
from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc

# Of a call. A transfer takes as many as it needs: a model of 100 MB over a poor link takes minutes.
_CALL_TIMEOUT_S = 60.0
# Ends of a call after which the rest can be asked for: out of time, cut, told by the controller that nothing moved.
_GOES_ON = frozenset({grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED})
# Somebody else sends the same bytes just now, and the controller goes on with theirs.
_TAKEN_OVER = "upload_paused"
# Between looks at how far the other one is; one that brings nothing for so long is gone, and ours goes on.
_LOOK_S, _STILL_S = 0.5, 5.0
# Of one upload: each ends with the other one's bytes kept, or with another one gone.
_MOST_TAKEN_OVER = 20


class BlobClient:
    """Every method raises ``steelyard.SteelyardError``.

    A call that ends early is followed by another one from the byte that came last, as long as each brings something.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        call_timeout_s: float = _CALL_TIMEOUT_S,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Use a channel; a call that brings nothing within ``call_timeout_s`` is the last one.

        ``pause`` waits so many seconds, between looks at an upload of the same bytes by somebody else.
        """
        self._stub = blob_pb2_grpc.BlobServiceStub(channel)
        self._call_timeout_s = call_timeout_s
        self._pause = pause

    def download(self, digest: str) -> bytes:
        """Return a blob's bytes, verified."""
        data = bytearray()
        while (broken := self._read(digest, data)) is not None:
            error, came = broken
            if not came or code_of(error) not in _GOES_ON:
                raise_from_rpc(error)
        if hashlib.sha256(data).hexdigest() != digest:
            raise SteelyardError(
                "blob_damaged", f"blob {digest[:12]} does not match its digest: it was damaged on the way"
            )
        return bytes(data)

    def upload(self, source: Path | bytes, digest: str, size_bytes: int) -> None:
        """Bring a file's bytes, or these, unless the controller has them.

        Where somebody else brings the same bytes at the same time, theirs are waited for.
        """
        query = blob_pb2.QueryUploadRequest(digest=digest, size_bytes=size_bytes)
        offset, taken_over = -1, 0
        broken: grpc.RpcError | None = None
        while not (held := self._held(query)).complete:
            if broken is not None and (held.offset <= offset or code_of(broken) not in _GOES_ON):
                raise_from_rpc(broken)
            offset = held.offset
            header = blob_pb2.UploadHeader(digest=digest, size_bytes=size_bytes, offset=offset)
            try:
                self._stub.Upload(_messages(header, source), timeout=self._call_timeout_s)
            except grpc.RpcError as error:
                broken = error
                if reason_of(error) == _TAKEN_OVER and taken_over < _MOST_TAKEN_OVER:
                    taken_over += 1
                    self._wait_for_the_other(query)
                    broken = None
            else:
                return

    def _held(self, query: blob_pb2.QueryUploadRequest) -> blob_pb2.QueryUploadResponse:
        return called(lambda: self._stub.QueryUpload(query, timeout=self._call_timeout_s))

    def _wait_for_the_other(self, query: blob_pb2.QueryUploadRequest) -> None:
        """Wait until an upload of the same bytes is done, or brings nothing any more."""
        offset, still_s = -1, 0.0
        while not (held := self._held(query)).complete and still_s < _STILL_S:
            still_s = still_s + _LOOK_S if held.offset == offset else 0.0
            offset = held.offset
            self._pause(_LOOK_S)

    def _read(self, digest: str, data: bytearray) -> tuple[grpc.RpcError, bool] | None:
        """Append what comes; return how the call broke, and whether it brought anything before."""
        offset, heard = len(data), 0
        request = blob_pb2.DownloadRequest(digest=digest, offset=offset)
        try:
            for response in self._stub.Download(request, timeout=self._call_timeout_s):
                data += response.chunk
                heard += 1
        except grpc.RpcError as error:
            # The first message brings the size alone; those that say "wait for your turn" count as something.
            return error, heard > 1
        return None


def _messages(header: blob_pb2.UploadHeader, source: Path | bytes) -> Iterator[blob_pb2.UploadRequest]:
    yield blob_pb2.UploadRequest(header=header)
    for chunk in _chunks(source, header.offset):
        yield blob_pb2.UploadRequest(chunk=chunk)


def _chunks(source: Path | bytes, offset: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        for start in range(offset, len(source), CHUNK_BYTES):
            yield source[start : start + CHUNK_BYTES]
        return
    with source.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
