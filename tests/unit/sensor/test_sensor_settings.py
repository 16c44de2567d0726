"""The sensor's section of hems.yaml."""

from typing import Any

import pytest
from pydantic import ValidationError

from services.sensor.settings import SensorSettings


def settings_of(**meter: Any) -> SensorSettings:
    """Settings with these keys under `meter`."""
    return SensorSettings.read({"meter": meter}, {})


def test_everything_has_a_default() -> None:
    """With no file the meter is an RPICT3T1 on the Pi's own port."""
    settings = SensorSettings.read({}, {})
    assert (settings.meter.port, settings.meter.baud, settings.meter.profile) == ("/dev/ttyAMA0", 38_400, "rpict3t1")
    assert settings.voltage.port is None


def test_the_example_is_read_whole() -> None:
    """Every key of the published example."""
    settings = SensorSettings.read(
        {
            "meter": {
                "port": "/dev/ttyAMA0", "baud": 38400, "profile": "rpict3t1", "mains_channels": [1], "invert": [],
                "power_factor": 0.95, "vest_v": 230,
            },
            "voltage": {"port": "/dev/serial/by-id/usb-esp8266", "baud": 115200, "profile": "zmpt101b", "scale": 1.0, "valid_for_s": 10},
        },
        {},
    )  # fmt: skip
    assert settings.voltage.port == "/dev/serial/by-id/usb-esp8266"
    assert settings.wiring(230.0).mains_channels == (1,)


def test_the_environment_goes_over_a_nested_key() -> None:
    """And leaves its neighbours."""
    settings = SensorSettings.read({"meter": {"vest_v": 240, "port": "/dev/a"}}, {"HEMS_SENSOR__METER__PORT": "/dev/b"})
    assert (settings.meter.port, settings.meter.vest_v) == ("/dev/b", 240)


@pytest.mark.parametrize(
    ("meter", "message"),
    [
        ({"mains_channels": [4]}, "input 4 is not among those of this meter: 1, 2, 3"),
        ({"mains_channels": []}, "at least 1"),
        ({"mains_channels": [1, 1]}, "twice"),
        ({"columns": ["node_id", "power"]}, "'power' is not a column"),
        ({"columns": ["node_id", "real_power_2_w"]}, "input 1 is not among those of this meter: 2"),
        ({"profile": "rpict9"}, "rpict3t1"),
        ({"baud": 12345}, "38400"),
        ({"power_factor": 1.2}, "less than or equal to 1"),
        ({"chanels": [1]}, "not permitted"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(meter: dict[str, Any], message: str) -> None:
    """The error says which key, and which values there are."""
    with pytest.raises(ValidationError, match="meter") as caught:
        settings_of(**meter)
    assert message in str(caught.value)
