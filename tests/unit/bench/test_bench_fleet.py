"""What `make bench-fleet` makes of what it measured."""

import json
import re

from bench.fleet_over_a_broker import delays
from bench.fleet_picture import Row, picture


def state(second: int, *, running: bool, power_w: float) -> bytes:
    """A state of a tick so many seconds after a minute."""
    return json.dumps({"observed_at": f"2026-01-01T00:00:{second:02d}+00:00", "running": running, "power_w": power_w}).encode()


def test_a_delay_lasts_from_the_reading_that_told_of_a_change() -> None:
    """Not from the tick; repetitions and first states are no changes, and homes are not mixed."""
    minute_s = 1_767_225_600.0
    states = [
        (minute_s + 1.0, "hems/a/appliance/kettle", state(0, running=False, power_w=0)),
        (minute_s + 1.0, "hems/b/appliance/kettle", state(0, running=True, power_w=2_000)),
        (minute_s + 20.0, "hems/a/appliance/kettle", state(10, running=False, power_w=20)),
        (minute_s + 32.5, "hems/a/appliance/kettle", state(30, running=True, power_w=2_900)),
        (minute_s + 35.0, "hems/b/appliance/kettle", state(30, running=True, power_w=2_500)),
        (minute_s + 36.0, "hems/b/appliance/kettle", state(30, running=True, power_w=2_600)),
    ]
    times_s = {"a": [minute_s + 1.5 + 3 * turn for turn in range(20)], "b": [minute_s + 3 * turn for turn in range(20)]}
    assert delays(states, times_s) == [1.0, 5.0]


def test_each_column_of_the_picture_stands_at_its_number_of_homes() -> None:
    """A curve for each way, a point for each measurement, cheaper ones lower."""
    rows = [Row(100, 1.0, 400.0, 20.0, 10.0, 800.0), Row(5_000, 5.0, 80.0, 5.0, 3.0, 100.0)]
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', picture(rows))
    circles = [(float(x), float(y)) for x, y in found]
    assert len(circles) == 8
    assert len({x for x, _ in circles}) == 2
    ancestors, over_a_broker, alone, together = (circles[number : number + 2] for number in range(0, 8, 2))
    assert together[0][1] > alone[0][1] > ancestors[0][1] > over_a_broker[0][1]
    assert ancestors[1][1] > ancestors[0][1]
