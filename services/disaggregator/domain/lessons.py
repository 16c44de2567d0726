"""What one home has taught about one appliance of a network: by hindsight, and by people's words."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from services.disaggregator.domain.hindsight import Hindsight
from services.disaggregator.domain.odds import logistic, logit
from services.disaggregator.domain.teaching import Word, offset

Verdict = Literal["on", "off", "wrong", "forget"]
MOST_WORDS = 50
SPOKEN_OF_S = 600.0
"""`It is on now` speaks of so long, of a short load's last minute."""
SHORT_S = 60.0


class _Said(NamedTuple):
    """A tick, and what the network alone gave for it."""

    time_s: float
    probability: float


class _Span(NamedTuple):
    """Ticks that a word speaks of: their times, and the sum of their log-odds."""

    first_s: float
    last_s: float
    log_odds: float
    ticks: int


def _span(said: Sequence[_Said]) -> _Span | None:
    return _Span(said[0].time_s, said[-1].time_s, sum(logit(each.probability) for each in said), len(said)) if said else None


class Lessons:
    """Corrects a network's probabilities, and keeps what that takes.

    Where the appliance learns from hindsight, words are examples for that; else they move its log-odds.
    """

    def __init__(self, hindsight: Hindsight | None = None) -> None:
        self.hindsight = hindsight
        self.words: list[Word] = []
        self.offset = 0.0
        self.changed = False
        self._recent = deque[_Said]()
        self._ran: _Span | None = None
        self._running = False

    def at_once(self, time_s: float, probability: float, recent_w: Sequence[float]) -> float:
        """The probability at this tick, corrected; `recent_w` is the mains power of the ticks up to it, W."""
        recent = self._recent
        recent.append(_Said(time_s, probability))
        if time_s - recent[0].time_s > SPOKEN_OF_S:
            recent.popleft()
        return self.corrected(probability) if self.hindsight is None else self.hindsight.heed(time_s, probability, recent_w)

    def corrected(self, probability: float) -> float:
        """A probability, moved by people's words."""
        return logistic(logit(probability) + self.offset) if self.offset else probability

    def note(self, running: bool) -> None:
        """Whether it was said to run at this tick."""
        if running:
            time_s, log_odds = self._recent[-1].time_s, logit(self._recent[-1].probability)
            ran = self._ran if self._running else None
            self._ran = _Span(ran.first_s, time_s, ran.log_odds + log_odds, ran.ticks + 1) if ran else _Span(time_s, time_s, log_odds, 1)
        self._running = running

    def interrupted(self) -> None:
        """No readings came for a while."""
        self._recent.clear()
        if self.hindsight is not None:
            self.hindsight.forget_awaited()

    def tell(self, verdict: Verdict) -> bool:
        """A person's word: it is on or off now, the last announcement was wrong, or forget all that was taught.

        False where there is nothing that the word could speak of.
        """
        if verdict == "forget":
            self.words, self.offset, self.changed = [], 0.0, True
            self.hindsight = Hindsight() if self.hindsight else None
            return True
        span = self._ran if verdict == "wrong" else _span(self._spoken_of(verdict))
        if span is None:
            return False
        self.words = [*self.words, Word(span.log_odds / span.ticks, verdict == "on")][-MOST_WORDS:]
        self.changed = True
        if verdict == "wrong":
            self._ran = None  # the same run is spoken of once
        if self.hindsight is None:
            self.offset = offset(self.words)
        else:
            self.hindsight.be_told(span.first_s, span.last_s, verdict == "on")
        return True

    def _spoken_of(self, verdict: Verdict) -> list[_Said]:
        """The ticks that a word on the present speaks of: of a run that may have begun some minutes ago, or the last one alone."""
        if verdict == "off" or not self._recent:
            return list(self._recent)[-1:]
        since_s = self._recent[-1].time_s - (SPOKEN_OF_S if self.hindsight is None else SHORT_S)
        return [said for said in self._recent if said.time_s > since_s]

    @property
    def has_changed(self) -> bool:
        """Whether something was learnt since `save`."""
        return self.changed or (self.hindsight is not None and self.hindsight.changed)

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        self.changed = False
        return {"words": list(self.words), "hindsight": self.hindsight.save() if self.hindsight else None}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "Lessons":
        """Go on where `save` was called."""
        restored = cls(Hindsight.restore(saved["hindsight"]) if saved["hindsight"] else None)
        restored.words.extend(Word(float(log_odds), bool(ran)) for log_odds, ran in saved["words"])
        restored.offset = offset(restored.words) if restored.hindsight is None else 0.0
        return restored
