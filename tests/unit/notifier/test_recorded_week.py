"""What the default rules make of a recorded week in a real home."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, ENERGY, MAINS
from services.notifier.domain.appliance_rules import note_state
from services.notifier.domain.desk import Desk, DeskState, Letter
from services.notifier.domain.home import Home
from services.notifier.domain.hours import DayHours
from services.notifier.domain.rule import Candidate, Rule
from services.notifier.settings import NotifierSettings
from tests.support.recorded_week import ZONE, Said, recorded

START = datetime.fromisoformat("2015-01-05T00:00:00+00:00")
DAYS = 8
PAGE = Path(__file__).parents[3] / "docs" / "notifications.md"


def sent(settings: NotifierSettings) -> tuple[list[tuple[datetime, Letter]], dict[str, Candidate]]:
    """The letters of the week, and each candidate by its id."""
    rules = {name: rule.build(name) for name, rule in settings.rules.items()}
    desk, state = Desk(rules, settings.people(), ZONE, settings.daily_cap, settings.gather), DeskState()
    home = Home(ZONE, "GBP", began=START, since=START)
    letters, found, said = list[tuple[datetime, Letter]](), dict[str, Candidate](), recorded(START, START + timedelta(days=DAYS))
    now, place = START, 0
    while now < START + timedelta(days=DAYS):
        while place < len(said) and said[place].at <= now:
            candidates = hear(home, rules, said[place])
            found |= {candidate.id: candidate for candidate in candidates}
            desk.add(state, candidates)
            place += 1
        home.heard_at["notifier"] = now
        candidates = [candidate for rule in rules.values() for candidate in rule.on_time(home, now)]
        found |= {candidate.id: candidate for candidate in candidates}
        desk.add(state, candidates)
        letters += [(now, letter) for letter in desk.tick(state, now)[0]]
        now += timedelta(seconds=30)
    return letters, found


def hear(home: Home, rules: dict[str, Rule], said: Said) -> list[Candidate]:
    """What the rules make of one message."""
    appliance, payload, now = said.parameters.get("appliance", ""), said.payload, said.at
    found: list[Candidate] = []
    if said.topic is APPLIANCE:
        note_state(home, appliance, payload, now)
        found = [candidate for rule in rules.values() for candidate in rule.on_state(home, appliance, payload, now)]
    elif said.topic is APPLIANCE_EVENT:
        if payload.kind == "finished":
            home.note_run(appliance, payload.id, payload.at, payload.energy_kwh)
        found = [candidate for rule in rules.values() for candidate in rule.on_event(home, appliance, payload, now)]
    elif said.topic is MAINS:
        found = [candidate for rule in rules.values() for candidate in rule.on_mains(home, payload, now)]
        home.mains_at = payload.measured_at
    elif said.topic is ENERGY:
        home.note_energy(payload)
        found = [candidate for rule in rules.values() for candidate in rule.on_energy(home, payload, now)]
    return found


def table(letters: list[tuple[datetime, Letter]]) -> str:
    """As the page shows it."""
    rows = [
        f"| {now.astimezone(ZONE):%a %H:%M} | {', '.join(letter.rules)} | {letter.text.replace(chr(10), ' / ')} |"
        for now, letter in letters
    ]
    return "\n".join(["| when | rules | message |", "| --- | --- | --- |", *rows])


@pytest.fixture(scope="module")
def week() -> tuple[list[tuple[datetime, Letter]], dict[str, Candidate]]:
    """A person with quiet hours, and nothing else set."""
    values: dict[str, Any] = {"recipients": {"me": {"sms": "+447700900123", "quiet_hours": "22:00-07:00"}}}
    return sent(NotifierSettings.read(values, {}))


def test_few_messages_and_no_two_about_one_thing(week: tuple[list[tuple[datetime, Letter]], dict[str, Candidate]]) -> None:
    """At most three a day on average; one run of one appliance, one gap of the meter, is told once."""
    letters, found = week
    assert 1 <= len(letters) <= 3 * DAYS
    told = Counter(candidate.id if candidate.rule == "silence" else candidate.key for candidate in found.values())
    assert set(told.values()) == {1}
    runs = Counter(candidate.key.rsplit("/", 1)[-1] for candidate in found.values() if candidate.thing.startswith("appliance/"))
    assert set(runs.values()) == {1}, "a run is told by one rule only"
    quiet = DayHours.parse("22:00-07:00")
    assert not any(quiet.contain(now, ZONE) for now, _ in letters)


def test_the_page_shows_this_week(week: tuple[list[tuple[datetime, Letter]], dict[str, Candidate]]) -> None:
    """The table in the documentation is what the rules make of the recording today."""
    assert table(week[0]) in PAGE.read_text(encoding="utf-8")
