"""The private authority and the broker's certificate."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from services.supervisor.certificates import certified

NAMES = ("hems.local", "192.168.1.5")


def _server(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())


def test_a_program_that_knows_the_authority_trusts_the_certificate_for_its_names(tmp_path: Path) -> None:
    """The certificate is signed by the authority, for each host name and address, and holds for little more than a year."""
    assert certified(tmp_path, NAMES)
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    server = _server(tmp_path)
    server.verify_directly_issued_by(authority)
    alternatives = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == ["hems.local"]
    assert [str(address) for address in alternatives.get_values_for_type(x509.IPAddress)] == ["192.168.1.5"]
    assert server.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)
    ssl.create_default_context(cafile=str(tmp_path / "ca.pem")).load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")


def test_what_is_there_stays_until_it_nears_its_end_or_the_names_change(tmp_path: Path) -> None:
    """A second call makes nothing; sixty days before the end, or for other names, there is a new one of the same authority."""
    certified(tmp_path, NAMES)
    authority, first = (tmp_path / "ca.pem").read_bytes(), _server(tmp_path).serial_number
    assert not certified(tmp_path, NAMES)
    assert _server(tmp_path).serial_number == first
    assert certified(tmp_path, ("hems.local",))
    assert certified(tmp_path, ("hems.local",), datetime.now(UTC) + timedelta(days=350))
    assert (tmp_path / "ca.pem").read_bytes() == authority


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Neither key can be read by anybody else."""
    certified(tmp_path, NAMES)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("ca.key", "server.key")} == {0o600}
