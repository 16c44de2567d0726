"""The page Now, in words: what each figure says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from textwrap import shorten
from typing import Literal, get_args

from hems.contracts.relays import RelayState, Source
from services.dashboard.domain.colours import colour
from services.dashboard.domain.figures import Figures, change, duration, percent
from services.dashboard.domain.home import Home
from services.dashboard.domain.series import next_cheaper, value_at
from services.dashboard.domain.switching import Asked, Switching
from services.dashboard.domain.texts import Texts

_ALERTS_SHOWN = 5
_SOURCES = get_args(Source)
_SMALL_CHANGE = 0.03
_LEAST_SAVED_KWH = 0.005
_STANDING_CHARGE = 0.02
"""The least difference, in the home's currency, that is one and no rounding."""
_LONGEST_REASON = 140
"""The page Home has all of it."""


@dataclass(frozen=True)
class Tile:
    """A figure with what there is to say of it, and what it is compared to.

    `part` fills a bar, 0..1 or beyond; `better` colours the note, which says how it compares.
    """

    key: str
    label: str
    value: str
    note: str = ""
    better: bool | None = None
    detail: str = ""
    part: float | None = None
    part_label: str = ""


@dataclass(frozen=True)
class RunningCard:
    """An appliance that runs."""

    appliance: str
    name: str
    colour: int
    power: str
    since: str
    confidence: str
    today: str


@dataclass(frozen=True)
class SwitchRow:
    """A relay, where it stands, and what became of the newest command."""

    relay: str
    name: str
    on: bool
    state: str
    detail: str
    outcome: Literal["", "asked", "accepted", "confirmed", "refused", "no_answer"]
    said: str


@dataclass(frozen=True)
class ShedRow:
    """A relay that is held back."""

    relay: str
    name: str
    text: str


@dataclass(frozen=True)
class DemandCard:
    """What the grid or the household asks."""

    level: str
    title: str
    detail: str
    event: str | None
    shed: tuple[ShedRow, ...]


@dataclass(frozen=True)
class AlertRow:
    """An alert."""

    id: str
    severity: str
    word: str
    title: str
    message: str
    time: str


@dataclass(frozen=True)
class Now:
    """All of the page but the line."""

    power: str
    unit: str
    power_note: str
    spoken: str
    warnings: tuple[str, ...]
    tiles: tuple[Tile, ...]
    running: tuple[RunningCard, ...]
    idle: tuple[str, ...]
    switches: tuple[SwitchRow, ...]
    demand: DemandCard
    alerts: tuple[AlertRow, ...]


@dataclass(frozen=True)
class Reader:
    """Puts the home into words."""

    texts: Texts
    figures: Figures
    month_budget: float | None = None

    def now(self, home: Home, switching: Switching, now: datetime) -> Now:
        """The page."""
        power, unit = self.figures.power_parts(home.mains.power_w) if home.mains else ("\u2013", "")
        running = tuple(self._running(home, now))
        return Now(
            power=power,
            unit=unit,
            power_note=self._power_note(home),
            spoken=self._spoken(home, running),
            warnings=tuple(self.warnings(home, now)),
            tiles=tuple(self._tiles(home, now)),
            running=running,
            idle=tuple(sorted(self.texts.name(name) for name, state in home.appliances.items() if not state.running)),
            switches=tuple(self._switch(relay, state, switching.of(relay), now) for relay, state in sorted(home.relays.items())),
            demand=self._demand(home, now),
            alerts=tuple(self._alerts(home, now)),
        )

    def warnings(self, home: Home, now: datetime) -> list[str]:
        """What stands above every page, because what it shows may not be so."""
        text, found = self.texts, list[str]()
        if not home.connected:
            found.append(text("no_broker"))
        elif (since := home.silent_since(now)) is not None:
            found.append(text("silent_meter", time=self.figures.time(since, now)))
        for service, health in sorted(home.health.items()):
            reason = health.configuration_error or health.blind
            if reason and home.online.get(service, True) and service != "dashboard":
                found.append(text("blind", service=text.name(service), reason=shorten(reason, _LONGEST_REASON, placeholder=" \u2026")))
        return found

    def _power_note(self, home: Home) -> str:
        if home.mains is None:
            return self.texts("waiting")
        parts = [self.texts(home.mains.quality)]
        if home.mains.power_w < 0:
            parts.append(self.texts("exporting"))
        if home.mains.voltage_v is not None:
            parts.append(f"{home.mains.voltage_v:.0f} V")
        return " · ".join(parts)

    def _spoken(self, home: Home, running: Sequence[RunningCard]) -> str:
        if home.mains is None:
            return self.texts("waiting")
        names = self.texts("running_spoken", names=", ".join(card.name for card in running)) if running else self.texts("nothing_spoken")
        rounded_w = round(home.mains.power_w, -1 if abs(home.mains.power_w) < 1_000 else -2)
        return self.texts("power_spoken", power=self.figures.power(rounded_w), running=names)

    def _tiles(self, home: Home, now: datetime) -> list[Tile]:
        text, figures, energy = self.texts, self.figures, home.energy
        if energy is None:
            return []
        note, better = self._against(energy.today_kwh, home.today.yesterday_kwh)
        tiles = [Tile("today", text("today"), figures.energy(energy.today_kwh), note, better)]
        tiles.append(self._cost(home, now))
        intensity = value_at(home.carbon, now)
        if home.today.carbon_kg is not None or intensity is not None:
            tiles.append(self._carbon(home, intensity))
        tiles.append(self._month(home, now))
        return tiles

    def _carbon(self, home: Home, intensity: float | None) -> Tile:
        text, carbon_kg = self.texts, home.today.carbon_kg
        detail = text("carbon_now", figure=round(intensity)) if intensity is not None else ""
        if carbon_kg is None:
            return Tile("carbon", text("carbon"), "\u2013", detail=detail)
        note, better = self._against(carbon_kg, home.today.yesterday_carbon_kg)
        return Tile("carbon", text("carbon"), self.figures.carbon(carbon_kg), note, better, detail)

    def _cost(self, home: Home, now: datetime) -> Tile:
        text, figures, energy = self.texts, self.figures, home.energy
        if energy is None or energy.today_cost is None:
            return Tile("cost", text("cost"), "\u2013", detail=text("no_tariff"))
        rate = energy.rate if energy.rate is not None else value_at(home.price, now)
        parts = [text("rate_now", price=figures.money(rate, fine=True))] if rate is not None else []
        cheaper = next_cheaper(home.price, now)
        if cheaper is not None:
            parts.append(text("rate_cheaper", time=figures.time(cheaper, now)))
        if home.today.cost is not None and energy.today_cost - home.today.cost >= _STANDING_CHARGE:
            parts.append(text("fixed_included"))
        note, better = self._against(home.today.cost or 0.0, home.today.yesterday_cost if home.today.cost is not None else None)
        return Tile("cost", text("cost"), figures.money(energy.today_cost), note, better, " · ".join(parts))

    def _month(self, home: Home, now: datetime) -> Tile:
        text, figures, energy = self.texts, self.figures, home.energy
        if energy is None or energy.month_cost is None or self.month_budget is None:
            value = figures.money(energy.month_cost) if energy and energy.month_cost is not None else ""
            month_kwh = figures.energy(energy.month_kwh) if energy else ""
            return Tile("month", text("month"), value or month_kwh, detail=month_kwh if value else "")
        spent = energy.month_cost / self.month_budget
        within = spent <= month_passed(now.astimezone(figures.zone)) + 0.02
        note = f"{text('of_budget', budget=figures.money(self.month_budget))} · {text('within_budget' if within else 'over_budget')}"
        cost = figures.money(energy.month_cost)
        return Tile("month", text("month"), cost, note, within, part=spent, part_label=text("budget_meter"))

    def _against(self, today: float, yesterday: float | None) -> tuple[str, bool | None]:
        relative = None if yesterday is None else change(today, yesterday)
        if relative is None:
            return "", None
        if abs(relative) < _SMALL_CHANGE:
            return self.texts("same_as_yesterday"), None
        word = self.texts("more" if relative > 0 else "less")
        return self.texts("vs_yesterday", percent=percent(abs(relative)), word=word), relative < 0

    def _running(self, home: Home, now: datetime) -> list[RunningCard]:
        cards: list[RunningCard] = []
        for name, state in home.running():
            since = self.texts("runs")
            if state.since is not None:
                lasted = duration((now - state.since).total_seconds())
                since = self.texts("runs_since", time=self.figures.time(state.since, now), duration=lasted)
            used = home.energy_of.get(name)
            cards.append(
                RunningCard(
                    appliance=name,
                    name=self.texts.name(name),
                    colour=colour(name),
                    power=self.figures.power(state.power_w),
                    since=since,
                    confidence=self.texts("sure", percent=percent(state.confidence)),
                    today=self.texts("today_of", energy=self.figures.energy(used.today_kwh)) if used else "",
                )
            )
        return cards

    def _switch(self, relay: str, state: RelayState, asked: Asked | None, now: datetime) -> SwitchRow:
        text = self.texts
        parts = [text(state.how)]
        if state.source:
            parts.append(text("by_source", source=source_name(text, state.source)))
        if state.until is not None:
            parts.append(text("until", time=self.figures.time(state.until, now)))
        else:
            parts.append(text("since", time=self.figures.time(state.changed_at, now)))
        on = state.state == "ON"
        shown_on = asked.wanted == "ON" if asked is not None and asked.outcome == "asked" else on
        said = "" if asked is None else self._said(asked)
        word = text("on" if on else "off")
        return SwitchRow(relay, text.name(relay), shown_on, word, " · ".join(parts), asked.outcome if asked else "", said)

    def _said(self, asked: Asked) -> str:
        if asked.outcome == "accepted" and not asked.reason:
            return self.texts("asked")
        return self.texts(asked.outcome, reason=asked.reason or self.texts("no_reason"))

    def _demand(self, home: Home, now: datetime) -> DemandCard:
        text, demand = self.texts, home.demand
        if demand is None:
            return DemandCard("normal", text("level_normal"), "", None, ())
        parts = [demand.reason or ""]
        if demand.until is not None and demand.level != "normal":
            parts.append(text("until", time=self.figures.time(demand.until, now)))
        if demand.saved_kwh is not None and demand.saved_kwh >= _LEAST_SAVED_KWH:
            parts.append(text("saved", energy=self.figures.energy(demand.saved_kwh)))
        shed = tuple(
            ShedRow(
                row.relay,
                text.name(row.relay),
                text("shed", relay=text.name(row.relay), time=self.figures.time(row.until, now)),
            )
            for row in demand.shed
        )
        return DemandCard(demand.level, text(f"level_{demand.level}"), " · ".join(filter(None, parts)), demand.event, shed)

    def _alerts(self, home: Home, now: datetime) -> list[AlertRow]:
        return [
            AlertRow(
                alert.id,
                alert.severity,
                self.texts(f"severity_{alert.severity}"),
                alert.title,
                alert.message,
                self.figures.time(alert.at, now),
            )
            for alert in home.alerts(now)[:_ALERTS_SHOWN]
        ]


def source_name(texts: Texts, source: str) -> str:
    """Who asked, in words."""
    return texts(f"source_{source}") if source in _SOURCES else texts.name(source)


def month_passed(local: datetime) -> float:
    """Which part of the month is over, 0..1."""
    first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return (local - first) / (following - first)
