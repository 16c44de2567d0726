"""Events of people's own programs, in a simulated home's time."""

from datetime import datetime

from hems.contracts.demand import DemandEvent


def in_domain_time(event: DemandEvent, now: datetime, rate: float, real: datetime) -> DemandEvent:
    """An event as it counts here.

    In a simulated home services live in the recording's time, and a person's program in real time: an event that
    begins nearer to the `real` time than to the domain's `now` is moved over, its spans stretched by the rate.
    """
    if abs(event.starts_at - real) >= abs(event.starts_at - now) or abs(real - now).total_seconds() < 60:
        return event
    return event.model_copy(update={"starts_at": now + (event.starts_at - real) * rate, "ends_at": now + (event.ends_at - real) * rate})
