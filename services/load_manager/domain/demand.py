"""Demand events: what is asked for now, and which of it people have opted out of."""

from datetime import datetime

from hems.contracts.demand import DemandEvent, DemandLevel, DemandOverride
from hems.contracts.payload import Payload
from services.load_manager.domain.grid import family_of

_ORDER: tuple[DemandLevel, ...] = ("normal", "moderate", "high", "special")
_MOST_EVENTS = 100


class Demands(Payload):
    """The events known and not over, and the opt-outs. Every change makes a new one; the store keeps it.

    Attributes:
        left_alone: relay, and the event during which it is left alone.
    """

    events: tuple[DemandEvent, ...] = ()
    opted_out: frozenset[str] = frozenset()
    left_alone: dict[str, str] = {}

    def with_event(self, event: DemandEvent, now: datetime) -> "Demands":
        """Take an event: an equal id replaces the earlier one; `normal` takes back its own id, or all in its span."""
        others = tuple(known for known in self.events if known.id != event.id and known.ends_at > now)
        if event.level != "normal":
            kept = (*others, event) if event.ends_at > max(now, event.starts_at) else others
            return self.model_copy(update={"events": kept[-_MOST_EVENTS:]})._opted_out_whole()
        if len(others) == len([known for known in self.events if known.ends_at > now]):
            others = tuple(known for known in others if known.ends_at <= event.starts_at or known.starts_at >= event.ends_at)
        return self.model_copy(update={"events": others})

    def with_override(self, override: DemandOverride, now: datetime) -> "Demands":
        """A person opts out of an event (the one in force, if none is named), or of it for one relay."""
        running = self.in_force(now)
        event = override.event or (running.id if running else None)
        if event is None:
            return self
        if override.relay is not None:
            return self.model_copy(update={"left_alone": {**self.left_alone, override.relay: event}})
        return self.model_copy(update={"opted_out": self.opted_out | {event}})._opted_out_whole()

    def _opted_out_whole(self) -> "Demands":
        """An operator's event may be several of ours: who opts out of one of them opts out of all."""
        families = {family_of(event) for event in self.opted_out}
        out = self.opted_out | {event.id for event in self.events if family_of(event.id) in families}
        return self if out == self.opted_out else self.model_copy(update={"opted_out": out})

    def tidied(self, now: datetime) -> "Demands":
        """Without what is over."""
        events = tuple(event for event in self.events if event.ends_at > now)
        if events == self.events:
            return self
        ids = {event.id for event in events}
        left = {relay: event for relay, event in self.left_alone.items() if event in ids}
        return Demands(events=events, opted_out=self.opted_out & ids, left_alone=left)

    def in_force(self, now: datetime) -> DemandEvent | None:
        """The strictest event of now that nobody opted out of."""
        running = [event for event in self.events if event.starts_at <= now < event.ends_at and event.id not in self.opted_out]
        return max(running, key=lambda event: _ORDER.index(event.level), default=None)

    def is_left_alone(self, relay: str, event: DemandEvent) -> bool:
        """Whether a person wants this relay left alone during this event."""
        return self.left_alone.get(relay) == event.id
