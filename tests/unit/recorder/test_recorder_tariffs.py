"""Bills, each worked by hand, and what holds for every tariff."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.energy import MJ_PER_KWH
from services.recorder.domain.tariff import NANO, PriceSeries, Pricing, Tariff, Tier, Version, tiered_nano
from services.recorder.settings import TariffSettings

LONDON = Calendar(ZoneInfo("Europe/London"))
READ: TypeAdapter[TariffSettings] = TypeAdapter(TariffSettings)


def _tariff(**definition: object) -> Tariff:
    return READ.validate_python(definition).tariff()


def _pricing(tariff: Tariff, series: PriceSeries | None = None) -> Pricing:
    return Pricing((Version(0, tariff),), LONDON, series or PriceSeries())


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/London")).timestamp())


def _day_cost(pricing: Pricing, day: date, kw: float) -> float:
    """A steady power over a local day, minute by minute, as the ledger does."""
    start_s, end_s = LONDON.day(LONDON.midnight(day))
    energy_mj = round(kw * MJ_PER_KWH / 60)
    costs = [pricing.cost_nano(at_s, energy_mj) for at_s in range(start_s, end_s, 60)]
    assert None not in costs
    return (sum(cost for cost in costs if cost is not None) + pricing.standing_nano(start_s)) / NANO


def test_a_flat_bill() -> None:
    """24 kWh at 0.30 and a standing charge of 0.60: 7.20 + 0.60 = 7.80."""
    tariff = _tariff(kind="flat", per_kwh=0.30, standing_charge_per_day=0.60)
    assert _day_cost(_pricing(tariff), date(2025, 6, 2), 1.0) == pytest.approx(7.80, abs=1e-6)


def test_a_day_and_night_bill() -> None:
    """1 kW: seven hours of night at 0.10 and seventeen of day at 0.30: 0.70 + 5.10 = 5.80."""
    tariff = _tariff(kind="day_night", day_per_kwh=0.30, night_per_kwh=0.10, night_from="00:30", night_to="07:30")
    assert _day_cost(_pricing(tariff), date(2025, 6, 2), 1.0) == pytest.approx(5.80, abs=1e-6)


def test_a_night_over_midnight() -> None:
    """Night from 23:00 to 06:00, seven hours of the clock's day: 7 x 0.10 + 17 x 0.30 = 5.80."""
    tariff = _tariff(kind="day_night", day_per_kwh=0.30, night_per_kwh=0.10, night_from="23:00", night_to="06:00")
    assert _day_cost(_pricing(tariff), date(2025, 6, 2), 1.0) == pytest.approx(5.80, abs=1e-6)


def test_a_night_when_the_clock_goes_forward_and_back() -> None:
    """On 30 March the night has six hours (5.70 in all), on 26 October eight (5.90)."""
    tariff = _tariff(kind="day_night", day_per_kwh=0.30, night_per_kwh=0.10, night_from="00:30", night_to="07:30")
    assert _day_cost(_pricing(tariff), date(2025, 3, 30), 1.0) == pytest.approx(6 * 0.10 + 17 * 0.30, abs=1e-6)
    assert _day_cost(_pricing(tariff), date(2025, 10, 26), 1.0) == pytest.approx(8 * 0.10 + 17 * 0.30, abs=1e-6)


def test_a_time_of_use_bill_by_season_and_weekday() -> None:
    """Winter weekdays 16:00 to 19:00 at 0.40, else 0.20: Monday 12 January 3 x 0.40 + 21 x 0.20 = 5.40; a Saturday or July 4.80."""
    peak = {"from": "16:00", "to": "19:00", "days": ["mon", "tue", "wed", "thu", "fri"], "season": {"from": "11-01", "to": "02-28"}}
    tariff = _tariff(kind="time_of_use", rates=[peak | {"per_kwh": 0.40}, {"per_kwh": 0.20}])
    assert _day_cost(_pricing(tariff), date(2026, 1, 12), 1.0) == pytest.approx(5.40, abs=1e-6)
    assert _day_cost(_pricing(tariff), date(2026, 1, 17), 1.0) == pytest.approx(4.80, abs=1e-6)
    assert _day_cost(_pricing(tariff), date(2026, 7, 13), 1.0) == pytest.approx(4.80, abs=1e-6)


def test_a_tiered_bill() -> None:
    """130 kWh after 90 in the month: 10 at 0.20, 100 at 0.30, 20 at 0.50: 2 + 30 + 10 = 42."""
    tiers = (Tier(0.20, 100), Tier(0.30, 200), Tier(0.50))
    assert tiered_nano(tiers, 130 * MJ_PER_KWH, 90 * MJ_PER_KWH) == 42 * NANO


def test_tiers_by_day_begin_anew_each_midnight() -> None:
    """The period of a daily tier is the local day, that of a monthly one the local month."""
    tiers = [{"up_to_kwh": 8, "per_kwh": 0.1}, {"per_kwh": 0.2}]
    daily, monthly = _tariff(kind="tiered", period="day", tiers=tiers), _tariff(kind="tiered", tiers=tiers)
    at_s = _at("2025-06-15T12:00")
    assert _pricing(daily).tier_period(at_s) == LONDON.day(at_s)
    assert _pricing(monthly).tier_period(at_s) == LONDON.month(at_s)


def test_a_half_hourly_bill() -> None:
    """Two half hours at 0.10 and -0.05, 2 kW: 1 kWh each: 0.10 - 0.05 = 0.05; a half hour without a price has no cost."""
    start_s = _at("2025-06-02T12:00")
    series = PriceSeries([(start_s, start_s + 1_800, 0.10), (start_s + 1_800, start_s + 3_600, -0.05)])
    pricing = _pricing(_tariff(kind="half_hourly", source={"file": "prices.csv"}), series)
    costs = [pricing.cost_nano(at_s, 2 * MJ_PER_KWH // 60) for at_s in range(start_s, start_s + 3_600, 60)]
    assert sum(cost or 0 for cost in costs) == pytest.approx(0.05 * NANO, abs=100)
    assert pricing.cost_nano(start_s + 3_600, MJ_PER_KWH) is None


def test_a_missing_half_hour_may_have_a_price_of_its_own() -> None:
    """Where the tariff says what counts otherwise, that counts."""
    pricing = _pricing(_tariff(kind="half_hourly", source={"file": "prices.csv"}, otherwise_per_kwh=0.25))
    assert pricing.cost_nano(_at("2025-06-02T12:00"), MJ_PER_KWH) == 0.25 * NANO


def test_what_is_sent_out_is_paid() -> None:
    """3 kWh in at 0.30 and 2 out at 0.15: 0.90 - 0.30 = 0.60."""
    pricing = _pricing(_tariff(kind="flat", per_kwh=0.30, export_per_kwh=0.15))
    assert pricing.cost_nano(0, 3 * MJ_PER_KWH, 2 * MJ_PER_KWH) == 0.60 * NANO


def test_a_change_of_tariff_counts_from_then_on() -> None:
    """Before the change the old prices hold, from it on the new; before the first tariff, the first."""
    old, new = _tariff(kind="flat", per_kwh=0.2), _tariff(kind="flat", per_kwh=0.4)
    pricing = Pricing((Version(1_000, old), Version(2_000, new)), LONDON)
    assert [pricing.price(at_s) for at_s in (0, 1_999, 2_000)] == [0.2, 0.2, 0.4]


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
def test_tiers_do_not_mind_how_energy_is_cut(used_mj: int, first_mj: int, second_mj: int) -> None:
    """Two parts cost what the whole costs, to a billionth for each tier."""
    tiers = (Tier(0.21, 50), Tier(0.33, 120), Tier(0.07))
    parts = tiered_nano(tiers, first_mj, used_mj) + tiered_nano(tiers, second_mj, used_mj + first_mj)
    assert abs(parts - tiered_nano(tiers, first_mj + second_mj, used_mj)) <= 6


@given(st.datetimes(datetime(2024, 1, 1), datetime(2027, 12, 31)), st.integers(0, 1_439), st.integers(1, 1_440))  # noqa: DTZ001
def test_some_rate_always_holds(local: datetime, start: int, end: int) -> None:
    """With a rate for all times at its end, every minute has a price, and the more particular one goes first."""
    at = {"from": f"{start // 60:02}:{start % 60:02}", "to": f"{end // 60:02}:{end % 60:02}"}
    pricing = _pricing(_tariff(kind="time_of_use", rates=[{"per_kwh": 1.0, **at}, {"per_kwh": 2.0}]))
    price = pricing.price(int((local.replace(tzinfo=ZoneInfo("UTC")) + timedelta(0)).timestamp()))
    assert price in (1.0, 2.0)


@pytest.mark.parametrize(
    "tiers",
    [[{"per_kwh": 1, "up_to_kwh": 5}], [{"per_kwh": 1}, {"per_kwh": 2}],
     [{"per_kwh": 1, "up_to_kwh": 9}, {"per_kwh": 1, "up_to_kwh": 5}, {"per_kwh": 2}]],
)  # fmt: skip
def test_tiers_out_of_order_are_refused(tiers: list[dict[str, float]]) -> None:
    """Each but the last needs a rising limit, and the last none."""
    with pytest.raises(ValidationError, match="up_to_kwh"):
        _tariff(kind="tiered", tiers=tiers)


def test_a_definition_is_kept_word_for_word() -> None:
    """A tariff that was written down and read again is the same."""
    rates = [{"from": "16:00", "to": "19:00", "season": {"from": "11-01", "to": "02-28"}, "per_kwh": 0.4}, {"per_kwh": 0.2}]
    found = READ.validate_python({"kind": "time_of_use", "rates": rates})
    assert READ.validate_json(found.model_dump_json(by_alias=True)) == found
