"""What the recorder is asked once the page starts, and every few minutes: the time before, and yesterday."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.relays import RelayState
from services.dashboard.desk import Desk
from services.dashboard.domain.answers import Answer, moment
from services.dashboard.domain.home import Home, Logged, Today
from services.dashboard.domain.periods import Period
from services.dashboard.domain.runs import events_of
from services.dashboard.domain.series import carbon_kg
from services.dashboard.domain.trace import POINTS

_LOG_DAYS = 7


async def remember(desk: Desk) -> None:
    """The line, the runs, the alerts and switches of before.

    Raises:
        Unanswered: the recorder does not answer.
    """
    now, home = desk.now(), desk.home
    for span_s, trace in home.traces.items():
        power = await desk.ask("mains", now - timedelta(seconds=span_s), now, points=POINTS)
        trace.seed([(at, mean_w) for at, mean_w in zip(power.moments(), power.column("mean_w"), strict=True) if mean_w is not None])
    for appliance, event in events_of((await desk.ask("events", now - timedelta(hours=24), now)).rows):
        home.see_event(appliance, event)
    for appliance, state in home.appliances.items():
        home.runs.see_state(appliance, state)  # what is so now goes over what was remembered
    week_ago = now - timedelta(days=_LOG_DAYS)
    see_alerts(home, await desk.ask("alerts", week_ago, now, points=100))
    see_switches(home, await desk.ask("relays", week_ago, now, points=100))
    see_messages(home, await desk.ask("messages", week_ago, now, points=100))


def see_alerts(home: Home, answer: Answer) -> None:
    """Put remembered alerts into the log; what can't be read is left out."""
    for _, _, said in answer.rows:
        try:
            home.see_alert(Alert.model_validate(said))
        except ValidationError:
            continue


def see_switches(home: Home, answer: Answer) -> None:
    """Put remembered switches into the log; what can't be read is left out."""
    for _, relay, said in answer.rows:
        try:
            state = RelayState.model_validate(said)
        except ValidationError:
            continue
        home.note(Logged(f"{relay}/{state.changed_at.isoformat()}/{state.state}", state.changed_at, relay=str(relay), state=state))


def see_messages(home: Home, answer: Answer) -> None:
    """Take remembered messages; what can't be read is left out."""
    live = list(home.messages.values())
    for _, _, said in answer.rows:
        try:
            home.see_message(NotifyMessage.model_validate(said))
        except ValidationError:
            continue
    for message in live:
        home.see_message(message)


async def sums_of_today(desk: Desk, zone: ZoneInfo) -> Today:
    """What yesterday had used and emitted by now, and today's carbon.

    Raises:
        Unanswered: the recorder does not answer.
    """
    now = desk.now()
    day = Period.holding("day", now, zone)
    yesterday = day.earlier()
    by_now = min(yesterday.start + (now - day.start), yesterday.end)
    before = await desk.ask("energy", yesterday.start, by_now, "15min", points=200) if by_now > yesterday.start else Answer()
    used = await desk.ask("energy", day.start, now, "15min", points=200)
    return Today(
        yesterday_kwh=sum(before.column("energy_kwh")) if before.rows else None,
        yesterday_cost=_cost(before),
        cost=_cost(used),
        carbon_kg=await _carbon(desk, used, day.start, now) if desk.home.carbon else None,
        yesterday_carbon_kg=await _carbon(desk, before, yesterday.start, by_now) if desk.home.carbon and before.rows else None,
    )


def _cost(energy: Answer) -> float | None:
    costs = [cost for cost in energy.column("cost") if cost is not None] if energy.rows else []
    return sum(costs) if costs else None


async def _carbon(desk: Desk, used: Answer, start: datetime, now: datetime) -> float | None:
    known = await desk.ask("carbon", start, now)
    intensities = [(moment(first), moment(last), float(value)) for first, last, value in known.rows]
    return carbon_kg(list(zip(used.moments(), used.column("energy_kwh"), strict=True)), intensities)
