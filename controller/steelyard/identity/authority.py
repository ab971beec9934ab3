"""The controller's authority: what signs devices, people and the controller itself. P-256 and SHA-256 throughout.

An Ed25519 key is smaller, but gRPC's handshake fails with one. What a *device* checks is valid from 1970 on, because a
board without a battery wakes up at the epoch; what the *controller* checks ends after days (docs/decisions/0022).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from steelyard.identity.errors import IdentityError
from steelyard.identity.subjects import ENROLLMENT_NAME, Subject, controller_name

_BEGINNING = datetime(1970, 1, 1, tzinfo=timezone.utc)
AUTHORITY_LIFE = timedelta(days=3652)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedKey:
    """A private key with the certificate of its public half; the key is never in a ``repr``."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: x509.Certificate

    def __post_init__(self) -> None:
        """Refuse a certificate of another key, and a key that TLS here does not take."""
        if not isinstance(self.key.curve, ec.SECP256R1):
            raise IdentityError(
                "key_type", f"a key on {self.key.curve.name} is not taken; make one on secp256r1 (P-256)"
            )
        if self.certificate.public_key() != self.key.public_key():
            raise IdentityError(
                "key_mismatch",
                "key and certificate do not belong together; restore both from one copy",
            )

    @property
    def key_pem(self) -> bytes:
        """The key as unencrypted PKCS#8."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return certificate_pem(self.certificate)

    @property
    def digest(self) -> str:
        """SHA-256 of the certificate, in lower-case hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate_der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def make_authority(controller_id: str, now: datetime) -> SignedKey:
    """Make a new authority for a controller."""
    key = _new_key()
    # The serial number in the name tells two authorities of one controller apart while one follows the other.
    serial = x509.random_serial_number()
    name = _name(f"steelyard {controller_id[:16]} {serial:x}"[:64])
    builder = (
        _builder(name, name, key.public_key(), serial=serial, not_after=now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        # Whoever imports it elsewhere goes on under the same name, by which devices know their controller.
        .add_extension(x509.SubjectAlternativeName([_authority_name(controller_id)]), critical=False)
    )
    return SignedKey(key=key, certificate=builder.sign(key, hashes.SHA256()))


def controller_of(authority: x509.Certificate) -> str:
    """Return the id of the controller that an authority was made for.

    Raises:
        IdentityError: ``invalid_archive`` for a certificate that is no authority of ours.
    """
    try:
        names = authority.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        controller_id = uri.removeprefix("steelyard://").removesuffix("/authority")
        if _authority_name(controller_id).value == uri:
            return controller_id
    raise IdentityError("invalid_archive", "the certificate in the file is no authority of a steelyard controller")


def make_controller_certificate(authority: SignedKey, controller_id: str, now: datetime) -> SignedKey:
    """Make a key and its certificate for the port that asks for certificates; both live in memory only."""
    key = _new_key()
    name = controller_name(controller_id)
    builder = _builder(
        _name(name[:64]), authority.certificate.subject, key.public_key(), not_after=now + AUTHORITY_LIFE
    )
    builder = _leaf(builder, authority, x509.DNSName(name), ExtendedKeyUsageOID.SERVER_AUTH, key.public_key())
    return SignedKey(key=key, certificate=builder.sign(authority.key, hashes.SHA256()))


def make_enrollment_certificate(now: datetime) -> SignedKey:
    """Make the self-signed certificate of the enrollment port, which join codes are bound to."""
    key = _new_key()
    name = _name(ENROLLMENT_NAME)
    builder = (
        _builder(name, name, key.public_key(), not_after=now + AUTHORITY_LIFE)
        # An authority of its own: a client that trusts exactly this certificate finds a whole chain.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(ENROLLMENT_NAME)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return SignedKey(key=key, certificate=builder.sign(key, hashes.SHA256()))


def sign_client(
    authority: SignedKey, subject: Subject, public_key: ec.EllipticCurvePublicKey, *, not_after: datetime
) -> x509.Certificate:
    """Sign the key of a device or a person under its name."""
    builder = _builder(_name(subject.name[:64]), authority.certificate.subject, public_key, not_after=not_after)
    uri = x509.UniformResourceIdentifier(subject.uri)
    builder = _leaf(builder, authority, uri, ExtendedKeyUsageOID.CLIENT_AUTH, public_key)
    return builder.sign(authority.key, hashes.SHA256())


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    *,
    not_after: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(_BEGINNING)
        .not_valid_after(not_after)
    )


def _leaf(
    builder: x509.CertificateBuilder,
    authority: SignedKey,
    name: x509.GeneralName,
    purpose: x509.ObjectIdentifier,
    public_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )


def _authority_name(controller_id: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(f"steelyard://{controller_id}/authority")


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
