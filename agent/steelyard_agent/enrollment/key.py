"""Makes the device's key, and requests for it. Run as a child: ``python -m steelyard_agent.enrollment.key FILE``.

A child, so that the supervisor never holds the memory of ``cryptography``. The request goes to standard output; where
``cryptography`` is missing, the command ``openssl`` does the same. P-256, because gRPC's handshake fails with Ed25519.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from steelyard_agent.state.durable import sync_folder

_TIMEOUT_S = 60.0


def main(arguments: list[str]) -> int:
    """Make the key at a path unless it is there, and print a request for it: 0, or 1 with a sentence on stderr."""
    path = Path(arguments[0])
    try:
        sys.stdout.write(_by_cryptography(path) if _has_cryptography() else _by_openssl(path))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip()
        sys.stderr.write(f"the key {path} cannot be made or used ({detail or error}); look at its folder\n")
        return 1
    except LookupError as error:
        sys.stderr.write(f"{error.args[0]}\n")
        return 1
    return 0


def _has_cryptography() -> bool:
    try:
        import cryptography.x509  # noqa: F401
    except ImportError:
        return False
    return True


def _by_cryptography(path: Path) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        _keep(
            path,
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("it is not on P-256")  # noqa: TRY004 (a file's content, no argument)
    # The name is not read: who a certificate is for follows from the join code.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "steelyard-agent")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _by_openssl(path: Path) -> str:
    program = shutil.which("openssl")
    if program is None:
        raise LookupError(
            "a key cannot be made: neither Python's `cryptography` nor the command `openssl` is here; install one"
        )
    if not path.exists():
        _keep(path, _run([program, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]))
    asking = [program, "req", "-new", "-batch", "-sha256", "-key", str(path), "-subj", "/CN=steelyard-agent"]
    return _run(asking).decode("ascii")


def _run(words: list[str]) -> bytes:
    return subprocess.run(words, check=True, capture_output=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL).stdout


def _keep(path: Path, content: bytes) -> None:
    # O_EXCL: a link that somebody laid there is not followed. Renamed when it is whole: half a key would stay for ever.
    unfinished = path.with_name(f".{path.name}.tmp")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(path)
    sync_folder(path.parent)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
