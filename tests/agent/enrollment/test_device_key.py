"""The key of a device and requests for it, made by a child process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from steelyard_agent.enrollment import key as key_module
from steelyard_agent.enrollment.errors import EnrollmentError
from steelyard_agent.enrollment.requesting import make_request


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def public_bytes(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_at(path: Path) -> bytes:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    return public_bytes(key.public_key())


async def test_a_key_is_made_once_for_its_owner_alone_and_signs_each_request(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    first = x509.load_pem_x509_csr((await make_request(path)).encode())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    second = x509.load_pem_x509_csr((await make_request(path)).encode())
    assert path.read_bytes() == kept
    for request in (first, second):
        assert request.is_signature_valid
        assert public_bytes(request.public_key()) == key_at(path)
    assert names_in(tmp_path) == ["key.pem"]


def test_where_cryptography_is_missing_openssl_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(key_module, "_has_cryptography", lambda: False)
    path = tmp_path / "key.pem"
    assert key_module.main([str(path)]) == 0
    request = x509.load_pem_x509_csr(capsys.readouterr().out.encode())
    assert request.is_signature_valid
    assert public_bytes(request.public_key()) == key_at(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_either_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(key_module, "_has_cryptography", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert key_module.main([str(tmp_path / "key.pem")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "install one" in output.err
    assert names_in(tmp_path) == []


async def test_what_a_crash_left_is_no_key(tmp_path: Path) -> None:
    (tmp_path / ".key.pem.tmp").write_bytes(b"-----BEGIN PRIV")
    await make_request(tmp_path / "key.pem")
    assert names_in(tmp_path) == ["key.pem"]
    assert key_at(tmp_path / "key.pem")


async def test_a_damaged_key_is_told_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"nonsense")
    with pytest.raises(EnrollmentError, match=r"key\.pem cannot be made or used") as caught:
        await make_request(path)
    assert caught.value.reason == "key_unusable"
    assert path.read_bytes() == b"nonsense"
