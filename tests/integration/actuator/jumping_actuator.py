"""The actuator as a process whose wall clock a test moves: the file that `JUMPED_S_FILE` names holds the seconds."""

import asyncio
import os
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from hems.actor.clock import WallClock
from hems.actor.configuration import Configuration
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import Surroundings, serve
from hems.actor.store import Store
from services.actuator.__main__ import build
from services.actuator.settings import ActuatorSettings


class JumpingClock(WallClock):
    """The wall, moved."""

    def now(self) -> datetime:
        """As if somebody had set the clock."""
        return super().now() + timedelta(seconds=float(Path(os.environ["JUMPED_S_FILE"]).read_text() or "0"))


async def main() -> None:
    """Serve until killed."""
    configuration = Configuration.load()
    surroundings = Surroundings.of(configuration, "actuator")
    settings, log = configuration.section(ActuatorSettings), structlog.get_logger()
    with Store(surroundings.storage.directory / "jumping.db", log) as store:
        await serve(
            "actuator",
            lambda context: build(settings, context),
            broker=MqttBroker(surroundings.broker),
            root=surroundings.root,
            clock=JumpingClock(),
            store=store,
            log=log,
        )


if __name__ == "__main__":
    asyncio.run(main())
