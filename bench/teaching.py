"""`make bench-teaching DATA=DIR`: do a few words a person says of an appliance help in a home that its model never saw?

Somebody who sees the home tells it of the first mistakes that it makes, as they show: what was announced and does not run is
`wrong`, what has run for some minutes without being said is `on`. After so many words an appliance is left alone, and the days
from there on are judged beside the same days without a word. All through the networks of `bench/folds`, which left the home out,
and the service's own streaming code.
"""

from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from bench.accuracy import FOLDS
from bench.packs import Pack, Recorded, find, key_of, read
from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.network import Network
from services.disaggregator.evaluation.scores import DAY_S
from services.disaggregator.evaluation.truth import rule_of, running, runs
from services.disaggregator.history import Flags, Times
from services.disaggregator.onnx_model import load

SHORT_LOADS = ("kettle", "microwave")
SEEN_AFTER_S = {True: 60.0, False: 600.0}
"""How long something runs before a person misses its announcement: a short load, and one that runs for hours."""
FORGIVEN_S = 600.0
"""An announcement so long before or after a true run is no mistake to a person."""


@dataclass
class Person:
    """Who sees one appliance, [samples], and says so much of it."""

    appliance: str
    times_s: Times
    on: Flags
    words_left: int
    started_s: float | None = None
    told_s: float | None = None
    missed: bool = True

    def sees(self, step: Step, running: bool) -> str | None:
        """What the person says after this step, if anything."""
        if not self.words_left:
            return None
        at = int(np.searchsorted(self.times_s, step.time_s, side="right")) - 1
        self.started_s = (self.started_s or step.time_s) if self.on[at] else None
        if self.started_s is None:
            self.missed = True
        verdict = self._verdict(step, running)
        if verdict is not None:
            self.words_left -= 1
            self.told_s = step.time_s
        return verdict

    def _verdict(self, step: Step, running: bool) -> str | None:
        if any(event.kind == "started" and event.appliance == self.appliance for event in step.events) and not self._runs_near(step.time_s):
            return "wrong"
        if self.started_s is None or running:
            self.missed = self.missed and not running
            return None
        if self.missed and step.time_s - self.started_s >= SEEN_AFTER_S[self.appliance in SHORT_LOADS]:
            self.missed = False
            return "on"
        return None

    def _runs_near(self, time_s: float) -> bool:
        first, last = np.searchsorted(self.times_s, [time_s - FORGIVEN_S, time_s + FORGIVEN_S]).tolist()
        return bool(self.on[first:last].any())


@dataclass
class Lived:
    """What was said of one appliance, tick by tick, at once and corrected."""

    times_s: list[float] = field(default_factory=list[float])
    running: list[bool] = field(default_factory=list[bool])
    corrected: list[bool] = field(default_factory=list[bool])


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--days", type=click.FloatRange(min=1), default=60.0, show_default=True, help="The last days of each pack.")
@click.option("--words", type=click.IntRange(min=1), default=5, show_default=True, help="Of each appliance.")
def main(data: Path, days: float, words: int) -> None:
    """Judge homes that were taught beside the same homes that were not.

    Example: python -m bench.teaching ~/homes --days 60
    """
    click.echo(f"{'appliance':16}{'home':12}{'words':>6}{'by day':>8}{'F1 without':>12}{'with':>7}{'corrected without':>19}{'with':>7}")
    for pack, network in _left_out(data):
        recorded = read(pack, days)
        if recorded is not None:
            _compare(pack, network, recorded, words)


def _left_out(data: Path) -> list[tuple[Pack, Network]]:
    """The packs at the models' own clock whose home some network left out."""
    folds = {
        (key_of(path.parent.name.replace("_", " ")), path.parts[-3]): load(path.parent) for path in sorted(FOLDS.glob("*/*/card.json"))
    }
    pairs = [(pack, network) for pack in find(data, {}) for (home, _), network in folds.items() if pack.home == home]
    return [(pack, network) for pack, network in pairs if pack.interval_s == network.model.period_s]


def _compare(pack: Pack, network: Network, recorded: Recorded, words: int) -> None:
    truth = {name: _truth(name, recorded, network.model.period_s) for name in recorded.truth_w}
    names = [head.appliance for head in network.model.heads if head.appliance in truth]
    people = {name: Person(name, recorded.times_s, truth[name], words) for name in names}
    alone = _lived(network, recorded, {})
    taught = _lived(network, recorded, people)
    for name in names:
        person = people[name]
        if person.told_s is None:
            click.echo(f"{name:16}{pack.home:12}{0:6d}  there was no mistake to speak of")
            continue
        figures = [_f1(lived[name], recorded, truth[name], person.told_s) for lived in (alone, taught)]
        (once, later), (once_taught, later_taught) = figures
        day = (person.told_s - recorded.times_s[0]) / DAY_S
        told = words - person.words_left
        click.echo(f"{name:16}{pack.home:12}{told:6d}{day:8.1f}{once:12.3f}{once_taught:7.3f}{later:19.3f}{later_taught:7.3f}")


def _truth(name: str, recorded: Recorded, interval_s: float) -> Flags:
    return running(recorded.times_s, runs(recorded.times_s, recorded.truth_w[name], rule_of(name, interval_s), interval_s))


def _lived(network: Network, recorded: Recorded, people: dict[str, Person]) -> dict[str, Lived]:
    home = Home([network])
    names = [appliance.appliance for appliance in home.appliances]
    lived = {name: Lived() for name in names}
    for time_s, power_w in zip(recorded.times_s.tolist(), recorded.mains_w.tolist(), strict=True):
        for step in home.read(time_s, power_w) if power_w == power_w else ():
            _note(lived, names, step)
            for name, person in people.items():
                verdict = person.sees(step, step.running[names.index(name)])
                if verdict is not None:
                    home.be_told(name, verdict)  # pyright: ignore[reportArgumentType]
    return lived


def _note(lived: dict[str, Lived], names: list[str], step: Step) -> None:
    if step.network is None:
        return
    for name, is_running in zip(names, step.running, strict=True):
        lived[name].times_s.append(step.time_s)
        lived[name].running.append(is_running)
        lived[name].corrected.append(is_running)
    for correction in step.corrections:
        lived[names[correction.column]].corrected[-1 - correction.ticks_ago] = correction.running


def _f1(lived: Lived, recorded: Recorded, truth: Flags, from_s: float) -> tuple[float, float]:
    """At once and corrected, from that time on."""
    place = np.searchsorted(recorded.times_s, lived.times_s)
    use = (np.array(lived.times_s) > from_s) & (place < len(truth))
    on = truth[place[use]]
    return _score(np.array(lived.running)[use], on), _score(np.array(lived.corrected)[use], on)


def _score(said: Flags, on: Flags) -> float:
    return 2 * float((said & on).sum()) / max(1, int(said.sum() + on.sum()))


if __name__ == "__main__":
    main()
