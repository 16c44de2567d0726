"""What leaves the house in a bug report."""

import json
import tarfile
from pathlib import Path

import pytest

from hems.actor.configuration import Configuration
from services.doctor.bundle import censor_of, write_bundle
from services.doctor.domain.secrets_out import GONE, Censor

NOBODY = Censor.of(())


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password: hunter2", "hunter2"),
        ('{"auth_token": "8f1d"}', "8f1d"),
        ("HEMS_BROKER__PASSWORD=abc def", "abc"),
        ("  key: 'with space'", "with space"),
        ("Authorization: Bearer abcdefgh12345", "abcdefgh12345"),
        ("X-AIO-Key: 0123abcd", "0123abcd"),
        ("connected with aio_abcdEFGH0123456789xyz to it", "aio_abcdEFGH0123456789xyz"),
        ("account AC0123456789abcdef0123456789abcdef failed", "AC0123456789abcdef0123456789abcdef"),
        ("postgresql://hems:pw9@db/hems", "pw9"),
        ("sent to +44 7700 900123 now", "7700"),
        ("latitude: 52.8123", "52.8123"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_names_and_shapes_give_secrets_away(text: str, secret: str) -> None:
    """Also where nobody knew the value."""
    cleaned = NOBODY.clean(text)
    assert secret not in cleaned
    assert GONE in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "auth_token_file: var/secrets/twilio",
        "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN_FILE=/run/secrets/twilio",
        "power_w: 1234.5",
        "2026-01-02T03:04:05+00:00 the port is open port=/dev/ttyAMA0",
        "pin: 22, active: high",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """A report that says nothing helps nobody."""
    assert NOBODY.clean(text) == text


def test_planted_secrets_are_not_in_the_bundle(tmp_path: Path) -> None:
    """From the file, the environment, files that either names, the broker's passwords and the account, wherever they show up."""
    planted = {
        name: f"plant3d-{name}-{place:04d}" for place, name in enumerate(("yaml", "variable", "named", "broker", "account", "user", "pin"))
    }
    (tmp_path / "named").write_text(planted["named"] + "\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/sensor").write_text(planted["broker"])
    (tmp_path / "mqtt.env").write_text(f"MQTT_HOST=127.0.0.1\nMQTT_PASSWORD={planted['account']}\n")
    file = tmp_path / "hems.yaml"
    file.write_text(
        f"notifier:\n  twilio: {{auth_token: {planted['yaml']}, account_sid_file: {tmp_path / 'named'}}}\n"
        f"  recipients: {{me: {{sms: '+44 7700 900123', ntfy: {planted['pin']}}}}}\n"
        f"bridge_adafruit: {{username: {planted['user']}}}\n"
    )
    configuration = Configuration.load(file)
    censor = censor_of(configuration, tmp_path, {"HEMS_BROKER__PASSWORD": planted["variable"], "PATH": "/usr/bin"})
    said = " ".join(planted.values())
    write_bundle(
        tmp_path / "b.tar.gz", {"hems.yaml": file.read_text(), "log": f"refused: {said} to +447700900123", "j": json.dumps(planted)}, censor
    )
    assert (tmp_path / "b.tar.gz").stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        texts = [member.read().decode() for name in archive.getnames() if (member := archive.extractfile(name))]
    assert len(texts) == 3
    for value in (*planted.values(), "7700 900123", "7700900123"):
        assert not any(value in text for text in texts), value
