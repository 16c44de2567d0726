"""From candidates to messages, over random weeks: nothing lost, nothing twice, nobody woken, no limit passed."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.desk import Desk, DeskState, Dropped, Letter, Recipient
from services.notifier.domain.gsm7 import segments
from services.notifier.domain.hours import DayHours
from services.notifier.domain.rule import Candidate, Limit, Rule

ZONES = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "America/Sao_Paulo", "UTC"]
LAST = "This is the last message today"
RULES = {
    "often": Rule(name="often", template="", limit=Limit(50, timedelta(days=1)), useful_for=timedelta(hours=20)),
    "rare": Rule(name="rare", template="", limit=Limit(2, timedelta(hours=6)), useful_for=timedelta(minutes=30)),
    "night": Rule(name="night", template="", quiet="none", limit=Limit(3, timedelta(days=1)), useful_for=timedelta(hours=1)),
    "lunch": Rule(name="lunch", template="", quiet=DayHours(time(12), time(13)), recipients=frozenset({"me"})),
}

day_hours = st.tuples(st.times(), st.times()).map(lambda both: (both[0].replace(second=0, microsecond=0), both[1])).filter(
    lambda both: both[0] != both[1]
).map(lambda both: DayHours(*both))  # fmt: skip
# The weeks round the clock changes of the zones above, and others.
beginnings = st.sampled_from(["2025-03-29", "2025-10-25", "2025-03-08", "2025-11-01", "2025-04-05", "2025-10-04", "2025-06-10"]).map(
    lambda day: datetime.fromisoformat(f"{day}T12:00:00+00:00")
)
happenings = st.lists(
    st.tuples(
        st.integers(0, 7 * 86_400),
        st.sampled_from(sorted(RULES)),
        st.integers(0, 5),
        st.booleans(),
        st.text(st.characters(exclude_characters="[]", exclude_categories=("Cs",)), min_size=1, max_size=260),
    ),
    max_size=60,
)


def candidates(began: datetime, drawn: list[tuple[int, str, int, bool, str]]) -> list[Candidate]:
    """What happens in the week, in order."""
    found: list[Candidate] = []
    for number, (after_s, rule, thing, urgent, text) in enumerate(sorted(drawn)):
        at = began + timedelta(seconds=after_s)
        until = at + RULES[rule].useful_for
        found.append(
            Candidate(f"{number}", rule, f"thing {thing}", f"key {number}", f"[{number}] {text}", at, until, urgent and number % 7 == 0)
        )
    return found


def replay(desk: Desk, happening: list[Candidate], until: datetime) -> tuple[list[tuple[datetime, Letter]], list[Dropped], DeskState]:
    """Let the week pass: each candidate is heard when it happens, and the desk looks each few minutes."""
    state, letters, dropped = DeskState(), list[tuple[datetime, Letter]](), list[Dropped]()
    waiting = list(happening)
    moments = sorted({*(c.at for c in happening), *(c.at + timedelta(seconds=31) for c in happening)})
    tick = happening[0].at if happening else until
    while tick < until:
        moments.append(tick)
        tick += timedelta(minutes=17)
    for now in sorted(moments):
        while waiting and waiting[0].at <= now:
            candidate = waiting.pop(0)
            dropped += desk.add(state, [candidate])
            assert desk.add(state, [candidate]) == [], "said again, it is no news"
        out, gone = desk.tick(state, now)
        letters += [(now, letter) for letter in out]
        dropped += gone
    return letters, dropped, state


@given(beginnings, st.sampled_from(ZONES), day_hours, st.integers(1, 6), happenings)
@settings(max_examples=120, deadline=None)
def test_a_random_week(began: datetime, zone_name: str, quiet: DayHours, cap: int, drawn: list[tuple[int, str, int, bool, str]]) -> None:
    """For any zone, any clock change, any happenings: each promise of the desk holds."""
    zone = ZoneInfo(zone_name)
    people = {"me": Recipient("me", quiet), "anna": Recipient("anna")}
    desk = Desk(RULES, people, zone, daily_cap=cap)
    happening = candidates(began, drawn)
    letters, dropped, state = replay(desk, happening, began + timedelta(days=9))
    by_id = {candidate.id: candidate for candidate in happening}

    # Every candidate comes to exactly one end for each of its recipients, or is still held.
    ends: dict[tuple[str, str], int] = {}
    for _, letter in letters:
        for note in all_notes(letter, by_id):
            ends[note.id, letter.recipient] = ends.get((note.id, letter.recipient), 0) + 1
    for drop in dropped:
        ends[drop.candidate.id, drop.recipient] = ends.get((drop.candidate.id, drop.recipient), 0) + 1
    for held in state.held:
        ends[held.candidate.id, held.recipient] = ends.get((held.candidate.id, held.recipient), 0) + 1
    wanted = {(c.id, name) for c in happening for name in people if RULES[c.rule].recipients is None or name == "me"}
    assert set(ends) == wanted
    assert set(ends.values()) <= {1}

    for now, letter in letters:
        parts = all_notes(letter, by_id)
        assert segments(letter.text) <= 2
        assert all(part.useful_until > now for part in parts)
        for part in parts:
            rule = RULES[part.rule]
            if rule.quiet == "recipient" and letter.recipient == "me" and not part.urgent:
                assert not quiet.contain(now, zone)
            if isinstance(rule.quiet, DayHours) and not part.urgent:
                assert not rule.quiet.contain(now, zone)
    check_limits(letters, by_id, zone, cap)


def all_notes(letter: Letter, by_id: dict[str, Candidate]) -> list[Candidate]:
    """The candidates that a letter tells of, by the ids that their texts begin with."""
    lines = letter.text.split("[")[1:]
    numbers = [line.split("]")[0] for line in lines]
    return [by_id[number] for number in numbers if number in by_id]


def check_limits(letters: list[tuple[datetime, Letter]], by_id: dict[str, Candidate], zone: ZoneInfo, cap: int) -> None:
    """The daily cap, its last word, and each rule's own limit."""
    for name in ("me", "anna"):
        mine = [(now, letter) for now, letter in letters if letter.recipient == name]
        days: dict[date, list[Letter]] = {}
        for now, letter in mine:
            days.setdefault(now.astimezone(zone).date(), []).append(letter)
        for of_day in days.values():
            for place, letter in enumerate(of_day, start=1):
                assert (LAST in letter.text) == (place == cap)
                assert place <= cap or any(part.urgent for part in all_notes(letter, by_id))
        for rule, urgent in itertools.product(RULES.values(), (False, True)):
            parts = [(now, part) for now, letter in mine for part in all_notes(letter, by_id)]
            told = [now for now, part in parts if (part.rule, part.urgent) == (rule.name, urgent)]
            for now in told:
                assert sum(now - rule.limit.per < other <= now for other in told) <= rule.limit.count


def test_a_removed_rule_or_recipient_is_said() -> None:
    """What is held for a rule that hems.yaml no longer has goes, with the reason."""
    now = datetime(2025, 1, 6, 12, tzinfo=UTC)
    desk = Desk(RULES, {"me": Recipient("me")}, UTC)
    state = DeskState()
    desk.add(state, candidates(now, [(0, "often", 1, False, "x")]))
    letters, dropped = Desk({}, {"me": Recipient("me")}, UTC).tick(state, now + timedelta(minutes=1))
    assert letters == []
    assert [drop.reason for drop in dropped] == ["its rule or its recipient is no longer in hems.yaml"]


def test_another_rule_does_not_tell_the_same_again() -> None:
    """Two rules with one key: the second is dropped, with the reason, for two hours."""
    now = datetime(2025, 1, 6, 12, tzinfo=UTC)
    desk, state = Desk(RULES, {"me": Recipient("me")}, UTC), DeskState()
    first = Candidate("a", "often", "meter", "meter/silent", "The meter is silent.", now, now + timedelta(hours=1))
    second = Candidate("b", "night", "meter", "meter/silent", "No reading.", now + timedelta(minutes=5), now + timedelta(hours=1))
    desk.add(state, [first])
    assert len(desk.tick(state, now + timedelta(minutes=1))[0]) == 1
    desk.add(state, [second])
    letters, dropped = desk.tick(state, now + timedelta(minutes=6))
    assert letters == []
    assert [drop.reason for drop in dropped] == ["already told by another rule"]


def test_a_critical_alert_is_not_held_up_by_warnings() -> None:
    """Neither the daily cap nor the rule's limit, once warnings have used them up, stands in its way."""
    now = datetime(2025, 1, 6, 12, tzinfo=UTC)
    desk, state = Desk(RULES, {"me": Recipient("me")}, UTC, daily_cap=2), DeskState()
    for number in range(4):
        at = now + timedelta(minutes=number)
        desk.add(state, [Candidate(f"w{number}", "rare", f"t{number}", f"w{number}", "Warning.", at, at + timedelta(minutes=30))])
        desk.tick(state, at + timedelta(seconds=40))
    later = now + timedelta(minutes=5)
    desk.add(state, [Candidate("c", "rare", "t", "c", "Critical.", later, later + timedelta(minutes=30), urgent=True)])
    letters, _ = desk.tick(state, later)
    assert [letter.text for letter in letters] == ["Critical."]
