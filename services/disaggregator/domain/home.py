"""One home: several networks, each on its own clock, joined into one state per appliance."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from services.disaggregator.domain.lessons import Lessons, Verdict
from services.disaggregator.domain.network import Network
from services.disaggregator.domain.readings import Cadence
from services.disaggregator.domain.running_network import Answer, RunningNetwork, Voice
from services.disaggregator.domain.sharing import share_out
from services.disaggregator.domain.ticks import Tick
from services.disaggregator.domain.tracking import Event, Tracker
from services.disaggregator.domain.unknown_heater import UnknownHeater


class Correction(NamedTuple):
    """What is now known of appliance number `column`, `ticks_ago` ticks of the same network earlier."""

    column: int
    ticks_ago: int
    running: bool
    power_w: float


class Step(NamedTuple):
    """A tick of network number `network` and what is said with it, [appliances] in the home's order.

    After a gap a step without a tick (`network` is None) may tell of runs that ended in it. Corrections are left out
    where nothing runs, and nothing was said to run.
    """

    time_s: float
    mains_w: float
    network: int | None
    probability: list[float]
    running: list[bool]
    power_w: list[float]
    events: list[Event]
    corrections: list[Correction]


class Due(NamedTuple):
    """A tick, and the number of the network to ask."""

    tick: Tick
    network: int


class Taken(NamedTuple):
    """What a reading says by itself, and what it asks."""

    closing: Sequence[Step]
    due: Sequence[Due]


MOST_W = 100_000.0
_NOTHING = Taken((), ())
_READINGS, _ANSWERS, _LEARNT = "home/readings", "home/answers", "home/learnt"


class Home:
    """Takes readings in time's order and tells steps: one reading after another, or a year of them."""

    KEYS = (_READINGS, _ANSWERS, _LEARNT)
    """The parts of the state."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self.networks = [RunningNetwork(network) for network in networks]
        names = dict.fromkeys(head.appliance for network in networks for head in network.model.heads)
        self.trackers = [Tracker(name) for name in names]
        self.unknown_heater = UnknownHeater()
        self.reading_s: float | None = None
        self.counts: Counter[str] = Counter()
        self._cadence = Cadence()
        self._first: Tick | None = None
        self._shared_at_s: float | None = None
        self._speaking: list[tuple[int, RunningNetwork]] = []
        self._heaters: list[Tracker] = []
        self._answers_changed = True

    @property
    def appliances(self) -> list[Tracker | UnknownHeater]:
        """Every appliance that is spoken of, in the order of `Step.probability`."""
        return [*self.trackers, self.unknown_heater]

    @property
    def interval_s(self) -> float | None:
        """How far the meter's readings are apart, once two of them have told."""
        return self._cadence.interval_s

    def read(self, time_s: float, power_w: float) -> list[Step]:
        """One reading, seconds since 1970 and W: what the ticks that it completes say.

        Readings that are not later than the last one are dropped and counted.
        """
        closing, due = self.take(time_s, power_w)
        steps = list(closing)
        for tick, number in due:
            steps.append(self.hear(tick, number, self.networks[number].step(tick)))
        return steps

    def take(self, time_s: float, power_w: float) -> Taken:
        """The first half of `read`: what is said without asking, and which ticks to ask which network, in this order.

        Each answer goes to `hear` before the next is asked for, and all of them before the next reading.
        """
        last_s = self.reading_s
        if last_s is not None and time_s <= last_s:
            self.counts["dropped_readings"] += 1
            return _NOTHING
        self.counts["readings"] += 1
        self.reading_s = time_s
        if last_s is None:
            self._first = Tick(time_s, power_w)
            return _NOTHING
        return self._take_next(last_s, time_s, power_w)

    def _take_next(self, last_s: float, time_s: float, power_w: float) -> Taken:
        cadence, elapsed_s = self._cadence, time_s - last_s
        gap_s = cadence.gap_s
        cadence.observe(elapsed_s)
        if self._first is not None:
            return self._begin(self._first, time_s, power_w)
        if elapsed_s > gap_s and elapsed_s > cadence.gap_s:
            return self._gap(last_s, time_s, power_w)
        return Taken([], self._tick(time_s, power_w))

    def _begin(self, first: Tick, time_s: float, power_w: float) -> Taken:
        """The meter's interval has to be known before anything is said: the first reading waits for the second."""
        if self._cadence.interval_s is None:
            self._first = Tick(time_s, power_w)
            return _NOTHING
        self._first = None
        return Taken([], self._tick(first.time_s, first.power_w) + self._tick(time_s, power_w))

    def _gap(self, last_s: float, time_s: float, power_w: float) -> Taken:
        self.counts["resets"] += 1
        self._answers_changed = True
        heads = {voice.column: voice.head for network in self.networks for voice in network.voices}
        events = [self.trackers[column].gap(head, last_s, time_s) for column, head in sorted(heads.items(), key=lambda entry: entry[0])]
        told = [event for event in (*events, self.unknown_heater.gap(last_s, time_s)) if event]
        for network in self.networks:
            network.reset()
        closing = [self._said(Tick(time_s, power_w), None, told, [])] if told else []
        return Taken(closing, self._tick(time_s, power_w))

    def _tick(self, time_s: float, power_w: float) -> list[Due]:
        interval_s = self._cadence.interval_s or 0.0
        if interval_s != self._shared_at_s:
            self._share_out(interval_s)
        due = [Due(tick, number) for number, network in self._speaking for tick in network.ticks(time_s, power_w, interval_s)]
        if len(due) > 1:
            due.sort()
        return due

    def _share_out(self, interval_s: float) -> None:
        share_out(self.networks, self.trackers, interval_s)
        self._speaking = [(number, network) for number, network in enumerate(self.networks) if network.voices]
        self._heaters = [voice.tracker for network in self.networks for voice in network.voices if voice.head.heats]
        self._shared_at_s, self._answers_changed = interval_s, True

    def hear(self, tick: Tick, number: int, answer: Answer) -> Step:
        """The second half of `read`: what follows from the answer of network `number` to a tick."""
        network = self.networks[number]
        events, corrections = list[Event](), list[Correction]()
        for voice in network.voices:
            probability, watts = answer.probability[voice.row], answer.power_w[voice.row]
            corrected = self._correct(network, voice, probability, watts)
            if corrected is not None:
                corrections.append(corrected)
            now = self._at_once(network, voice, probability)
            event = voice.tracker.step(voice.head, tick.time_s, answer.elapsed_s, now, _at_most(watts[0], tick.power_w))
            voice.lessons.note(voice.tracker.running)
            if event is not None:
                events.append(event)
        if network.watches_the_rest:
            self._watch_the_rest(tick, answer.elapsed_s, events)
        self.counts["ticks"] += 1
        self._answers_changed = True
        return self._said(tick, number, events, corrections)

    def _at_once(self, network: RunningNetwork, voice: Voice, probability: list[float]) -> float:
        """What is said of this tick: the network's word, corrected by what the home has taught."""
        now = probability[0] if 0.0 <= probability[0] <= 1.0 else self._mended(probability[0])
        lessons = voice.lessons
        if lessons.hindsight is not None and 0 < voice.ticks_ago < network.heard_since_reset:
            lessons.hindsight.hear_later(network.time_then_s(voice.ticks_ago), self._mended(probability[voice.head.corrected_lag]))
        return lessons.at_once(network.stepped_s, now, network.recent_w)

    def _correct(self, network: RunningNetwork, voice: Voice, probability: list[float], watts: list[float]) -> Correction | None:
        """What this tick knows of an earlier one, where anything ran then or was said to."""
        ticks_ago, head, tracker = voice.ticks_ago, voice.head, voice.tracker
        if not ticks_ago or ticks_ago >= network.heard_since_reset:
            return None
        drawing = voice.lessons.corrected(probability[head.corrected_lag]) >= head.threshold_corrected
        then_s = network.time_then_s(ticks_ago)
        running = drawing or then_s - tracker.later_ran_s <= head.hold_corrected_s
        tracker.hear_later(head, then_s, drawing)
        if not running and not tracker.ran_since(then_s - network.model.period_s):
            return None
        drawn_w = _at_most(watts[head.corrected_lag], network.recent_w[-1 - ticks_ago]) if drawing else 0.0
        return Correction(voice.column, ticks_ago, running, drawn_w)

    def _watch_the_rest(self, tick: Tick, elapsed_s: float, events: list[Event]) -> None:
        rest_w = tick.power_w
        for tracker in self.trackers:
            if tracker.running:
                rest_w -= tracker.power_w
        event = self.unknown_heater.step(tick.time_s, elapsed_s, rest_w, self._heaters)
        if event is not None:
            events.append(event)

    def _said(self, tick: Tick, number: int | None, events: list[Event], corrections: list[Correction]) -> Step:
        known, rest = self.trackers, self.unknown_heater
        probability = [tracker.probability for tracker in known]
        running = [tracker.running for tracker in known]
        power_w = [tracker.power_w for tracker in known]
        probability.append(rest.probability)
        running.append(rest.running)
        power_w.append(rest.power_w)
        return Step(tick.time_s, tick.power_w, number, probability, running, power_w, events, corrections)

    def _mended(self, probability: float) -> float:
        """Calibration may overshoot by a rounding; anything else is a broken network, which then says nothing."""
        if probability != probability:
            self.counts["broken_answers"] += 1
            return 0.0
        return min(max(probability, 0.0), 1.0)

    def be_told(self, appliance: str, verdict: Verdict) -> Lessons | None:
        """A person's word on an appliance: what that network's lessons are now; None where the word speaks of nothing known."""
        for network in self.networks:
            for voice in network.voices:
                if voice.tracker.appliance == appliance:
                    return voice.lessons if voice.lessons.tell(verdict) else None
        return None

    def take_counts(self) -> dict[str, int]:
        """What was counted since the last call: readings, ticks, resets, dropped_readings, broken_answers."""
        counts, self.counts = self.counts, Counter[str]()
        return counts

    def save(self) -> dict[str, bytes]:
        """The parts of the state, by key, that have changed since the last call: the larger ones do so with some ticks only."""
        readings = {
            "reading_s": self.reading_s,
            "cadence": self._cadence.save(),
            "first": self._first,
            "clocks": {network.model.identity: network.save_clock() for network in self.networks},
        }
        saved = {_READINGS: json.dumps(readings).encode()}
        if self._answers_changed:
            self._answers_changed = False
            answers = {
                "states": {network.model.identity: network.save_state() for network in self.networks},
                "trackers": [tracker.save() for tracker in self.trackers],
                "unknown_heater": self.unknown_heater.save(),
                "shared_at_s": self._shared_at_s,
            }
            saved[_ANSWERS] = json.dumps(answers).encode()
        if any(network.has_learnt for network in self.networks):
            learnt = {network.model.identity: network.save_learnt() for network in self.networks}
            saved[_LEARNT] = json.dumps(learnt).encode()
        return saved

    def restore(self, saved: Mapping[str, bytes]) -> None:
        """Go on where `save` was called. A network whose file has changed since starts from a reset.

        Raises:
            ValueError, KeyError, TypeError: another version saved it.
        """
        if _READINGS not in saved:
            return
        readings = json.loads(saved[_READINGS])
        self.reading_s = readings["reading_s"]
        self._cadence = Cadence.restore(readings["cadence"])
        self._first = Tick(*readings["first"]) if readings["first"] else None
        if _ANSWERS not in saved:
            return
        learnt: dict[str, Any] = json.loads(saved[_LEARNT]) if _LEARNT in saved else {}
        answers = json.loads(saved[_ANSWERS])
        self._restore_trackers(answers)  # first of all: sharing out resets what begins to speak
        for network in self.networks:
            identity = network.model.identity
            network.restore_learnt(learnt.get(identity, {}))
            if identity in readings["clocks"] and identity in answers["states"]:
                network.restore(readings["clocks"][identity], answers["states"][identity])

    def _restore_trackers(self, spoken: Mapping[str, Any]) -> None:
        saved = {tracker["appliance"]: tracker for tracker in spoken["trackers"]}
        self.trackers = [Tracker.restore(saved[tracker.appliance]) if tracker.appliance in saved else tracker for tracker in self.trackers]
        self.unknown_heater = UnknownHeater.restore(spoken["unknown_heater"])
        if spoken["shared_at_s"] is not None:
            self._share_out(spoken["shared_at_s"])


def _at_most(power_w: float, mains_w: float) -> float:
    """An appliance draws at most what the home draws; where the home exports, that says nothing."""
    return max(0.0, min(power_w, mains_w if mains_w > 0 else MOST_W))
