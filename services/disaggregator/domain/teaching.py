"""What people's words teach of one appliance: how much likelier it is in this home than the network believes, or less.

The network stays as it is: one number is added to its log-odds, the most likely one given the words and a normal prior
(a logistic regression with nothing but an offset, by Newton's method). It is used only where it would have foretold each
word clearly better from the other words than the network did alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

from services.disaggregator.domain.odds import cross_entropy, logistic

PRIOR_VARIANCE = 1.0
HELPS = 0.8
"""The words have to be foretold by so much better: people speak of mistakes alone, which look worse than the days between."""
_ROUNDS = 30


class Word(NamedTuple):
    """A person's word: the log-odds that the network gave, and whether it was true."""

    log_odds: float
    ran: bool


def offset(words: Sequence[Word]) -> float:
    """What to add to the log-odds; 0 where the words don't show that it helps."""
    return _fitted(words) if _helps(words) else 0.0


def _fitted(words: Sequence[Word]) -> float:
    added = 0.0
    for _ in range(_ROUNDS):
        chances = [logistic(word.log_odds + added) for word in words]
        slope = sum(word.ran - chance for word, chance in zip(words, chances, strict=True)) - added / PRIOR_VARIANCE
        added += slope / (sum(chance * (1 - chance) for chance in chances) + 1 / PRIOR_VARIANCE)
    return added


def _helps(words: Sequence[Word]) -> bool:
    """Each word left out in turn and foretold from the others."""
    if len(words) < 2:
        return False
    before = sum(cross_entropy(word.log_odds, word.ran) for word in words)
    others = ([*words[:place], *words[place + 1 :]] for place in range(len(words)))
    after = sum(cross_entropy(word.log_odds + _fitted(rest), word.ran) for word, rest in zip(words, others, strict=True))
    return after < HELPS * before
