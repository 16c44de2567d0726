"""The home as messages tell it: the line, runs, bands, switches, and the page's words."""

from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest

from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceState, EventKind
from hems.contracts.demand import DemandState, ShedRelay
from hems.contracts.energy import Energy, Series, SeriesValue
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult, RelayState, Source
from services.dashboard.domain.bands import bands
from services.dashboard.domain.figures import Figures
from services.dashboard.domain.home import Home, Today
from services.dashboard.domain.house import house
from services.dashboard.domain.now import Now, Reader
from services.dashboard.domain.runs import Runs, events_of, finished_runs, habit
from services.dashboard.domain.switching import PATIENCE_S, Switching
from services.dashboard.domain.texts import ENGLISH, Texts
from services.dashboard.domain.trace import POINTS, Trace

NOW = datetime(2025, 1, 6, 7, 30, tzinfo=UTC)
FIGURES = Figures(ZoneInfo("Europe/London"))
READER = Reader(Texts(), FIGURES, month_budget=90)


def after(seconds: float) -> datetime:
    """Some seconds behind NOW."""
    return NOW + timedelta(seconds=seconds)


def mains(power_w: float, at_s: float = 0) -> Mains:
    """A reading."""
    return Mains(measured_at=after(at_s), power_w=power_w, quality="estimated", voltage_v=238.6)


def event(kind: EventKind, at_s: float, **more: float) -> ApplianceEvent:
    """An event of an appliance."""
    return ApplianceEvent.model_validate(
        {"id": f"{kind}{at_s}", "kind": kind, "at": after(at_s), "announced_at": after(at_s + 10), "confidence": 0.9, **more}
    )


def state(running: bool, at_s: float = 0, since_s: float | None = None, power_w: float = 2_000) -> ApplianceState:
    """A state of an appliance."""
    since = None if since_s is None else after(since_s)
    return ApplianceState(observed_at=after(at_s), running=running, power_w=power_w if running else 0, confidence=0.87, since=since)


def read(home: Home, switching: Switching | None = None, at_s: float = 0) -> Now:
    """The page Now."""
    return READER.now(home, switching or Switching(), after(at_s))


def test_readings_said_again_and_readings_from_the_future_are_not_news() -> None:
    """Neither moves the figure nor the line."""
    home = Home()
    assert home.see_mains(mains(100), NOW)
    assert not home.see_mains(mains(200), NOW)
    assert not home.see_mains(mains(300, at_s=3_600), NOW)
    assert home.mains is not None
    assert home.mains.power_w == 100


def test_the_line_is_bounded_and_means_its_slots() -> None:
    """However many readings come, the picture has one width."""
    trace = Trace(3_600)
    for second in range(7_200):
        trace.add(after(second), 100 if second % 2 else 300)
    points = trace.points(after(7_200))
    assert len(points) <= POINTS + 1
    assert all(180 <= (power_w or 0) <= 220 for _, power_w in points[1:-1])


def test_a_hole_breaks_the_line() -> None:
    """Where nothing was measured, nothing is drawn."""
    trace = Trace(3_600)
    for second in (*range(0, 300, 10), *range(900, 1_200, 10)):
        trace.add(after(second), 50)
    assert [power_w for _, power_w in trace.points(after(1_200))].count(None) == 1


def test_history_is_put_before_what_came_live() -> None:
    """Nothing live is lost or doubled by what is remembered."""
    trace = Trace(900)
    trace.add(after(600), 500)
    trace.seed([(after(second), 100) for second in range(0, 700, 60)])
    points = trace.points(after(610))
    assert points == sorted(points, key=lambda point: point[0])
    assert points[-1][1] == 500
    assert points[0][1] == 100


def test_a_run_is_one_band_from_its_first_announcement_to_its_end() -> None:
    """Probable, started, finished: one run, whose times are those that were announced."""
    runs = Runs()
    runs.see_event("kettle", event("probable", 0))
    assert [run.probable for run in runs.within(after(-60), after(30))] == [True]
    runs.see_event("kettle", event("started", 5))
    runs.see_event("kettle", event("finished", 180, duration_s=175, energy_kwh=0.1))
    (run,) = runs.within(after(-60), after(600))
    assert (run.start, run.end, run.probable, run.energy_kwh) == (after(5), after(180), False, 0.1)


def test_an_event_that_is_said_again_is_not_drawn_twice() -> None:
    """The same id is one event."""
    runs = Runs()
    assert runs.see_event("kettle", event("started", 0))
    assert not runs.see_event("kettle", event("started", 0))
    assert len(runs.within(after(-60), after(60))) == 1


def test_states_fill_in_what_was_not_announced_to_this_page() -> None:
    """A run that began before the page listened has its band, and ends with its state."""
    runs = Runs()
    runs.see_state("fridge", state(running=True, since_s=-600))
    runs.see_state("fridge", state(running=True, at_s=60, since_s=-600))
    (run,) = runs.within(after(-3_600), NOW)
    assert (run.start, run.end) == (after(-600), None)
    runs.see_state("fridge", state(running=False, at_s=120, since_s=90))
    assert runs.within(after(-3_600), after(200))[0].end == after(90)


def test_what_was_only_probable_goes_when_it_does_not_come_true() -> None:
    """A suspicion is not shown for ever."""
    runs = Runs()
    runs.see_event("oven", event("probable", 0))
    runs.see_state("oven", state(running=False, at_s=60))
    assert len(runs.within(after(-60), after(61))) == 1
    runs.see_state("oven", state(running=False, at_s=400))
    assert runs.within(after(-60), after(401)) == []


def test_runs_older_than_a_day_are_forgotten() -> None:
    """The memory of a page that stays open for a year is bounded."""
    runs = Runs()
    for day in range(30):
        runs.see_event("kettle", event("started", day * 86_400))
        runs.see_event("kettle", event("finished", day * 86_400 + 180, duration_s=180))
    assert len(runs.within(after(-1), after(30 * 86_400))) <= 1


def test_names_on_bands_do_not_cover_each_other() -> None:
    """Bands that begin together have their names below each other; where there is no room, there is none."""
    runs = Runs()
    for number in range(6):
        runs.see_event(f"appliance{number}", event("started", number))
    shown = bands(runs.within(after(-60), after(3_600)), {}, after(0), after(3_600))
    assert [band.lane for band in shown] == [0, 1, 2, 3, None, None]
    assert all(band.running for band in shown)


@pytest.mark.parametrize("width_px", [300, 700, 1_300])
def test_names_fit_the_picture_that_they_are_on(width_px: float) -> None:
    """On a phone as on a wall no two names of a busy day cover each other, and the fridge is not named at each of its runs."""
    runs = Runs()
    for number in range(40):
        at_s = number * 2_000
        runs.see_event("fridge", event("finished", at_s + 900, duration_s=900))
        runs.see_event("kettle", event("finished", at_s + 1_000, duration_s=120))
    shown = [band for band in bands(runs.within(after(0), after(80_000)), {}, after(0), after(80_000), width_px) if band.lane is not None]
    taken = [(band.lane, (band.start - after(0)).total_seconds() / 80_000 * (width_px - 70)) for band in shown if not band.name_before]
    assert all(abs(one - other) > 6 * 7 for lane, one in taken for beside, other in taken if lane == beside and one != other)
    assert 2 <= sum(band.appliance == "fridge" for band in shown) <= width_px / 100


def test_a_name_at_the_edge_stands_before_its_band() -> None:
    """What begins right now is not cut off."""
    runs = Runs()
    runs.see_event("washing_machine", event("started", -5))
    runs.see_event("kettle", event("started", -3_000))
    shown = {band.appliance: band.name_before for band in bands(runs.within(after(-3_600), NOW), {}, after(-3_600), NOW)}
    assert shown == {"washing_machine": True, "kettle": False}


def test_a_band_is_cut_to_the_picture_and_still_knows_when_it_began() -> None:
    """A run of two hours in a picture of one."""
    runs = Runs()
    runs.see_state("washer", state(running=True, since_s=-7_200))
    (band,) = bands(runs.within(after(-3_600), NOW), {}, after(-3_600), NOW)
    assert (band.began, band.start, band.end) == (after(-7_200), after(-3_600), NOW)


def test_a_typical_run_is_the_median() -> None:
    """One odd run changes nothing; runs without an end don't count."""
    events = [
        event("finished", at_s, duration_s=length, energy_kwh=length / 1_000) for at_s, length in ((200, 100), (900, 120), (9_000, 7_000))
    ]
    rows = [[one.at.isoformat(), "kettle", one.model_dump(mode="json")] for one in [*events, event("started", 5)]]
    found = finished_runs(events_of([*rows, ["x", "kettle", {"nonsense": 1}]]))
    typical = habit(found["kettle"], days=7)
    assert typical is not None
    assert (typical.count, typical.typical_duration_s, typical.typical_energy_kwh) == (3, 120, 0.12)
    assert habit([], days=7) is None


def test_a_command_is_asked_then_accepted_then_confirmed() -> None:
    """Each step shows; another's answer and another's switch change nothing."""
    switching = Switching()
    switching.ask("bulb", "a", "ON", 0)
    assert not switching.answer("bulb", RelayResult(id="b", source="local", accepted=False), 0.1)
    assert switching.answer("bulb", RelayResult(id="a", source="dashboard", accepted=True), 0.1)
    assert (asked := switching.of("bulb")) is not None
    assert asked.outcome == "accepted"
    switching.see("bulb", RelayState(state="ON", how="read_back", changed_at=NOW, source="local"), 0.2)
    assert (asked := switching.of("bulb")) is not None
    assert asked.outcome == "accepted"
    switching.see("bulb", RelayState(state="ON", how="read_back", changed_at=NOW, source="dashboard"), 0.2)
    assert (asked := switching.of("bulb")) is not None
    assert asked.outcome == "confirmed"


def test_the_state_may_come_before_the_answer() -> None:
    """Then the answer does not take the confirmation back."""
    switching = Switching()
    switching.ask("bulb", "a", "ON", 0)
    switching.see("bulb", RelayState(state="ON", how="read_back", changed_at=NOW, source="dashboard"), 0.1)
    switching.answer("bulb", RelayResult(id="a", source="dashboard", accepted=True), 0.2)
    assert (asked := switching.of("bulb")) is not None
    assert asked.outcome == "confirmed"


def test_a_command_without_an_answer_says_so_and_is_then_forgotten() -> None:
    """Nobody waits for ever, and nothing stays on the page for ever."""
    switching = Switching()
    switching.ask("bulb", "a", "ON", 0)
    assert not switching.expire(PATIENCE_S - 1)
    assert switching.expire(PATIENCE_S + 1)
    assert (asked := switching.of("bulb")) is not None
    assert asked.outcome == "no_answer"
    assert switching.expire(PATIENCE_S + 60)
    assert switching.of("bulb") is None


def test_the_page_says_how_a_switch_fared() -> None:
    """While it is asked the switch shows the wish; a refusal gives its reason and shows what is."""
    home, switching = Home(connected=True), Switching()
    home.see_relay("bulb", RelayState(state="OFF", how="read_back", changed_at=after(-60), until=after(600), source="load_manager"))
    switching.ask("bulb", "a", "ON", 0)
    (row,) = read(home, switching).switches
    assert (row.on, row.outcome) == (True, "asked")
    switching.answer("bulb", RelayResult(id="a", source="dashboard", accepted=False, reason="it was switched too often"), 1)
    (row,) = read(home, switching).switches
    assert (row.on, row.said) == (False, "refused: it was switched too often")
    assert row.detail == "confirmed at the pin · by load control · until 07:40"


def test_before_the_first_reading_the_page_says_that_it_waits() -> None:
    """No figure is made up."""
    page = read(Home(connected=True))
    assert (page.power, page.unit, page.warnings, page.tiles) == ("\u2013", "", (), ())
    assert "first reading" in page.power_note


def test_figures_stand_against_yesterday_and_the_budget() -> None:
    """Less than yesterday is better, energy against energy; a third of the budget on the sixth of the month is not.

    What the price is says nothing of how today compares, so it stands apart.
    """
    home = Home(connected=True, today=Today(yesterday_kwh=4, yesterday_cost=0.4, cost=0.5, carbon_kg=0.7, yesterday_carbon_kg=1))
    home.energy = Energy(as_of=NOW, total_kwh=10, today_kwh=3, month_kwh=9, today_cost=1.1, month_cost=45, currency="GBP", rate=0.27)
    home.carbon = Series(as_of=NOW, unit="gCO2/kWh", values=(SeriesValue(start=after(-60), end=after(60), value=182.4),))
    prices = (SeriesValue(start=after(-60), end=after(3_600), value=0.27), SeriesValue(start=after(3_600), end=after(7_200), value=0.09))
    home.price = Series(as_of=NOW, unit="GBP/kWh", values=prices)
    tiles = {tile.key: tile for tile in read(home).tiles}
    assert (tiles["today"].value, tiles["today"].note, tiles["today"].better) == ("3.00 kWh", "25 % less than yesterday by now", True)
    assert (tiles["cost"].note, tiles["cost"].better) == ("25 % more than yesterday by now", False)
    assert tiles["cost"].detail == "£0.27 per kWh now · cheaper from 08:30 · standing charge included"
    assert (tiles["carbon"].value, tiles["carbon"].detail) == ("0.70 kg", "182 g per kWh now")
    assert (tiles["carbon"].note, tiles["carbon"].better) == ("30 % less than yesterday by now", True)
    assert (tiles["month"].part, tiles["month"].better, tiles["month"].note) == (0.5, False, "of £90.00 · ahead of the month")


def test_what_runs_is_shown_with_all_that_is_known() -> None:
    """Watts, since when, how sure, and today's energy; the rest is named."""
    home = Home(connected=True)
    home.see_appliance("kettle", state(running=True, since_s=-150, power_w=2_900))
    home.see_appliance("fridge", state(running=False))
    home.see_energy_of("kettle", Energy(as_of=NOW, total_kwh=3, today_kwh=0.31, month_kwh=2))
    page = read(home)
    (card,) = page.running
    assert (card.name, card.power, card.since) == ("Kettle", "2,900 W", "since 07:27, 2 min")
    assert (card.confidence, card.today, page.idle) == ("87 % sure", "0.31 kWh today", ("Fridge",))


def test_the_spoken_power_is_rounded() -> None:
    """A screen reader is told a change that matters, not each watt."""
    home = Home(connected=True)
    home.see_mains(mains(2_637), NOW)
    home.see_appliance("kettle", state(running=True))
    assert read(home).spoken == "The home draws 2,600 W. Running: Kettle."


def test_what_is_not_live_is_said() -> None:
    """No broker, a silent meter, and a service that can't work."""
    home = Home()
    home.see_mains(mains(100), NOW)
    assert "No connection" in read(home).warnings[0]
    home.connected = True
    assert read(home).warnings == ()
    assert read(home, at_s=180).warnings == ("No reading from the meter since 07:30.",)
    home.see_status("sensor", ServiceStatus(online=True))
    home.see_health("sensor", ServiceHealth(at=NOW, version="1", started_at=NOW, blind="the port is gone"))
    assert read(home).warnings == ("Sensor: the port is gone",)
    home.see_health("sensor", ServiceHealth(at=NOW, version="1", started_at=NOW, blind="gone " * 300))
    assert len(read(home).warnings[0]) < 160


def test_demand_says_what_is_held_back_and_until_when() -> None:
    """And offers the way out of the event in force."""
    home = Home(connected=True)
    home.demand = DemandState(
        level="high", until=after(1_800), event="e1", shed=(ShedRelay(relay="heater", since=NOW, until=after(900)),), saved_kwh=0.4
    )
    card = read(home).demand
    assert (card.level, card.title, card.event) == ("high", "Use less", "e1")
    assert card.detail == "until 08:00 · 0.40 kWh saved"
    assert [row.text for row in card.shed] == ["Heater is held back until 07:45"]
    home.demand = DemandState(level="normal", saved_kwh=0.004)
    assert read(home).demand.detail == ""


def test_everybody_who_may_switch_has_a_name() -> None:
    """A switch is told with words of the catalogue, never with an id alone."""
    for source in get_args(Source):
        home = Home(connected=True)
        home.see_relay("bulb", RelayState(state="ON", how="read_back", changed_at=NOW, source=source))
        (row,) = read(home).switches
        assert f" · by {ENGLISH[f'source_{source}']} · " in row.detail


def test_the_log_is_in_order_once_and_bounded() -> None:
    """Alerts and switches, live and remembered, however they come."""
    home = Home()
    for number in reversed(range(300)):
        home.see_alert(Alert(id=str(number), rule="r", severity="info", title=f"t{number}", message="m", at=after(number)))
    home.see_alert(Alert(id="299", rule="r", severity="info", title="again", message="m", at=after(299)))
    home.see_relay("bulb", RelayState(state="ON", how="commanded", changed_at=after(150), source="local"))
    home.see_relay("bulb", RelayState(state="ON", how="commanded", changed_at=after(150), source="local"))
    assert [line.at for line in home.log] == sorted(line.at for line in home.log)
    assert len(home.log) <= 200
    assert len([line for line in home.log if line.relay]) <= 1
    assert read(home, at_s=400).alerts[0].title == "t299"


def test_the_house_page_reads_all_of_it() -> None:
    """Services with their trouble, the meter's age, messages with what became of them."""
    home = Home(connected=True)
    home.see_mains(mains(512), NOW)
    home.see_status("notifier", ServiceStatus(online=True))
    home.see_health(
        "notifier",
        ServiceHealth(
            at=NOW, version="1.2", started_at=NOW, work={"alerts": 5}, gauges={"sms_left_today": 8}, backlog=3, blind="no account"
        ),
    )
    home.see_status("sensor", ServiceStatus(online=False))
    home.see_message(NotifyMessage(id="m", at=NOW, recipient="me", channel="none", text="Kettle <b>on</b>", status="would_send"))
    page = house(home, after(300), Texts(), FIGURES)
    notifier, sensor = page.services
    assert (notifier.mark, notifier.work, notifier.backlog, notifier.trouble) == (
        "trouble",
        "sms left today 8 · alerts 5",
        "3",
        "no account",
    )
    assert (sensor.mark, sensor.state) == ("offline", "offline")
    assert page.meter[0] == ("Last reading", "07:30 · 5 min ago")
    assert page.messages == (("07:30", "would be sent", "Me", "Kettle <b>on</b>"),)


def test_each_kind_of_error_keeps_its_own_count() -> None:
    """Bytes of noise and lost connections are not added up to one figure that means neither."""
    home = Home(connected=True)
    errors = {"disconnections": 2, "noise_bytes": 1_039, "malformed_messages": 0}
    home.see_health("sensor", ServiceHealth(at=NOW, version="1.2", started_at=NOW, errors=errors))
    (sensor,) = house(home, after(300), Texts(), FIGURES).services
    assert sensor.trouble == "so far: noise bytes 1,039, disconnections 2"


def test_names_without_end_do_not_fill_the_memory() -> None:
    """Who may write topics can't make the page grow."""
    home = Home()
    for number in range(1_000):
        home.see_appliance(f"a{number}", state(running=True))
        home.see_relay(f"r{number}", RelayState(state="ON", how="commanded", changed_at=NOW))
        home.see_event(f"e{number}", event("started", 0))
    assert max(len(home.appliances), len(home.relays)) <= 64
    assert len(home.runs.within(after(-60), after(60))) <= 64
