"""A judgement as a table for people."""

from services.disaggregator.evaluation.judge import Judgement, Verdict
from services.disaggregator.evaluation.scores import EventScores, SampleScores

_SAMPLES = ("F1", "precision", "recall", "MCC", "MAE W", "SAE")
_EVENTS = ("true", "told", "starts F1", "stops F1", "in time F1", "delay s", "P90 s", "false/day", "flicker/day")


def table(judgement: Judgement) -> str:
    """Every score of every appliance; a dash where there is nothing to say."""
    if not judgement.verdicts:
        return f"{judgement.home}: none of the appliances that the models know was metered here"
    parts = [f"{judgement.home}: judged each {judgement.interval_s:g} s"]
    return "\n\n".join([*parts, *("\n".join(_appliance(verdict)) for verdict in judgement.verdicts)])


def _appliance(verdict: Verdict) -> list[str]:
    energy, events = verdict.energy, verdict.events
    return [
        f"{verdict.appliance}, {verdict.days:.1f} days",
        _line("", _SAMPLES),
        _samples("said at once", verdict.causal),
        _samples("corrected", verdict.corrected),
        _samples("edge rule", verdict.edge.samples),
        _samples("always zero", verdict.zero.samples),
        _samples("mean", verdict.mean.samples),
        _line("", _EVENTS),
        _events("said at once", verdict.events),
        _events("edge rule", verdict.edge.events),
        f"  kWh a day: true {energy.true_kwh_a_day:.3f}, said {energy.said_kwh_a_day:.3f}, off by {energy.error_kwh_a_day:.3f}",
        f"  expected calibration error: {_number(verdict.calibration.ece, 4)}",
        f"  announced starts: {_number(events.confidence, 3)} claimed on average, {_number(events.true_share, 3)} were true",
    ]


def _samples(name: str, scores: SampleScores) -> str:
    shares = (scores.f1, scores.precision, scores.recall, scores.mcc)
    return _line(name, [*(_number(share, 3) for share in shares), _number(scores.mae_w, 2), _number(scores.sae, 3)])


def _events(name: str, scores: EventScores | None) -> str:
    if scores is None:
        return _line(name, ["-"] * len(_EVENTS))
    shares = (_number(share, 3) for share in (scores.starts_f1, scores.stops_f1, scores.announced_f1))
    delays = (_number(delay_s, 0) for delay_s in (scores.delay_median_s, scores.delay_p90_s))
    rates = (_number(rate, 2) for rate in (scores.false_a_day, scores.flicker_a_day))
    return _line(name, [str(scores.true), str(scores.said), *shares, *delays, *rates])


def _line(name: str, cells: tuple[str, ...] | list[str]) -> str:
    return f"  {name:14}" + "".join(f"{cell:>12}" for cell in cells)


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"
