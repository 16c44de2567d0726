"""What people text back, and the code that a switch is confirmed with."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from hems.contracts.relays import Level, RelayState
from services.notifier.domain.desk import Note
from services.notifier.domain.home import Home
from services.notifier.domain.wording import energy, listed, money, name_of, power

CODE_VALID_FOR = timedelta(minutes=5)
MENU = "STATUS; MUTE 2H or MUTE OFF; ON or OFF and a relay's name; WRONG if the last announcement was. MENU shows this."

_MOST_TRIES = 3
_LONGEST_MUTE = timedelta(days=7)
_MUTE = re.compile(r"MUTE (\d{1,3}) ?(M|MIN|H|D)")
_UNIT = {"M": "minutes", "MIN": "minutes", "H": "hours", "D": "days"}


@dataclass(frozen=True)
class Ask:
    """STATUS, MENU or WRONG; `unknown` for words that mean nothing here."""

    what: Literal["status", "menu", "wrong", "unknown"]


@dataclass(frozen=True)
class Mute:
    """MUTE 2H; no length for MUTE OFF."""

    length: timedelta


@dataclass(frozen=True)
class Switch:
    """ON HEATER, OFF HEATER."""

    relay: str
    state: Level


@dataclass(frozen=True)
class Confirm:
    """Four digits."""

    code: str


Answer = Ask | Mute | Switch | Confirm


@dataclass(frozen=True)
class Pending:
    """A switch that waits for its code."""

    switch: Switch
    code: str
    asked_at: datetime
    tries: int = 0


@dataclass
class Codes:
    """One pending switch a person; a new one takes the place of the old."""

    pending: dict[str, Pending] = field(default_factory=dict[str, Pending])

    def ask(self, person: str, switch: Switch, code: str, now: datetime) -> None:
        """Wait for this code."""
        self.pending[person] = Pending(switch, code, now)

    def confirm(self, person: str, code: str, now: datetime) -> Switch | None:
        """The switch that the code belongs to, once; after three wrong ones, or five minutes, there is none."""
        waiting = self.pending.pop(person, None)
        if waiting is None or now - waiting.asked_at > CODE_VALID_FOR:
            return None
        if waiting.code == code:
            return waiting.switch
        if waiting.tries + 1 < _MOST_TRIES:
            self.pending[person] = replace(waiting, tries=waiting.tries + 1)
        return None


def read(text: str) -> Answer:
    """What a text means, however it is spaced and spelt."""
    words = " ".join(text.upper().split()).strip(".!")
    if words in ("STATUS", "MENU", "WRONG"):
        return Ask(words.lower())  # pyright: ignore[reportArgumentType] - one of the three
    if words == "MUTE OFF":
        return Mute(timedelta(0))
    if found := _MUTE.fullmatch(words):
        return Mute(min(timedelta(**{_UNIT[found[2]]: int(found[1])}), _LONGEST_MUTE))
    if re.fullmatch(r"\d{4}", words):
        return Confirm(words)
    if found := re.fullmatch(r"(ON|OFF) ([A-Z0-9_ -]{1,32})", words):
        return Switch(re.sub(r"[ -]", "_", found[2].lower()), "ON" if found[1] == "ON" else "OFF")
    return Ask("unknown")


def relay_called(name: str, relays: Iterable[str]) -> str | None:
    """The relay that a person means; dashes, spaces and underscores are alike."""
    return next((relay for relay in relays if relay.replace("-", "_") == name), None)


def status(home: Home, relays: Mapping[str, RelayState]) -> str:
    """The home in a sentence or two."""
    counters = home.energy
    cost = money(counters.today_cost, counters.currency or home.currency) if counters and counters.today_cost is not None else ""
    now = f"{power(home.power_w)} now" if home.power_w is not None else "power not known"
    today = f"{listed([energy(counters.today_kwh), cost])} today" if counters else ""
    running = listed(map(name_of, sorted(home.running_since))) or "nothing that is known"
    switched = listed(f"{name_of(relay)} {state.state}" for relay, state in sorted(relays.items()))
    return f"{listed([now, today])}. Running: {running}.{f' Relays: {switched}.' if switched else ''}"


def last_announced(notes: Iterable[Note], person: str) -> str | None:
    """The appliance that a person was told of last."""
    told = [note for note in notes if note.recipient == person and note.key.startswith("appliance/")]
    return max(told, key=lambda note: note.at).key.split("/")[1] if told else None
