"""Which services `hems up` keeps running."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from hems.actor.settings import Section
from hems.contracts.catalog import SERVICES

READY: tuple[str, ...] = ("sensor", "disaggregator", "actuator", "load_manager", "recorder", "notifier", "bridge_adafruit", "dashboard")


def _known(services: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := sorted(set(services) - set(SERVICES)):
        raise ValueError(f"{unknown[0]!r} is no service; there are {', '.join(SERVICES)}")
    return tuple(dict.fromkeys(services))


class SupervisorSettings(Section):
    """`hems up`."""

    section: ClassVar[str] = "supervisor"

    services: Annotated[tuple[str, ...], AfterValidator(_known), Field(description=f"of {', '.join(SERVICES)}")] = READY
    own_broker: Annotated[bool, Field(description="start a Mosquitto of our own; otherwise one runs at broker.host")] = True
