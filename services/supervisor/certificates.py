"""A private authority and the broker's certificate, so that programs elsewhere in the home can tell the real broker from another."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_AUTHORITY_LIVES = timedelta(days=3_650)
_CERTIFICATE_LIVES = timedelta(days=397)
"""What browsers and telephones accept at most."""
_RENEWED_BEFORE = timedelta(days=60)
_BACKDATED = timedelta(days=1)


def certified(folder: Path, names: Sequence[str], now: datetime | None = None) -> bool:
    """Have `ca.pem`, `server.pem` and `server.key` for these names in the folder; what is there and good enough stays.

    Args:
        folder: keeps the authority's own key, `ca.key`, too.
        names: host names and addresses that the broker is reached by.
        now: the time of day.

    Returns:
        Whether a new certificate was made.
    """
    at = now or datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "ca.key").exists():
        _write_authority(folder, at)
    if _serves(folder / "server.pem", names, at):
        return False
    _write_certificate(folder, names, at)
    return True


def _write_authority(folder: Path, at: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("hems private authority")
    certificate = (
        _builder(name, name, key.public_key(), at, _AUTHORITY_LIVES)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    _write_key(folder / "ca.key", key)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def _write_certificate(folder: Path, names: Sequence[str], at: datetime) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    authority_key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)  # noqa: S101  it is ours
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(names[0]), authority.subject, key.public_key(), at, _CERTIFICATE_LIVES)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, SHA256())
    )
    _write_key(folder / "server.key", key)
    (folder / "server.pem").write_bytes(certificate.public_bytes(Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, at: datetime, lives: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _BACKDATED)
        .not_valid_after(at + lives)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _serves(path: Path, names: Sequence[str], at: datetime) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(alternatives) == [_alternative(name) for name in names] and certificate.not_valid_after_utc - at > _RENEWED_BEFORE


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
