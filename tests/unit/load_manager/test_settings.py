"""The load manager's section of `hems.yaml`."""

from datetime import time, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from services.load_manager.domain.comfort import Hours
from services.load_manager.domain.schedules import Beginning
from services.load_manager.settings import LoadManagerSettings


def _read(text: str) -> LoadManagerSettings:
    return LoadManagerSettings.read(yaml.safe_load(text), {})


def test_the_documented_section_is_taken() -> None:
    """As people write it: YAML's truth values for on and off, unquoted hours, durations with a unit."""
    settings = _read(
        """
        sheddable:
          heater: {priority: 1, longest_off_s: 3600}
          fridge: {priority: 2, longest_off_s: 1800, rest_s: 3600, never: ["17:00-19:00"]}
        power_cap_w: null
        peak: {hours: ["16:00-19:00"], power_cap_w: 2000}
        schedules:
          - {relay: bulb, on: sunset, for: 4h, days: [mon, fri]}
          - {relay: bulb, on: sunrise-30m, for: 30m}
          - {relay: heater, off: 17:30, for: 90s}
          - {relay: boiler, on: cheapest, for: 2h, between: "22:00-07:00"}
        openadr: {vtn_url: null, ven_name: null}
        """
    )
    plan = settings.plan()
    evening, morning, heater, boiler = plan.schedules
    assert (boiler.begins, boiler.between) == (Beginning(best="cheapest"), Hours(time(22), time(7)))
    assert settings.needs_the_sun
    assert plan.sheddable["fridge"].never == (Hours(time(17), time(19)),)
    assert (evening.begins, evening.lasts, evening.days) == (Beginning(sun="sunset"), timedelta(hours=4), {0, 4})
    assert morning.begins == Beginning(sun="sunrise", offset=-timedelta(minutes=30))
    assert (heater.state, heater.begins, heater.lasts) == ("OFF", Beginning(at=time(17, 30)), timedelta(seconds=90))
    assert plan.limits.peak_w == 2000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schedules: [{relay: bulb, for: 4h}]", "either 'on' or 'off'"),
        ("schedules: [{relay: bulb, on: sunset, for: long}]", "is not a duration"),
        ("schedules: [{relay: bulb, on: noonish, for: 1h}]", "is not a time of day"),
        ("schedules: [{relay: bulb, on: cheapest, for: 1h}]", "go with 'between', such as '22:00-07:00'"),
        ("schedules: [{relay: bulb, on: sunset, for: 1h, between: '22:00-07:00'}]", "go with 'between'"),
        ("schedules: [{relay: bulb, off: greenest, for: 1h, between: '22:00-07:00'}]", "only 'on' can be"),
        ("schedules: [{relay: bulb, on: greenest, for: 10h, between: '22:00-07:00'}]", "longer than the hours"),
        ("sheddable: {heater: {never: [evening]}}", "17:00-19:00"),
        ("openadr: {vtn_url: vtn.example.org}", "vtn_url"),
        ("openadr: {vtn_url: 'https://vtn.example.org', key_file: ven.key}", "cert_file and key_file go together"),
        ("openadr: {vtn_url: 'https://vtn.example.org', vtn_fingerprint: nonsense}", "vtn_fingerprint"),
    ],
)
def test_a_mistake_is_told_with_an_example(text: str, words: str) -> None:
    """A person learns how it is written."""
    with pytest.raises(ValidationError, match=words):
        _read(text)


def test_the_keys_passphrase_comes_from_a_file(tmp_path: Path) -> None:
    """As any secret; it is shown nowhere."""
    (tmp_path / "passphrase").write_text("open sesame\n")
    settings = LoadManagerSettings.read({"openadr": {"key_passphrase_file": str(tmp_path / "passphrase")}}, {}).openadr
    assert settings.key_passphrase is not None
    assert settings.key_passphrase.get_secret_value() == "open sesame"
    assert "sesame" not in repr(settings)
