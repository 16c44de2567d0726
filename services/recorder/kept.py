"""What is kept of what is said: each topic, and the row that a message of it becomes."""

from collections.abc import Callable, Iterator
from typing import Any

from hems.actor.bus import Received
from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceLabel, ApplianceState
from hems.contracts.catalog import ALERT, APPLIANCE, APPLIANCE_EVENT, APPLIANCE_LABEL, DEMAND, MAINS, NOTIFY_MESSAGE, RELAY
from hems.contracts.demand import DemandState
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from hems.contracts.topic import Topic
from services.recorder.domain.records import Row, happening, mains_row, state_row

Kept = tuple[Topic[Any], Callable[[Received[Any]], Row]]


def kept_mains(*, channels: bool) -> Kept:
    """The meter's readings; `channels` keeps each channel's too."""

    def row(received: Received[Mains]) -> Row:
        return mains_row(received.payload, channels=channels)

    return MAINS, row


def kept_besides() -> Iterator[Kept]:
    """All else."""
    yield APPLIANCE, _state
    yield APPLIANCE_EVENT, _event
    yield APPLIANCE_LABEL, _label
    yield RELAY, _relay
    yield ALERT, _alert
    yield DEMAND, _demand
    yield NOTIFY_MESSAGE, _message


def _state(received: Received[ApplianceState]) -> Row:
    return state_row(received.parameters["appliance"], received.payload)


def _event(received: Received[ApplianceEvent]) -> Row:
    event = received.payload
    return happening("event", event.at, received.parameters["appliance"], event, event.id)


def _label(received: Received[ApplianceLabel]) -> Row:
    label = received.payload
    return happening("label", label.at, received.parameters["appliance"], label, label.id)


def _relay(received: Received[RelayState]) -> Row:
    return happening("relay", received.payload.changed_at, received.parameters["relay"], received.payload)


def _alert(received: Received[Alert]) -> Row:
    alert = received.payload
    return happening("alert", alert.at, alert.rule, alert, alert.id)


def _demand(received: Received[DemandState]) -> Row:
    state = received.payload
    # What it says of its time is the row's: the same state said again by a load manager that started is no change.
    return happening("demand", state.as_of or received.arrived_at, state.level, state.model_copy(update={"as_of": None}))


def _message(received: Received[NotifyMessage]) -> Row:
    message = received.payload
    return happening("message", message.at, message.recipient, message, f"{message.id}-{message.status}")
