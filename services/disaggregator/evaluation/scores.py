"""The measures: by sample, by event, by day, and of the stated confidence."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from services.disaggregator.domain.network import Floats
from services.disaggregator.domain.tracking import Event
from services.disaggregator.evaluation.truth import Run
from services.disaggregator.history import Flags, Times

DAY_S = 86_400.0
ANNOUNCED_WITHIN_S = 900.0
_BINS = 15


@dataclass(frozen=True)
class SampleScores:
    """Sample by sample; MAE in W, SAE the error of the whole energy as a share of it."""

    f1: float
    precision: float
    recall: float
    mcc: float
    mae_w: float
    sae: float


def sample_scores(said_on: Flags, said_w: Floats, truth_on: Flags, truth_w: Floats) -> SampleScores:
    """Scores of [samples] each."""
    both, said, true, count = (float(np.count_nonzero(flags)) for flags in (said_on & truth_on, said_on, truth_on, truth_on == truth_on))
    precision, recall = _share(both, said), _share(both, true)
    spread = np.sqrt(said * true * (count - said)) * np.sqrt(count - true)
    drawn_w, true_w = said_w.astype(np.float64), truth_w.astype(np.float64)
    return SampleScores(
        f1=_share(2 * both, said + true),
        precision=precision,
        recall=recall,
        mcc=_share(both * count - said * true, float(spread)),
        mae_w=float(np.abs(drawn_w - true_w).mean()) if count else float("nan"),
        sae=_share(abs(float(drawn_w.sum() - true_w.sum())), float(true_w.sum())),
    )


@dataclass(frozen=True)
class EventScores:
    """Events matched one to one.

    `starts_f1` and `stops_f1` judge the time that an event gives (`at`); `announced_f1` when it was told. A start also
    has to be told within 15 minutes of the true one. Delays are from the true start to the telling. A false announcement is one with no
    run to it; flicker is starting again within one true run. `confidence` is the mean that started events carry, `true_share` how many
    of them were told while a true run lasted: both are the same where the confidence can be trusted.
    """

    true: int
    said: int
    starts_f1: float
    starts_precision: float
    starts_recall: float
    stops_f1: float
    announced_f1: float
    delay_median_s: float
    delay_p90_s: float
    first_word_delay_median_s: float
    false_a_day: float
    flicker_a_day: float
    confidence: float
    true_share: float


def event_scores(events: list[Event], truth: list[Run], tolerance_s: float, days: float) -> EventScores:
    """Scores of one appliance's events against its true runs."""
    started = [event for event in events if event.kind == "started"]
    finished = [event for event in events if event.kind == "finished"]
    words = [event for event in events if event.kind != "finished"]
    starts, ends, late_s = [run.start_s for run in truth], [run.end_s for run in truth], max(tolerance_s, ANNOUNCED_WITHIN_S)
    dated = matched([event.at_s for event in started], starts, tolerance_s, tolerance_s)
    dated = [(event, run) for event, run in dated if started[event].announced_s <= starts[run] + late_s]
    told = _delays([event.announced_s for event in started], starts, tolerance_s, late_s)
    first_words = _delays(sorted(event.announced_s for event in words), starts, tolerance_s, late_s)
    ended = matched([event.at_s for event in finished], ends, tolerance_s, tolerance_s)
    told_of, again = _overlapping(started, truth, tolerance_s)
    return EventScores(
        true=len(truth),
        said=len(started),
        starts_f1=_share(2 * len(dated), len(started) + len(truth)),
        starts_precision=_share(len(dated), len(started)),
        starts_recall=_share(len(dated), len(truth)),
        stops_f1=_share(2 * len(ended), len(finished) + len(truth)),
        announced_f1=_share(2 * len(told), len(started) + len(truth)),
        delay_median_s=_quantile(told, 0.5),
        delay_p90_s=_quantile(told, 0.9),
        first_word_delay_median_s=_quantile(first_words, 0.5),
        false_a_day=_share(len(started) - told_of - again, days),
        flicker_a_day=_share(again, days),
        confidence=_mean([event.confidence for event in started]),
        true_share=(told_of + again) / len(started) if started else float("nan"),
    )


def matched(said: list[float], truth: list[float], early_s: float, late_s: float) -> list[tuple[int, int]]:
    """Pairs of indices, one to one, in time's order: what was said from `early_s` before to `late_s` after. Both are sorted."""
    pairs, at = list[tuple[int, int]](), 0
    for number, time_s in enumerate(truth):
        while at < len(said) and said[at] < time_s - early_s:
            at += 1
        if at < len(said) and said[at] <= time_s + late_s:
            pairs.append((at, number))
            at += 1
    return pairs


def _delays(said: list[float], truth: list[float], early_s: float, late_s: float) -> list[float]:
    return [said[event] - truth[run] for event, run in matched(said, truth, early_s, late_s)]


def _overlapping(started: list[Event], truth: list[Run], tolerance_s: float) -> tuple[int, int]:
    """How many starts were told while a true run lasted: the first of each run, and the repetitions."""
    told_of, again, ends = set[int](), 0, np.array([run.end_s for run in truth])
    for event in started:
        number = int(np.searchsorted(ends, event.announced_s - tolerance_s))
        if number < len(truth) and truth[number].start_s - tolerance_s <= event.announced_s:
            again += number in told_of
            told_of.add(number)
    return len(told_of), again


@dataclass(frozen=True)
class EnergyScores:
    """Energy by UTC day: the mean of the days' absolute errors, in kWh and as a share of the energy used."""

    true_kwh_a_day: float
    said_kwh_a_day: float
    error_kwh_a_day: float
    error_share: float


def energy_scores(times_s: Times, interval_s: float, said_w: Floats, truth_w: Floats) -> EnergyScores:
    """Scores of [samples] each."""
    _, day = np.unique((times_s // DAY_S).astype(np.int64), return_inverse=True)
    said, true = (np.bincount(day, power_w.astype(np.float64)) * interval_s / 3.6e6 for power_w in (said_w, truth_w))
    error = np.abs(said - true)
    return EnergyScores(_mean(true), _mean(said), _mean(error), _share(float(error.sum()), float(true.sum())))


@dataclass(frozen=True)
class Calibration:
    """The stated probability against what was so: expected calibration error, and a curve over equal bins of probability."""

    ece: float
    stated: tuple[float, ...]
    observed: tuple[float, ...]
    samples: tuple[int, ...]


def calibration(probability: Floats, truth_on: Flags) -> Calibration:
    """Of [samples] each."""
    number = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(number, minlength=_BINS)
    stated = np.bincount(number, probability.astype(np.float64), _BINS)
    observed = np.bincount(number, truth_on.astype(np.float64), _BINS)
    filled = count > 0
    return Calibration(
        ece=_share(float(np.abs(stated - observed).sum()), float(count.sum())),
        stated=tuple((stated[filled] / count[filled]).tolist()),
        observed=tuple((observed[filled] / count[filled]).tolist()),
        samples=tuple(count[filled].tolist()),
    )


def as_json(scores: Any) -> dict[str, Any]:
    """A dataclass of scores with numbers that JSON has: what can't be said is null."""
    return {name: None if value != value else value for name, value in asdict(scores).items()}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan") if part else 0.0


def _mean(values: Any) -> float:
    return float(sum(values)) / len(values) if len(values) else float("nan")


def _quantile(values: list[float], share: float) -> float:
    return float(np.quantile(values, share)) if values else float("nan")
