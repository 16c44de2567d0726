"""What the meters' lines say."""

import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.readings import MeterLine, Rejected, VoltageLine
from services.sensor.domain.rpict import UnknownColumn, columns
from services.sensor.domain.zmpt101b import parse_voltage

FUZZED_LINES = 100_000


def read(profile: Any, line: bytes, column_names: list[str] | None = None) -> MeterLine:
    """Parse a line that must be good."""
    parsed = meter_parser(profile, column_names)(line)
    assert isinstance(parsed, MeterLine), parsed
    return parsed


def refusal(profile: Any, line: bytes, column_names: list[str] | None = None) -> Rejected:
    """Parse a line that must be refused."""
    parsed = meter_parser(profile, column_names)(line)
    assert isinstance(parsed, Rejected), parsed
    return parsed


@pytest.mark.parametrize(
    "line", [b"11 123.4 0.0 -0.0 21.5", b"11,123.4,0.0,-0.0,21.5", b"11, 123.4\t0.0  -0.0 21.5", b"123.4,0.0,-0.0,21.5"]
)
def test_an_rpict3t1_line(line: bytes) -> None:
    """Three apparent powers and a temperature; by spaces, or by commas with or without the node."""
    parsed = read("rpict3t1", line)
    assert parsed.apparent_power_va == {1: 123.4, 2: 0.0, 3: 0.0}
    assert parsed.real_power_w == {}
    assert parsed.temperature_c == 21.5
    assert parsed.node_id in (11, None)


def test_an_rpict3v1_line() -> None:
    """Real powers, currents in A, and the voltage."""
    parsed = read("rpict3v1", b"11 100.5 -20.0 0.0 0.45 0.1 0.0 231.2")
    assert parsed.real_power_w == {1: 100.5, 2: -20.0, 3: 0.0}
    assert parsed.current_a == {1: 0.45, 2: 0.1, 3: 0.0}
    assert parsed.voltage_v == 231.2


def test_the_older_layout_of_the_rpict3v1() -> None:
    """Five columns an input; told by their number."""
    parsed = read("rpict3v1", b"11 100 120 0.5 231 0.83 200 210 0.9 231 0.95 0 25 0.1 231 0.0")
    assert parsed.real_power_w == {1: 100.0, 2: 200.0, 3: 0.0}
    assert parsed.apparent_power_va == {1: 120.0, 2: 210.0, 3: 25.0}
    assert parsed.current_a == {1: 0.5, 2: 0.9, 3: 0.1}
    assert parsed.voltage_v == 231.0


def test_an_rpict7v1_line_has_its_currents_in_milliamperes() -> None:
    """Seven of each; 450 mA are 0.45 A."""
    parsed = read("rpict7v1", b"11 1 2 3 4 5 6 7 450 0 0 0 0 0 9 229.9")
    assert parsed.real_power_w == dict(zip(range(1, 8), map(float, range(1, 8)), strict=True))
    assert parsed.current_a[1] == pytest.approx(0.45)
    assert parsed.current_a[7] == pytest.approx(0.009)


def test_a_free_column_order() -> None:
    """The names say what each column is; `ignore` skips one."""
    names = ["real_power_2_w", "ignore", "current_2_ma", "voltage_v", "node_id"]
    parsed = read("rpict3t1", b"512.5 7 2250 228 3", names)
    assert parsed == MeterLine(real_power_w={2: 512.5}, current_a={2: 2.25}, voltage_v=228.0, node_id=3)


@pytest.mark.parametrize("name", ["real_power_1_va", "real_power_w", "current_0_a", "power", "real_power_33_w", ""])
def test_an_unknown_column_is_named(name: str) -> None:
    """The error shows the name, and what there is."""
    with pytest.raises(UnknownColumn, match=repr(name)):
        columns(["node_id", name])


def test_not_a_number_is_absent_and_never_zero() -> None:
    """`nan` in one column leaves the others; nothing is put in its place."""
    parsed = read("rpict3t1", b"11 nan 5.0 inf ovf")
    assert parsed.apparent_power_va == {2: 5.0}
    assert parsed.temperature_c is None


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"11 123.4 interval -0.0 21.5", "words"),
        (b"11 123.4 0.0 -0.0", "columns"),
        (b"4 0.0 -0.0 21.5", "columns"),
        (b"11 1 2 3 4 5", "columns"),
        (b"11.5 123.4 0.0 -0.0 21.5", "columns"),
        (b"11 999999 0.0 -0.0 21.5", "implausible"),
        (b"11 12\xff.4 0.0 -0.0 21.5", "not_text"),
        (b"11 1_2 0.0 -0.0 21.5", "words"),
        ("11 ١٢ 0.0 -0.0 21.5".encode(), "not_text"),
        (b"", "columns"),
    ],
)
def test_a_malformed_line_is_refused_with_a_reason(line: bytes, kind: str) -> None:
    """Words, missing columns, noise and impossible values carry no reading."""
    refused = refusal("rpict3t1", line)
    assert refused.kind == kind
    assert str(refused)


def test_pairs_of_open_energy_monitor() -> None:
    """`MSG:` lines name their values."""
    parsed = read("open_energy_monitor", b"MSG:71923,Vrms:246.78,P1:157,P2:-20.5,E1:16346,pulse:15")
    assert parsed.real_power_w == {1: 157.0, 2: -20.5}
    assert parsed.voltage_v == 246.78


def test_clamps_of_open_energy_monitor_come_with_the_voltage_in_hundredths() -> None:
    """An integer `vrms` beside `ct1` is in hundredths: 524 is a board with no voltage adapter."""
    assert read("open_energy_monitor", b"ct1:10,ct2:0,ct3:0,ct4:0,vrms:524,pulse:0").voltage_v == pytest.approx(5.24)
    assert read("open_energy_monitor", b"ct1:10,vrms:23012").voltage_v == pytest.approx(230.12)
    assert read("open_energy_monitor", b"ct1:10,vrms:230.5").voltage_v == pytest.approx(230.5)


def test_json_of_open_energy_monitor() -> None:
    """The same names as in the text."""
    parsed = read("open_energy_monitor", b'{"MSG":1,"Vrms":246.78,"P1":157,"P2":"5","T1":null}')
    assert parsed.real_power_w == {1: 157.0, 2: 5.0}
    assert parsed.voltage_v == 246.78


def test_a_radio_frame_of_the_emonpi() -> None:
    """Little-endian bytes: 22 + 256 W, -1 W, their sum, and 245.6 V in hundredths."""
    parsed = read("open_energy_monitor", b"OK 5 22 1 255 255 21 1 240 95 0 0 0 0 (-0)")
    assert parsed.node_id == 5
    assert parsed.real_power_w == {1: 278.0, 2: -1.0}
    assert parsed.voltage_v == pytest.approx(245.6)


def test_a_radio_frame_of_an_emontx() -> None:
    """Four powers, then the voltage."""
    parsed = read("open_energy_monitor", b"OK 8 1 0 2 0 3 0 4 0 216 89 (-60)")
    assert parsed.real_power_w == {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    assert parsed.voltage_v == pytest.approx(230.0)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"OK 23 1 2 3 4 (-50)", "other_node"),
        (b"OK 5 22 1 (-0)", "columns"),
        (b"OK 5 300 1 2 3 4 5 6 7 8 (-0)", "words"),
        (b"OK 5", "words"),
        (b"MSG:1,Vrms:240", "columns"),
        (b"MSG:1,P1:abc", "words"),
        (b"{broken", "words"),
        (b"[" * 900, "words"),
        (b'{"P1":' + b"9" * 500 + b"}", "words"),
    ],
)
def test_what_open_energy_monitor_says_besides_readings(line: bytes, kind: str) -> None:
    """Other nodes, cut-off frames and broken JSON carry no reading."""
    assert refusal("open_energy_monitor", line).kind == kind


@pytest.mark.parametrize(
    ("line", "voltage_v"),
    [
        (b"229.87", 229.87),
        (b"Vrms: 230.1 V", 230.1),
        (b"vrms=230.1V", 230.1),
        (b"Voltage: 231", 231.0),
        (b'{"vrms":230.1}', 230.1),
        (b'{"Voltage": "230.1", "id": 4}', 230.1),
        (b"230.4 Volts RMS---0.52 Amps RMS --- 119.8 W", 230.4),
    ],
)
def test_the_forms_of_a_voltage_line(line: bytes, voltage_v: float) -> None:
    """A number, a labelled number, JSON, and volts with amperes and watts."""
    assert parse_voltage(line) == VoltageLine(voltage_v)


@pytest.mark.parametrize(
    "line", [b"nan", b"Vrms: nan V", b'{"vrms":NaN}', b'{"vrms":true}', b'{"a":1}', b"-5", b"99999", b"rl\x9c", b"ets Jan  8 2013"]
)
def test_a_line_without_a_voltage_is_refused(line: bytes) -> None:
    """Boot messages, noise, and what is not a number."""
    assert isinstance(parse_voltage(line), Rejected)


SEEDS: dict[str, list[bytes]] = {
    "rpict3t1": [b"11 123.4 0.0 -0.0 21.5", b"11,123.4,0.0,-0.0,21.5"],
    "rpict3v1": [b"11 100.5 -20.0 0.0 0.45 0.1 0.0 231.2", b"11 100 120 0.5 231 0.83 200 210 0.9 231 0.95 0 25 0.1 231 0.0"],
    "rpict7v1": [b"11 1 2 3 4 5 6 7 450 0 0 0 0 0 9 229.9"],
    "open_energy_monitor": [
        b"MSG:71923,Vrms:246.78,P1:157,E1:16346,pulse:15", b"ct1:0,ct2:0,vrms:524,pulse:0", b'{"Vrms":246.7,"P1":157}',
        b"OK 5 22 1 255 255 21 1 240 95 0 0 (-0)",
    ],
}  # fmt: skip
VOLTAGE_SEEDS = [b"229.87", b"Vrms: 230.1 V", b'{"vrms":230.1}', b"230.4 Volts RMS---0.52 Amps RMS --- 119.8 W"]
WORDS = [b"nan", b"inf", b"-", b".", b",", b" ", b"e308", b"1e400", b"\x00", b"\xff\xfe", b"{", b'"', b":", b"OK ", b"9" * 40]


def mutated(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A good line with bytes and words changed, put in, taken out or doubled; or only noise."""
    line = bytearray(chance.choice(seeds) if chance.random() < 0.9 else chance.randbytes(chance.randrange(60)))
    for _ in range(chance.randrange(5)):
        place = chance.randrange(len(line) + 1)
        change = chance.random()
        if change < 0.4:
            line[place : place + 1] = bytes([chance.randrange(256)])
        elif change < 0.7:
            line[place:place] = chance.choice(WORDS)
        elif change < 0.9:
            del line[place : place + chance.randrange(1, 6)]
        else:
            line += line[:place]
    return bytes(line)


def check_meter_line(parsed: MeterLine | Rejected) -> None:
    """What every outcome of a meter's parser keeps to."""
    if isinstance(parsed, MeterLine):
        values = [*parsed.apparent_power_va.values(), *parsed.real_power_w.values(), *parsed.current_a.values()]
        assert all(math.isfinite(value) and abs(value) <= 100_000 for value in values)
        assert parsed.voltage_v is None or math.isfinite(parsed.voltage_v)
    else:
        assert str(parsed)


@pytest.mark.parametrize("profile", list(SEEDS))
def test_a_hundred_thousand_fuzzed_lines_a_meter(profile: Any) -> None:
    """Whatever comes, the parser answers with finite numbers or a reason."""
    chance, parse = random.Random(7), meter_parser(profile)
    for _ in range(FUZZED_LINES):
        check_meter_line(parse(mutated(chance, SEEDS[profile])))


def test_a_hundred_thousand_fuzzed_lines_of_a_voltage_sensor() -> None:
    """Whatever comes, the parser answers with a finite voltage or a reason."""
    chance = random.Random(7)
    for _ in range(FUZZED_LINES):
        parsed = parse_voltage(mutated(chance, VOLTAGE_SEEDS))
        assert isinstance(parsed, Rejected) or 0 <= parsed.voltage_v <= 1_000


PARSERS: list[Callable[[bytes], object]] = [*map(meter_parser, ("rpict3t1", "rpict3v1", "rpict7v1", "open_energy_monitor")), parse_voltage]


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_raise_an_exception(line: bytes) -> None:
    """Any bytes at all: an answer, with an example made small where one fails."""
    for parse in PARSERS:
        assert isinstance(parse(line), MeterLine | VoltageLine | Rejected)
