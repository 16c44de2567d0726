"""The broker's configuration."""

from pathlib import Path

from hems.contracts.payload import LONGEST_PACKET_BYTES
from services.supervisor.broker_configuration import base_configuration, render

HOURS_AWAY_S = 72 * 3_600


def settings(text: str) -> dict[str, str]:
    """Each setting by its key; the last one counts."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in (line.partition(" ") for line in lines)}


def rendered(max_queued_messages: int | None = None) -> dict[str, str]:
    """A configuration in some folder."""
    folder = Path("/home/me/hems/var")
    text = render(
        port=18884,
        data=folder / "data",
        passwords=folder / "passwords",
        access=folder / "acl",
        max_queued_messages=max_queued_messages,
    )
    return settings(text)


def test_only_addresses_and_paths_differ_from_what_ships() -> None:
    """`hems up` runs the broker that `broker/mosquitto.conf` describes, on its own port and in its own folders."""
    shipped, ours = settings(base_configuration()), rendered()
    differing = {key for key in shipped.keys() | ours.keys() if shipped.get(key) != ours.get(key)} - {"user"}
    assert differing == {"listener", "persistence_location", "password_file", "acl_file"}
    assert ours["listener"] == "18884 127.0.0.1"


def test_nobody_comes_in_without_a_name() -> None:
    """Anonymous access is off, in what ships and in what is made of it."""
    assert settings(base_configuration())["allow_anonymous"] == rendered()["allow_anonymous"] == "false"


def test_the_queue_holds_what_a_home_says_in_72_hours() -> None:
    """A reading a second for 72 hours fits the queue, in number and in bytes, and the session lives longer."""
    shipped = settings(base_configuration())
    assert int(shipped["max_queued_messages"]) >= HOURS_AWAY_S * 1.1 - 150
    assert int(shipped["max_queued_bytes"]) >= HOURS_AWAY_S * 1.1 * 250
    assert shipped["persistent_client_expiration"] == "7d"


def test_the_packet_limit_is_the_contracts() -> None:
    """The broker refuses what the contracts call too long."""
    assert int(settings(base_configuration())["max_packet_size"]) == LONGEST_PACKET_BYTES


def test_the_broker_saves_every_one_to_five_minutes() -> None:
    """Saving is on, at an interval for which publishers keep what they said, and never at each change."""
    shipped = settings(base_configuration())
    assert shipped["persistence"] == "true"
    assert 60 <= int(shipped["autosave_interval"]) <= 300
    assert shipped["autosave_on_changes"] == "false"


def test_the_queue_can_be_set() -> None:
    """Another number of waiting messages may be asked for."""
    assert rendered(max_queued_messages=5_000)["max_queued_messages"] == "5000"
