"""Events and states as messages."""

from datetime import UTC, datetime

from hems.contracts.appliances import ApplianceEvent, ApplianceState, ApplianceTaught, event_id
from services.disaggregator.domain.lessons import Lessons
from services.disaggregator.domain.saying import Appliance
from services.disaggregator.domain.tracking import Event


def event_message(home: str, event: Event, arrived_at: datetime) -> ApplianceEvent:
    """An event of a home, announced when the reading arrived that told of it."""
    at = moment(event.at_s)
    return ApplianceEvent(
        id=event_id(home, event.appliance, event.kind, at),
        kind=event.kind,
        at=at,
        announced_at=max(arrived_at, moment(event.announced_s)),
        confidence=event.confidence,
        duration_s=event.duration_s,
        energy_kwh=event.energy_kwh,
    )


def state_message(appliance: Appliance, time_s: float) -> ApplianceState:
    """What is said of an appliance at a tick."""
    return ApplianceState(
        observed_at=moment(time_s),
        running=appliance.running,
        power_w=appliance.power_w,
        confidence=appliance.confidence,
        since=None if appliance.since_s is None else moment(appliance.since_s),
    )


def taught_message(label: str, lessons: Lessons | None, at: datetime) -> ApplianceTaught:
    """The answer to a label; `lessons` is None where nothing could be learnt from it."""
    if lessons is None:
        return ApplianceTaught(at=at, label=label, heeded=False, words=0, by_example=False, log_odds=0.0)
    by_example = lessons.hindsight is not None
    return ApplianceTaught(at=at, label=label, heeded=True, words=len(lessons.words), by_example=by_example, log_odds=lessons.offset)


def moment(time_s: float) -> datetime:
    """Seconds since 1970 as a time of day, UTC."""
    return datetime.fromtimestamp(time_s, UTC)
