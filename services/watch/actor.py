"""Shows the home in the terminal, live."""

from collections.abc import Callable
from typing import Any

from hems.actor.bus import Input, Received
from hems.contracts.alerts import NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, MAINS, NOTIFY_MESSAGE, RELAY, SERVICE_HEALTH, SERVICE_STATUS
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from services.watch.domain import View


class Watch:
    """An onlooker: keeps the view, and tells of what is news. It says nothing on the bus."""

    def __init__(self, view: View, tell: Callable[[View, object, str], None]) -> None:
        self._view = view
        self._tell = tell

    @property
    def inputs(self) -> tuple[Input[Any], ...]:
        """What is shown."""
        return (
            Input(MAINS, self._on_mains),
            Input(APPLIANCE, self._on_appliance),
            Input(APPLIANCE_EVENT, self._on_event),
            Input(RELAY, self._on_relay),
            Input(NOTIFY_MESSAGE, self._on_message),
            Input(SERVICE_STATUS, self._on_status),
            Input(SERVICE_HEALTH, self._on_health),
        )

    async def _on_mains(self, message: Received[Mains]) -> None:
        if self._view.see_mains(message.payload):
            self._tell(self._view, message.payload, "")

    async def _on_appliance(self, message: Received[ApplianceState]) -> None:
        self._view.appliances[message.parameters["appliance"]] = message.payload

    async def _on_event(self, message: Received[ApplianceEvent]) -> None:
        appliance = message.parameters["appliance"]
        if self._view.see_event(appliance, message.payload):
            self._tell(self._view, message.payload, appliance)

    async def _on_relay(self, message: Received[RelayState]) -> None:
        self._view.relays[message.parameters["relay"]] = message.payload
        self._tell(self._view, message.payload, message.parameters["relay"])

    async def _on_message(self, message: Received[NotifyMessage]) -> None:
        if self._view.see_message(message.payload):
            self._tell(self._view, message.payload, "")

    async def _on_status(self, message: Received[ServiceStatus]) -> None:
        self._view.online[message.parameters["service"]] = message.payload.online

    async def _on_health(self, message: Received[ServiceHealth]) -> None:
        self._view.health[message.parameters["service"]] = message.payload
