"""What docs/architecture.md promises, judged from files that the services have left, and from what others were told."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.chaos.home import MAX_ON_S, MIN_OFF_S, ChaosHome
from tests.chaos.verdict import Verdict

_TIMER_S = 1.5
"""How late a timer may be on a machine that does all of this at once."""
_AGAIN = ("an attempt without an answer is made again", "stopped while sending")
_SAFE = {"heater": "OFF", "fridge": "ON"}


def accepted_readings(home: ChaosHome) -> set[int]:
    """The times of all readings that the sensor has committed, µs since 1970."""
    found = home.rows("sensor", "sensor.db", "SELECT message_id FROM outbox WHERE topic LIKE '%/mains'")
    return {round(datetime.fromisoformat(at).timestamp() * 1e6) for (at,) in found}


def recorded_readings(home: ChaosHome) -> set[int]:
    """The times of all readings in the history."""
    return {at_us for (at_us,) in home.rows("recorder", "history.db", "SELECT at_us FROM mains")}


def accepted_events(home: ChaosHome) -> set[str]:
    """The ids of all appliance events that the disaggregator has committed."""
    found = home.rows("disaggregator", "disaggregator.db", "SELECT message_id FROM outbox WHERE topic LIKE '%/event'")
    return {identity for (identity,) in found}


def recorded_events(home: ChaosHome) -> list[str]:
    """The ids of all appliance events in the history."""
    return [key for (key,) in home.rows("recorder", "history.db", "SELECT key FROM happening WHERE kind = 'event'")]


def texts(home: ChaosHome) -> Counter[str]:
    """How often each of our alerts was taken by Twilio's stand-in; one message may tell of several things, a line each."""
    return Counter(line for body in home.twilio.bodies() for line in body.splitlines() if line.startswith("Alert "))


def expected_texts(home: ChaosHome) -> set[str]:
    """The text of each alert that was accepted."""
    return {f"Alert {number}: It burns." for number in range(1, home.seen.alerted + 1)}


def settled(home: ChaosHome) -> bool:
    """Nothing is under way any more."""
    kept = accepted_readings(home) <= recorded_readings(home) and accepted_events(home) <= set(recorded_events(home))
    return kept and expected_texts(home) <= texts(home).keys()


def judge(home: ChaosHome) -> list[Verdict]:
    """Every promise, of a home at its end."""
    return [*_history(home), *_messages(home), *_relays(home), *_services(home)]


def _history(home: ChaosHome) -> Iterator[Verdict]:
    accepted, recorded = accepted_readings(home), recorded_readings(home)
    figures = f"{len(accepted)} accepted, {len(recorded)} recorded, {len(accepted - recorded)} missing"
    yield Verdict("every accepted reading is in the history", accepted <= recorded and bool(accepted), figures)
    yield Verdict("nothing is in the history that was not accepted", recorded <= accepted, f"{len(recorded - accepted)} too many")
    told, kept = accepted_events(home), recorded_events(home)
    figures = f"{len(told)} accepted, {len(kept)} recorded"
    yield Verdict("every appliance event is in the history once", sorted(told) == sorted(kept), figures)
    falls = home.seen.falls()
    yield Verdict("total_kwh never falls", not falls and len(home.seen.totals) > 1, f"{len(home.seen.totals)} values, {len(falls)} falls")


def _messages(home: ChaosHome) -> Iterator[Verdict]:
    sent = texts(home)
    missing, twice = sorted(expected_texts(home) - sent.keys()), sum(count - 1 for count in sent.values())
    log = home.log()
    explained = sum(log.count(words) for words in _AGAIN)
    yield Verdict("every alert was sent", not missing, f"{home.seen.alerted} alerts, {len(missing)} missing {missing or ''}")
    yield Verdict("an alert is sent twice only where the log says why", twice <= explained, f"{twice} twice, {explained} explained")
    yield Verdict("Twilio's description was kept to", not home.twilio.violations, f"{len(home.twilio.violations)} violations")


def _services(home: ChaosHome) -> Iterator[Verdict]:
    log, page = home.log(), home.page
    bugs, mistakes = home.bugs(), log.count("the configuration has mistakes")
    figures = f"{len(bugs)} bugs{''.join(f', {bug}' for bug in bugs)}; {mistakes} starts with a wrong configuration"
    yield Verdict("no bug ended a service", not bugs and not mistakes, figures)
    figures = f"{page.visits} visits, {page.waited} had to wait, {page.unanswered} in vain, {page.broken} answers of a broken page"
    yield Verdict("the page comes back", page.unanswered == page.broken == 0 and page.visits > 0, figures)


def _relays(home: ChaosHome) -> Iterator[Verdict]:
    path = home.file("actuator", "relays.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    for relay, safe in _SAFE.items():
        own = [line for line in lines if line["relay"] == relay]
        begun = [line for line in own if line["event"] == "claimed"]
        unsafe = [line for line in begun if line["level"] != safe]
        yield Verdict(f"{relay} is safe at every start", not unsafe, f"{len(begun)} starts, {len(unsafe)} unsafe")
        longest_s = max(_able_s(home, own, safe), default=0.0)
        figures = f"{longest_s:.1f} s at most, {MAX_ON_S:g} s allowed"
        yield Verdict(f"{relay} is not away from safe for too long", longest_s <= MAX_ON_S + _TIMER_S, figures)
        switched = [line for line in own if line["event"] == "switched"]
        yield Verdict(f"{relay} was switched at all", len(switched) > 1, f"{len(switched)} times")
    fridge = [line for line in lines if line["relay"] == "fridge"]
    early = [
        after["monotonic_s"] - before["monotonic_s"]
        for before, after in pairwise(fridge)
        if before["level"] == "OFF" and after["event"] == "switched" and after["level"] == "ON"
    ]
    short = [seconds for seconds in early if seconds < MIN_OFF_S - 0.05]
    yield Verdict("fridge rests between two runs", not short, f"{len(early)} returns, {len(short)} too early")


def _able_s(home: ChaosHome, lines: list[dict[str, Any]], safe: str) -> Iterator[float]:
    """How long each time away from safe lasted, less the time in which the actuator's process was dead or frozen."""
    starts_s = [line["monotonic_s"] for line in lines if line["event"] == "claimed"]
    away = [(from_s, to_s or min((at_s for at_s in starts_s if at_s > from_s), default=float("inf"))) for from_s, to_s in home.away]
    for before, after in pairwise(lines):
        if before["level"] != safe:
            start_s, end_s = before["monotonic_s"], after["monotonic_s"]
            yield end_s - start_s - sum(max(min(end_s, to_s) - max(start_s, from_s), 0.0) for from_s, to_s in away)
