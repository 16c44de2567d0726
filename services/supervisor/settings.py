"""Which services `hems up` keeps running."""

from typing import Annotated, ClassVar

from pydantic import Field

from hems.actor.settings import Section
from hems.contracts.catalog import SERVICES

READY: tuple[str, ...] = ("sensor", "disaggregator", "actuator", "load_manager", "recorder", "notifier", "bridge_adafruit", "dashboard")


class SupervisorSettings(Section):
    """`hems up`."""

    section: ClassVar[str] = "supervisor"

    services: Annotated[tuple[str, ...], Field(description=f"of {', '.join(SERVICES)}")] = READY
    own_broker: Annotated[bool, Field(description="start a Mosquitto of our own; otherwise one runs at broker.host")] = True
