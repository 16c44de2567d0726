"""Rules about the home as a whole: power, silence, relays, demand events, alerts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from hems.contracts.alerts import LIMIT_REACHED, Alert
from hems.contracts.demand import DemandEvent
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult
from services.notifier.domain.home import Home, OpenDemand, is_news, stamp
from services.notifier.domain.rule import Candidate, Rule
from services.notifier.domain.wording import clock_time, energy, name_of, power, span

_SEVERITIES = ("info", "warning", "critical")
_LONGEST_GAP = timedelta(minutes=2)
_OWN, _ACTUATOR = "notifier", "actuator"
_SILENT, _RECOVERED = ".silent", ".recovered"


@dataclass(frozen=True, kw_only=True)
class PowerAbove(Rule):
    """The home draws more than `above_w` for at least `lasting`: told once, until it has fallen clearly below."""

    fields: ClassVar[frozenset[str]] = frozenset({"time", "power", "limit", "duration"})

    above_w: float
    lasting: timedelta

    def on_mains(self, home: Home, mains: Mains, now: datetime) -> Iterable[Candidate]:
        """Follow how long the power has been too high; a gap in the readings begins it anew."""
        if not is_news(mains.measured_at, now):
            return
        told = f"{self.name}/above"
        if mains.power_w < 0.9 * self.above_w:
            home.memory.told.pop(told, None)
        if mains.power_w <= self.above_w or (home.mains_at is not None and mains.measured_at - home.mains_at > _LONGEST_GAP):
            home.above_since.pop(self.name, None)
        if mains.power_w <= self.above_w:
            return
        since = home.above_since.setdefault(self.name, mains.measured_at)
        if mains.measured_at - since >= self.lasting and told not in home.memory.told and home.memory.tell(told, stamp(since)):
            values = {
                "time": clock_time(since, home.zone),
                "power": power(mains.power_w),
                "limit": power(self.above_w),
                "duration": span(mains.measured_at - since),
            }
            yield self.found(stamp(since), "power", f"power/{self.above_w:g}/{stamp(since)}", values, now)


@dataclass(frozen=True, kw_only=True)
class Silent(Rule):
    """The meter, a service, or the broker itself is silent for longer than `longer_than`; its return is told too.

    While the broker can't be heard, nothing can be said of the others; while the sensor is gone, the meter's silence is no news.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"time", "what", "duration", "news"})

    longer_than: timedelta
    services: frozenset[str] | None = None

    def on_time(self, home: Home, now: datetime) -> Iterable[Candidate]:
        """Tell of silence that has become too long, and of what is heard again."""
        own = home.heard_at.get(_OWN)
        if now - (own or home.began) >= home.pulse:
            yield from self._judge(home, "broker", "The broker", own, own or home.began, now)
            home.since = now  # the others' silence counts from when they could be heard again
            return
        yield from self._judge(home, "broker", "The broker", own, now, now)
        for service in sorted(home.memory.online):
            if service != _OWN and (self.services is None or service in self.services):
                yield from self._service(home, service, now)
        if "sensor" not in home.offline_since:
            yield from self._judge(home, "meter", "The meter", home.mains_at, max(home.mains_at or home.since, home.since), now)

    def _service(self, home: Home, service: str, now: datetime) -> Iterable[Candidate]:
        gone, heard = home.offline_since.get(service), home.heard_at.get(service)
        last = gone or max(heard or home.since, home.since)
        return self._judge(home, f"service/{service}", f"The service {service}", None if gone else heard, last, now)

    def _judge(self, home: Home, thing: str, what: str, heard: datetime | None, last: datetime, now: datetime) -> Iterable[Candidate]:
        key = f"{self.name}/{thing}"
        told = home.memory.told.get(key)
        if told is None and now - last >= max(self.longer_than, home.pulse):
            home.memory.tell(key, stamp(last))
            yield self._candidate(home, thing, what, last, now, f"has been silent since {clock_time(last, home.zone)}")
        elif told is not None and heard is not None and is_news(heard, now) and heard > datetime.fromisoformat(told):
            del home.memory.told[key]
            away = span(heard - datetime.fromisoformat(told))
            yield self._candidate(home, thing, what, heard, now, f"is heard again after {away}", back=True)

    def _candidate(self, home: Home, thing: str, what: str, last: datetime, now: datetime, news: str, *, back: bool = False) -> Candidate:
        values = {"time": clock_time(last, home.zone), "what": what, "duration": span(now - last), "news": news}
        return self.found(f"{thing}/{stamp(last)}/{back}", thing, f"{thing}/{'back' if back else 'silent'}", values, now)


@dataclass(frozen=True, kw_only=True)
class RelayRefused(Rule):
    """A relay refused a command, did something else because of its limits, or reached one of them."""

    fields: ClassVar[frozenset[str]] = frozenset({"time", "relay", "news", "reason", "source"})

    sources: frozenset[str]

    def on_relay_result(self, home: Home, relay: str, result: RelayResult, now: datetime) -> Iterable[Candidate]:
        """Tell of a refusal to one of the sources, or of what was done instead."""
        if result.source not in self.sources or (result.accepted and result.reason is None):
            return
        verb = "has limited" if result.accepted else "refused"
        values = {
            "time": clock_time(now, home.zone),
            "relay": name_of(relay),
            "news": f"{verb} a command from {name_of(result.source)}",
            "reason": (result.reason or "no reason given").rstrip(". "),
            "source": result.source,
        }
        news = result.id or stamp(now)
        yield self.found(f"{relay}/{news}", f"relay/{relay}", f"relay/{relay}/{news}", values, now)

    def on_alert(self, home: Home, alert: Alert, now: datetime) -> Iterable[Candidate]:
        """Tell of a relay that its own limit has switched."""
        if alert.rule == LIMIT_REACHED and is_news(alert.at, now):
            relay, _, news = alert.title.partition(" ")
            reason = alert.message.rstrip(". ")
            values = {"time": clock_time(alert.at, home.zone), "relay": name_of(relay), "news": news, "reason": reason, "source": _ACTUATOR}
            yield self.found(alert.id, f"relay/{relay}", _key_of(alert), values, now)


@dataclass(frozen=True, kw_only=True)
class Demand(Rule):
    """A demand event is announced, and ends."""

    fields: ClassVar[frozenset[str]] = frozenset({"time", "level", "news", "reason"})

    def on_demand_event(self, home: Home, event: DemandEvent, now: datetime) -> Iterable[Candidate]:
        """Announce an event that is not over; take one back."""
        if event.level == "normal":
            ended = [event.id] if event.id in home.memory.demands else list(home.memory.demands)
            yield from self._ended(home, ended, now)
        elif event.ends_at > now:
            home.memory.demands[event.id] = OpenDemand(event.level, event.ends_at)
            yield self._candidate(home, event.id, event.level, _when(home, event), event.reason, now)

    def on_time(self, home: Home, now: datetime) -> Iterable[Candidate]:
        """Tell that an event's time is over; what ended while nobody looked is forgotten."""
        over = [name for name, event in home.memory.demands.items() if event.ends_at <= now]
        fresh = [name for name in over if is_news(home.memory.demands[name].ends_at, now)]
        yield from self._ended(home, fresh, now)
        for name in over:
            home.memory.demands.pop(name, None)

    def _ended(self, home: Home, events: Iterable[str], now: datetime) -> Iterable[Candidate]:
        for name in events:
            saved = home.demand.saved_kwh if home.demand and home.demand.event == name else None
            gain = f"about {energy(saved)} saved" if saved else None
            event = home.memory.demands.pop(name)
            yield self._candidate(home, name, event.level, f"ended at {clock_time(now, home.zone)}", gain, now)

    def _candidate(self, home: Home, event: str, level: str, news: str, reason: str | None, now: datetime) -> Candidate:
        values = {"time": clock_time(now, home.zone), "level": level, "news": news, "reason": f": {reason}" if reason else ""}
        return self.found(f"{event}/{news}", f"demand/{event}", f"demand/{event}/{news}", values, now)


@dataclass(frozen=True, kw_only=True)
class AlertRaised(Rule):
    """A service raised an alert of at least this severity; a critical one is urgent.

    Where a silence (`….silent`) was told, its end (`….recovered`) is too, whatever its severity.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"time", "title", "message", "severity", "rule"})

    severity: str = "warning"
    ignore: frozenset[str] = frozenset()

    def on_alert(self, home: Home, alert: Alert, now: datetime) -> Iterable[Candidate]:
        """Tell of a fresh alert; the notifier's own are told by whoever still can be reached."""
        if alert.rule in self.ignore or alert.rule.startswith(f"{_OWN}.") or not is_news(alert.at, now):
            return
        story, recovered = f"{self.name}/{alert.rule.removesuffix(_RECOVERED)}{_SILENT}", alert.rule.endswith(_RECOVERED)
        over = recovered and home.memory.told.pop(story, None) is not None
        if not over and _SEVERITIES.index(alert.severity) < _SEVERITIES.index(self.severity):
            return
        if alert.rule.endswith(_SILENT):
            home.memory.tell(f"{self.name}/{alert.rule}", stamp(alert.at))
        values = {
            "time": clock_time(alert.at, home.zone),
            "title": alert.title,
            "message": alert.message,
            "severity": alert.severity,
            "rule": alert.rule,
        }
        thing = _thing_of(alert.rule)
        yield self.found(alert.id, thing, _key_of(alert), values, now, urgent=alert.severity == "critical")


def _when(home: Home, event: DemandEvent) -> str:
    starts, ends = event.starts_at.astimezone(home.zone), event.ends_at.astimezone(home.zone)
    return f"{starts:%a %H:%M} to {ends:%H:%M}" if starts.date() == ends.date() else f"{starts:%a %H:%M} to {ends:%a %H:%M}"


def _thing_of(rule: str) -> str:
    """The sensor's silence is the meter's: one thing, whoever notices it first."""
    return "meter" if rule in ("sensor.silent", "sensor.recovered") else f"alert/{rule}"


def _key_of(alert: Alert) -> str:
    return {"sensor.silent": "meter/silent", "sensor.recovered": "meter/back"}.get(alert.rule, f"alert/{alert.id}")
