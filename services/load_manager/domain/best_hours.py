"""Loads that may wait: the cheapest, or the greenest, time within some hours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from hems.contracts.energy import SeriesValue
from hems.contracts.payload import Moment, Payload
from services.load_manager.domain.comfort import Hours

Best = Literal["cheapest", "greenest"]

_SLACK = timedelta(minutes=1)


class Span(Payload):
    """A time that was chosen, and has begun."""

    starts: Moment
    ends: Moment

    def moved(self, by: timedelta, latest: datetime) -> "Span":
        """The same on a clock that was set: it has begun."""
        starts = min(self.starts + by, latest)
        return Span(starts=starts, ends=starts + (self.ends - self.starts))


def begins_now(
    between: Hours, days: frozenset[int], lasts: timedelta, values: Sequence[SeriesValue], before: Span | None, local: datetime
) -> Span | None:
    """The span that begins now; None while a better time is to come, and once it has run in these hours.

    Where nothing is known of the hours to come, it begins so late that it still fits.

    Args:
        days: on which the hours begin; 0 is Monday.
        values: what is known of the series, in any order.
        before: the last span that was chosen.
        local: now, in local time.
    """
    hours = between.around(local)
    if hours is None or hours[0].weekday() not in days:
        return None
    # In UTC: spans are elapsed time, also over a change of the clocks.
    now, begin, end = (moment.astimezone(UTC) for moment in (local, *hours))
    if before is not None and before.starts >= begin:
        return None
    # By the minute, so that the moment at which a price changes is not missed.
    start = best_start(values, now.replace(second=0, microsecond=0), end - lasts, lasts) or end - lasts
    return Span(starts=now, ends=min(now + lasts, end)) if start <= now else None


def best_start(values: Sequence[SeriesValue], earliest: datetime, latest: datetime, lasts: timedelta) -> datetime | None:
    """When the mean over `lasts` is lowest, the earliest of equals; None where no whole span is known."""
    # The mean is lowest where the span begins or ends with a value, or at the end of the choice.
    edges = {earliest, latest, *(edge for value in values for edge in (value.start, value.end - lasts))}
    candidates = (edge for edge in sorted(edges) if earliest <= edge <= latest)
    means = [(mean, start) for start in candidates if (mean := _mean(values, start, start + lasts)) is not None]
    return min(means, key=lambda entry: entry[0])[1] if means else None


def _mean(values: Sequence[SeriesValue], start: datetime, end: datetime) -> float | None:
    shares = [(max((min(value.end, end) - max(value.start, start)).total_seconds(), 0.0), value.value) for value in values]
    known_s = sum(share_s for share_s, _ in shares)
    if known_s < (end - start - _SLACK).total_seconds() or known_s == 0:
        return None
    return round(sum(share_s * value for share_s, value in shares) / known_s, 9)
