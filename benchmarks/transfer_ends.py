"""The two ends of a transfer with mutual TLS, each a process of its own: what benchmarks/transfer.py times.

python -m benchmarks.transfer_ends serve FOLDER            serves FOLDER/blobs; prints its port, ends with stdin
python -m benchmarks.transfer_ends fetch FOLDER PORT DIGEST SIZE    prints seconds, CPU seconds and memory as JSON
python -m benchmarks.transfer_ends ask FOLDER PORT COUNT   prints the round trips of small calls, in seconds, as JSON
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc.aio

NAME = "transfer.steelyard"
_ASK_PAUSE_S = 0.005


def write_certificates(folder: Path) -> None:
    """Make an authority and one certificate of it, which both ends show."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    now = dt.datetime.now(tz=dt.timezone.utc)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(subject: str, public_key: ec.EllipticCurvePublicKey, *, is_authority: bool) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("authority"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    authority = certificate("authority", authority_key.public_key(), is_authority=True)
    (folder / "authority.pem").write_bytes(authority.public_bytes(pem))
    (folder / "certificate.pem").write_bytes(certificate(NAME, key.public_key(), is_authority=False).public_bytes(pem))


async def serve(folder: Path) -> None:
    """Serve the blobs until standard input ends."""
    import grpc
    import grpc.aio

    from steelyard.fleet.allocator import tune_allocator
    from steelyard.fleet.blob_servicer import BlobGate, BlobServicer
    from steelyard.fleet.transport import SERVER_OPTIONS
    from steelyard.store.blobs import BlobStore
    from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc

    async def anybody(_grant: blob_pb2.BlobGrant, *_what: object) -> None:
        """Who may is not what is timed."""

    tune_allocator()
    server = grpc.aio.server(options=SERVER_OPTIONS)
    gate = BlobGate(may_download=anybody, may_upload=anybody)
    blob_pb2_grpc.add_BlobServiceServicer_to_server(BlobServicer(BlobStore(folder / "blobs"), gate), server)
    credentials = grpc.ssl_server_credentials(
        [(_read(folder, "key"), _read(folder, "certificate"))], _read(folder, "authority"), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


async def fetch(folder: Path, port: int, digest: str, size_bytes: int) -> dict[str, float]:
    """Fetch a blob as an agent does: into its cache, verified, flushed."""
    from steelyard_agent.jobs.port import TransferGrant
    from steelyard_agent.link.blobs import BlobClient
    from steelyard_agent.state.blob_cache import BlobCache

    with tempfile.TemporaryDirectory(dir=folder) as place:
        cache = BlobCache(Path(place), free_bytes=lambda where: shutil.disk_usage(where).free)
        async with _channel(folder, port) as channel:
            client, grant = BlobClient(channel, device_id="d"), TransferGrant(job_id="j", epoch=1)
            await channel.channel_ready()
            memory, cpu_s, begun_s = _peak_bytes(), time.process_time(), time.perf_counter()
            with cache.open_partial(digest) as file:
                await client.download(digest, offset=0, size_bytes=size_bytes, grant=grant, write=file.write)
            await asyncio.to_thread(cache.finish, digest)
            took_s = time.perf_counter() - begun_s
    return {"seconds": took_s, "cpu_s": time.process_time() - cpu_s, "memory_bytes": _peak_bytes() - memory}


async def ask(folder: Path, port: int, count: int) -> list[float]:
    """Return the round trips of small calls on a connection of their own."""
    from steelyard_protocol.v1 import blob_pb2, blob_pb2_grpc

    taken: list[float] = []
    async with _channel(folder, port) as channel:
        stub = blob_pb2_grpc.BlobServiceStub(channel)
        query = blob_pb2.QueryUploadRequest(digest="ab" * 32, size_bytes=1)
        await stub.QueryUpload(query)
        for _ in range(count):
            begun_s = time.perf_counter()
            await stub.QueryUpload(query)
            taken.append(time.perf_counter() - begun_s)
            await asyncio.sleep(_ASK_PAUSE_S)
    return taken


def _channel(folder: Path, port: int) -> grpc.aio.Channel:
    from steelyard_agent.link.channel import open_secure_channel

    return open_secure_channel(
        f"127.0.0.1:{port}",
        controller_name=NAME,
        authorities=_read(folder, "authority"),
        key=_read(folder, "key"),
        certificate=_read(folder, "certificate"),
    )


def _read(folder: Path, name: str) -> bytes:
    return (folder / f"{name}.pem").read_bytes()


def _peak_bytes() -> int:
    """Return the peak of this program alone: ru_maxrss begins with that of the program that started it."""
    from steelyard_agent.worker.memory import parse_status

    status = Path("/proc/self/status")
    if status.exists():
        return parse_status(status.read_text(encoding="ascii"))["VmHWM"]
    # macOS, in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(words: list[str]) -> None:
    """Be one end."""
    role, folder, *rest = words
    if role == "serve":
        asyncio.run(serve(Path(folder)))
    elif role == "fetch":
        port, digest, size_bytes = rest
        print(json.dumps(asyncio.run(fetch(Path(folder), int(port), digest, int(size_bytes)))))
    else:
        port, count = rest
        print(json.dumps(asyncio.run(ask(Path(folder), int(port), int(count)))))


if __name__ == "__main__":
    main(sys.argv[1:])
