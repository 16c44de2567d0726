"""What one home has taught about one appliance of a network: by hindsight, and by people's words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from services.disaggregator.domain.hindsight import Hindsight
from services.disaggregator.domain.odds import logistic, logit
from services.disaggregator.domain.teaching import Word, offset

Verdict = Literal["on", "off", "wrong", "forget"]
MOST_WORDS = 50
LATELY_S = 300.0
"""Over how long the probability is averaged that `it is on now` speaks of."""
SHORT_S = 60.0
"""How much of a short load's course that speaks of."""


class _Span(NamedTuple):
    """Ticks that a word speaks of: their times, and the sum of their log-odds."""

    first_s: float
    last_s: float
    log_odds: float
    ticks: int = 1


class Lessons:
    """Corrects a network's probabilities, and keeps what that takes.

    Where the appliance learns from hindsight, words are examples for that; else they move its log-odds.
    """

    def __init__(self, hindsight: Hindsight | None = None) -> None:
        self.hindsight = hindsight
        self.words: list[Word] = []
        self.offset = 0.0
        self.changed = False
        self._time_s: float | None = None
        self._now = self._lately = 0.0
        self._ran: _Span | None = None
        self._running = False

    def at_once(self, time_s: float, probability: float, recent_w: Sequence[float]) -> float:
        """The probability at this tick, corrected; `recent_w` is the mains power of the ticks up to it, W."""
        share = 1.0 if self._time_s is None else min(1.0, (time_s - self._time_s) / LATELY_S)
        self._lately += share * (probability - self._lately)
        self._time_s, self._now = time_s, probability
        return self.corrected(probability) if self.hindsight is None else self.hindsight.heed(time_s, probability, recent_w)

    def corrected(self, probability: float) -> float:
        """A probability, moved by people's words."""
        return logistic(logit(probability) + self.offset) if self.offset else probability

    def note(self, running: bool) -> None:
        """Whether it was said to run at this tick."""
        if running and self._time_s is not None:
            time_s, log_odds = self._time_s, logit(self._now)
            ran = self._ran if self._running else None
            self._ran = _Span(ran.first_s, time_s, ran.log_odds + log_odds, ran.ticks + 1) if ran else _Span(time_s, time_s, log_odds)
        self._running = running

    def interrupted(self) -> None:
        """No readings came for a while."""
        self._time_s = None
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
        span = self._ran if verdict == "wrong" else self._present(verdict)
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

    def _present(self, verdict: Verdict) -> _Span | None:
        """What a word on the present speaks of: a run may have begun some minutes ago; what is off is off now."""
        if self._time_s is None:
            return None
        if verdict == "off":
            return _Span(self._time_s, self._time_s, logit(self._now))
        return _Span(self._time_s - SHORT_S, self._time_s, logit(self._now if self.hindsight else self._lately))

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
        restored = cls()
        restored.recall(saved)
        return restored

    def recall(self, saved: Mapping[str, Any]) -> None:
        """Take what was saved in the place of what is known."""
        self.hindsight = Hindsight.restore(saved["hindsight"]) if saved["hindsight"] else None
        self.words = [Word(float(log_odds), bool(ran)) for log_odds, ran in saved["words"]]
        self.offset = offset(self.words) if self.hindsight is None else 0.0
