"""Which network speaks for which appliance, where several know it."""

from collections.abc import Sequence

from services.disaggregator.domain.running_network import RunningNetwork, Voice
from services.disaggregator.domain.tracking import Tracker

_FINE_ENOUGH = 1.5


def share_out(networks: Sequence[RunningNetwork], trackers: Sequence[Tracker], interval_s: float) -> None:
    """Give each appliance to one network; networks left without one, or given their first, start from a reset.

    Readings slower than a network's clock make it guess, so those that the readings are fine enough for go first; then
    the priority that the models declare, then the finer clock, then the order in which they were named.
    """
    before = [bool(network.voices) for network in networks]
    for network in networks:
        network.voices, network.watches_the_rest = [], False
    for column, tracker in enumerate(trackers):
        network, row = max(_knowing(networks, tracker), key=lambda choice: _fitness(*choice, interval_s))
        network.voices.append(_voice(network, row, column, tracker))
    speaking = [network for network in networks if network.voices]
    min(speaking, key=lambda network: network.model.period_s).watches_the_rest = True
    for network, spoke in zip(networks, before, strict=True):
        if bool(network.voices) != spoke:
            network.reset()


def _knowing(networks: Sequence[RunningNetwork], tracker: Tracker) -> list[tuple[RunningNetwork, int]]:
    return [(network, row) for network in networks for row, head in enumerate(network.model.heads) if head.appliance == tracker.appliance]


def _fitness(network: RunningNetwork, row: int, interval_s: float) -> tuple[bool, int, float]:
    model = network.model
    return interval_s <= _FINE_ENOUGH * model.period_s, model.heads[row].priority, -model.period_s


def _voice(network: RunningNetwork, row: int, column: int, tracker: Tracker) -> Voice:
    head = network.model.heads[row]
    return Voice(row, column, head, tracker, network.lag_ticks[head.corrected_lag], network.lessons[head.appliance])
