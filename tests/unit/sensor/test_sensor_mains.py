"""From a line to what the home draws."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.mains import Mains
from services.sensor.domain.mains import Voltmeter, Wiring, to_mains
from services.sensor.domain.readings import MeterLine, Rejected

AT = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)
WIRING = Wiring(power_factor=0.95, vest_v=230.0, nominal_voltage_v=230.0)
CLAMP = MeterLine(apparent_power_va={1: 1_000.0, 2: 25.0, 3: 0.0}, temperature_c=21.5, node_id=11, tells_voltage=False)
BOARD = MeterLine(real_power_w={1: 900.0, 2: -200.0}, current_a={1: 4.0, 2: 1.0}, voltage_v=240.0, node_id=11)


def mains_of(line: MeterLine, voltage_v: float | None = None, wiring: Wiring = WIRING) -> Mains:
    """A reading that must be good."""
    mains = to_mains(line, voltage_v, AT, wiring)
    assert isinstance(mains, Mains), mains
    return mains


def test_a_clamp_with_a_voltage_gives_apparent_power_at_that_voltage() -> None:
    """apparent = P · Vrms / vest; power = apparent · power factor, estimated."""
    mains = mains_of(CLAMP, 241.5)
    assert mains.apparent_power_va == pytest.approx(1_050.0)
    assert mains.power_w == pytest.approx(997.5)
    assert mains.quality == "estimated"
    assert mains.voltage_v == 241.5
    assert mains.current_a == pytest.approx(1_000 / 230)
    assert mains.measured_at == AT


def test_a_clamp_without_a_voltage_is_taken_at_the_voltage_that_it_assumes() -> None:
    """No voltage is made up: the field is absent."""
    mains = mains_of(CLAMP)
    assert mains.apparent_power_va == pytest.approx(1_000.0)
    assert mains.power_w == pytest.approx(950.0)
    assert mains.voltage_v is None
    assert mains.power_factor is None


def test_only_the_mains_channels_are_summed() -> None:
    """An unused input reads some 25 W: it stands under `channels`, and in no sum."""
    mains = mains_of(CLAMP)
    assert mains.channels == {"1": 1_000.0, "2": 25.0, "3": 0.0}
    assert mains_of(CLAMP, wiring=replace(WIRING, mains_channels=(1, 2))).apparent_power_va == pytest.approx(1_025.0)


def test_a_clamp_has_no_sign() -> None:
    """A reversed clamp on a meter without a sign reads the same home."""
    reversed_clamp = replace(CLAMP, apparent_power_va={1: -1_000.0})
    assert mains_of(reversed_clamp).power_w == mains_of(CLAMP).power_w
    assert mains_of(reversed_clamp, wiring=replace(WIRING, invert=frozenset({1}))).power_w == mains_of(CLAMP).power_w


def test_minus_zero_is_zero() -> None:
    """`-0.0` is not said on."""
    mains = mains_of(replace(CLAMP, apparent_power_va={1: -0.0}))
    assert math.copysign(1, mains.power_w) == 1
    assert mains.channels is not None
    assert math.copysign(1, mains.channels["1"]) == 1


def test_a_board_with_a_voltage_input_measures() -> None:
    """Real power as it stands, apparent from current and voltage, the power factor from both."""
    mains = mains_of(BOARD, 228.0)
    assert (mains.power_w, mains.quality, mains.voltage_v, mains.current_a) == (900.0, "measured", 240.0, 4.0)
    assert mains.apparent_power_va == pytest.approx(960.0)
    assert mains.power_factor == pytest.approx(900 / 960)


def test_export_keeps_its_sign_and_an_inverted_clamp_is_turned() -> None:
    """On a meter with a sign."""
    assert mains_of(BOARD, wiring=replace(WIRING, mains_channels=(2,))).power_w == -200.0
    assert mains_of(BOARD, wiring=replace(WIRING, mains_channels=(1, 2), invert=frozenset({2}))).power_w == 1_100.0


@pytest.mark.parametrize("voltage_v", [5.24, 180.0, 280.0, None])
def test_a_board_whose_voltage_adapter_is_unplugged_only_estimates(voltage_v: float | None) -> None:
    """Real power computed with no voltage is wrong; the currents are still right."""
    mains = mains_of(replace(BOARD, real_power_w={1: 3.0, 2: 0.0}, voltage_v=voltage_v))
    assert mains.quality == "estimated"
    assert mains.power_w == pytest.approx(4.0 * 230 * 0.95)


def test_real_power_from_a_line_that_has_no_place_for_a_voltage_is_measured() -> None:
    """Columns that say real power are believed."""
    mains = mains_of(MeterLine(real_power_w={1: 500.0}, tells_voltage=False), 230.0)
    assert (mains.power_w, mains.quality, mains.voltage_v) == (500.0, "measured", 230.0)


def test_a_missing_mains_channel_is_no_reading() -> None:
    """NaN on the mains input: neither zero nor half of the supply."""
    refused = to_mains(replace(CLAMP, apparent_power_va={2: 25.0}), None, AT, WIRING)
    assert isinstance(refused, Rejected)
    assert "input 1" in str(refused)


def test_another_node_is_not_this_meter() -> None:
    """Two boards may share a radio or a cable."""
    refused = to_mains(CLAMP, None, AT, replace(WIRING, node_id=12))
    assert isinstance(refused, Rejected)
    assert refused.kind == "other_node"


def test_a_temperature_that_no_sensor_reads_is_absent() -> None:
    """An unplugged probe says -127 °C."""
    assert mains_of(CLAMP).temperature_c == 21.5
    assert mains_of(replace(CLAMP, temperature_c=-127.0)).temperature_c is None


def test_a_voltage_counts_for_ten_seconds() -> None:
    """After that it is not used."""
    voltmeter = Voltmeter(230.0, timedelta(seconds=10)).with_reading(241.0, AT)
    assert isinstance(voltmeter, Voltmeter)
    assert voltmeter.at(AT + timedelta(seconds=10)) == 241.0
    assert voltmeter.at(AT + timedelta(seconds=10.1)) is None


@pytest.mark.parametrize(
    ("voltage_v", "taken"), [(184.0, True), (276.0, True), (183.9, False), (276.1, False), (12.0, False), (0.0, False)]
)
def test_a_voltage_far_from_the_nominal_one_is_not_used(voltage_v: float, taken: bool) -> None:
    """More than 20 % away is a sensor without supply."""
    assert isinstance(Voltmeter(230.0, timedelta(seconds=10)).with_reading(voltage_v, AT), Voltmeter) is taken


powers = st.dictionaries(st.integers(1, 32), st.floats(-1e5, 1e5), max_size=32)


@given(
    powers,
    powers,
    powers,
    st.none() | st.floats(0, 1e6),
    st.none() | st.floats(184, 276),
    st.lists(st.integers(1, 32), min_size=1, unique=True),
)
def test_every_line_ends_as_a_finite_reading_or_a_reason(
    apparent: dict[int, float],
    real: dict[int, float],
    current: dict[int, float],
    own: float | None,
    voltage: float | None,
    channels: list[int],
) -> None:
    """No combination of values raises, or says a number that is none."""
    line = MeterLine(apparent_power_va=apparent, real_power_w=real, current_a=current, voltage_v=own)
    outcome = to_mains(line, voltage, AT, replace(WIRING, mains_channels=tuple(channels)))
    assert isinstance(outcome, Rejected) or math.isfinite(outcome.power_w)
    if isinstance(outcome, Mains):
        assert Mains.from_wire(outcome.to_wire()) == outcome
