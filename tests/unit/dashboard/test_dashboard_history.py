"""The history: periods, bars, heat, answers in pieces, files."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from hems.contracts.energy import HistoryResult, Series
from services.dashboard.desk import Desk
from services.dashboard.domain.answers import Answer, Pieces, Unanswered
from services.dashboard.domain.bars import REST, bars_csv, heat, heat_csv, stack, standby_w, table_csv
from services.dashboard.domain.chapter import Chapter, Totals, facts, named, power_rows, totals
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.home import Home, Today
from services.dashboard.domain.periods import PERIODS, Period
from services.dashboard.domain.series import carbon_kg
from services.dashboard.domain.signature import shape
from services.dashboard.domain.texts import Texts
from services.dashboard.pages.charts import round_top
from services.dashboard.pages.heat_map import heat_html
from services.dashboard.remembering import sums_of_today

LONDON = ZoneInfo("Europe/London")
FIGURES = Figures(LONDON)
ENERGY = ("at", "energy_kwh", "exported_kwh", "cost")
POWER = ("at", "mean_w", "min_w", "max_w", "energy_kwh")


def hourly(start: datetime, values: list[float], price: float | None = 0.25) -> Answer:
    """An answer about energy, an hour a row."""
    rows = ((start + timedelta(hours=hour), kwh, 0.0, None if price is None else kwh * price) for hour, kwh in enumerate(values))
    return Answer(ENERGY, tuple((at.isoformat(), *rest) for at, *rest in rows))


def day(of: date = date(2025, 1, 6)) -> Period:
    """One day of the home."""
    return Period("day", of, LONDON)


@pytest.mark.parametrize("name", PERIODS)
def test_periods_join_without_a_gap(name: str) -> None:
    """The end of one is the start of the next, over a year with its two changes of the clock."""
    period = Period.holding(name, datetime(2025, 1, 1, 12, tzinfo=UTC), LONDON)  # pyright: ignore[reportArgumentType]
    while period.start.year < 2026:
        following = period.later()
        assert following.start == period.end
        assert following.earlier() == period
        assert len(period.slots()) == len(period.slot_labels())
        period = following


def test_days_of_the_changing_clock_have_their_hours() -> None:
    """23 in March, 25 in October."""
    assert [len(day(date(2025, month, number)).slots()) for month, number in ((3, 30), (10, 26), (6, 1))] == [23, 25, 24]


def test_titles_and_slots() -> None:
    """Weeks begin on Monday; a year has months."""
    week = Period.holding("week", datetime(2025, 1, 1, tzinfo=UTC), LONDON)
    assert (week.title(), week.slot_labels()[0]) == ("30 December \u2013 5 January 2025", "Mon")
    assert Period.holding("year", datetime(2024, 2, 29, tzinfo=UTC), LONDON).slot_labels()[1] == "Feb"


def test_appliances_and_the_rest_make_up_the_home() -> None:
    """The parts of each bar add up to what the meter measured."""
    home = hourly(day().start, [1.0, 2.0, 0.5])
    bars = stack(day(), home, {"kettle": hourly(day().start, [0.2, 0.3, 0.0]), "idle": hourly(day().start, [0.0])})
    assert [part.name for part in bars.parts] == ["kettle", REST]
    for place in range(24):
        assert sum(part.energy_kwh[place] for part in bars.parts) == pytest.approx(bars.home.energy_kwh[place])
    assert bars.home.total_cost == pytest.approx(3.5 * 0.25)
    assert sum(part.total_cost or 0 for part in bars.parts) == pytest.approx(3.5 * 0.25)


def test_estimates_beyond_the_meter_are_scaled_down_to_it() -> None:
    """An appliance can't have used more than the home."""
    bars = stack(day(), hourly(day().start, [1.0]), {"a": hourly(day().start, [1.5]), "b": hourly(day().start, [0.5])})
    assert {part.name: part.energy_kwh[0] for part in bars.parts} == pytest.approx({"a": 0.75, "b": 0.25, REST: 0})


def test_without_a_tariff_there_is_no_cost() -> None:
    """None, not nothing."""
    assert stack(day(), hourly(day().start, [1.0], price=None), {}).home.total_cost is None


def test_the_heat_map_has_a_row_a_day_and_knows_what_it_does_not_know() -> None:
    """Local hours; a year has a row a month, of means."""
    week = Period.holding("week", datetime(2025, 1, 8, tzinfo=UTC), LONDON)
    picture = heat(week, hourly(week.start, [float(hour) for hour in range(25)]))
    assert len(picture.rows) == 7
    assert picture.cells[0][5] == 5
    assert picture.cells[1][:2] == (24, None)
    year = Period.holding("year", datetime(2025, 1, 8, tzinfo=UTC), LONDON)
    by_month = heat(year, hourly(year.start, [2.0] * 24 + [4.0] * 24))
    assert (len(by_month.rows), by_month.cells[0][0], by_month.cells[1][0]) == (12, 3.0, None)
    html = heat_html(picture, "<energy>")
    assert html.count("<tr>") == 8
    assert "&lt;energy&gt;" in html


def test_what_is_always_on_is_not_the_power_cut() -> None:
    """The lowest tenth, and never nothing."""
    rows = tuple(("2025-01-06T00:00:00+00:00", 200.0, low, 300.0, 0.1) for low in (0.0, 0.0, 80.0, *[100.0] * 10))
    assert standby_w(Answer(POWER, rows)) == 100
    assert standby_w(Answer(POWER)) is None


def test_facts_compare_with_the_period_before() -> None:
    """Used, spent, always on."""
    chapter = Chapter(day(), stack(day(), hourly(day().start, [2.0, 2.0]), {}), heat(day(), Answer(ENERGY)), (), 100.0, Totals(5.0, None))
    used, spent, always = facts(chapter, Texts(), FIGURES)
    assert (used.value, used.note, used.better) == ("4.00 kWh", "20 % less than the day before", True)
    assert spent.note == "nothing is known of the day before"
    assert (always.value, always.note) == ("100 W", "877 kWh a year, £219.15")


def test_answers_come_in_pieces_in_any_order() -> None:
    """A piece that is said twice counts once; the last one may come first."""

    def piece(number: int, last: bool) -> HistoryResult:
        return HistoryResult(id="q", piece=number, last=last, columns=("at",), rows=((number,),))

    pieces = Pieces()
    assert pieces.add(piece(2, last=True)) is None
    assert pieces.add(piece(0, last=False)) is None
    assert pieces.add(piece(0, last=False)) is None
    answer = pieces.add(piece(1, last=False))
    assert answer is not None
    assert answer.column("at") == [0, 1, 2]
    assert answer.column("unknown") == []


def test_a_refusal_gives_its_reason() -> None:
    """The recorder's own words, and no answer without end."""
    with pytest.raises(Unanswered, match="too many"):
        Pieces().add(HistoryResult(id="q", piece=0, last=True, error="too many questions"))
    with pytest.raises(Unanswered, match="too large"):
        Pieces().add(HistoryResult(id="q", piece=10**6, last=False))


def test_totals_tell_the_home_from_its_appliances() -> None:
    """The row without a name is the home; appliances come by their size."""
    answer = Answer(
        ("appliance", "energy_kwh", "exported_kwh", "cost"), ((None, 9.0, 0, 2.0), ("a", 1.0, 0, 0.2), ("b", 2.0, 0, 0.4), ("c", 0.0, 0, 0))
    )
    assert totals(answer) == Totals(9.0, 2.0)
    assert named(answer, 9) == ["b", "a"]
    assert named(answer, 1) == ["b"]
    assert totals(Answer()) == Totals()


def test_power_without_a_value_is_left_out() -> None:
    """A slot that was not measured makes no point."""
    answer = Answer(POWER, (("2025-01-06T00:00:00+00:00", 1.0, 0.5, 2.0, 0.1), ("2025-01-06T01:00:00+00:00", None, None, None, None)))
    assert [row[1] for row in power_rows(answer)] == [1.0]


def test_carbon_is_each_hours_energy_by_its_intensity() -> None:
    """Unknown where a good part of the energy has no intensity."""
    start = day().start
    energy = [(start + timedelta(hours=hour), 1.0) for hour in range(4)]
    spans = [(start, start + timedelta(hours=2), 100.0), (start + timedelta(hours=2), start + timedelta(hours=4), 300.0)]
    assert carbon_kg(energy, spans) == pytest.approx(0.8)
    assert carbon_kg(energy, spans[:1]) is None
    assert carbon_kg([], spans) is None


class Recorder:
    """A desk whose recorder knows two days of a kilowatt, and a grid that was twice as dirty on the first."""

    def __init__(self, now: datetime) -> None:
        self.home = Home(carbon=Series(as_of=now, unit="gCO2/kWh", values=()))
        self.now = lambda: now

    async def ask(self, what: str, start: datetime, end: datetime, *_: object, **__: object) -> Answer:
        """As `Desk.ask`."""
        if what == "energy":
            return hourly(start, [1.0] * int((end - start).total_seconds() // 3_600))
        grams = 200.0 if start < day().start else 100.0
        return Answer(("from", "to", "value"), ((start.isoformat(), end.isoformat(), grams),))


async def test_today_is_compared_with_yesterday_by_now() -> None:
    """Six hours of energy, cost and carbon stand against the first six hours of the day before."""
    recorder = Recorder(day().start + timedelta(hours=6))
    today = await sums_of_today(cast("Desk", recorder), LONDON)
    assert today == Today(yesterday_kwh=6, yesterday_cost=1.5, cost=1.5, carbon_kg=0.6, yesterday_carbon_kg=1.2)


def test_files_parse_and_add_up() -> None:
    """Every line has all columns; the parts add up to the home."""
    bars = stack(day(), hourly(day().start, [1.0, 2.0]), {"kettle": hourly(day().start, [0.5])})
    rows = list(csv.DictReader(io.StringIO(bars_csv(bars, "everything else", "GBP"))))
    assert len(rows) == 24
    assert float(rows[0]["energy_kwh"]) == float(rows[0]["kettle_energy_kwh"]) + float(rows[0]["everything else_energy_kwh"])
    picture = heat(Period.holding("week", day().start, LONDON), hourly(day().start, [1.0]))
    assert next(csv.DictReader(io.StringIO(heat_csv(picture))))["hour_00_kwh"] == "1.0"


def test_a_formula_in_a_name_is_defused() -> None:
    """A spreadsheet must not run what somebody called an appliance."""
    assert table_csv(["=HYPERLINK(1)"], [["@x", -1.5, None]]).splitlines() == ["'=HYPERLINK(1)", "'@x,-1.5,"]


def test_a_signature_is_the_power_above_before() -> None:
    """The fridge that runs all along is not part of the kettle."""
    start = day().start
    power = [(start + timedelta(seconds=second), 2_100.0 if second >= 0 else 100.0) for second in range(-30, 60, 10)]
    assert [power_w for _, power_w in shape(power, start)] == [0, 0, 0, *[2_000] * 6]


@pytest.mark.parametrize(("power_w", "top_w"), [(0, 400), (430, 480), (3_600, 4_000), (9_800, 12_000)])
def test_the_axis_ends_at_a_round_figure(power_w: float, top_w: float) -> None:
    """Four steps divide it."""
    assert round_top(power_w) == top_w
