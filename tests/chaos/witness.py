"""An actor in the page's place: it raises alerts that must become messages, and watches what the home says of its energy."""

from itertools import pairwise
from typing import Any

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT, ENERGY
from hems.contracts.energy import Energy


class Witness:
    """Its alerts go through an outbox, as those of every service do.

    Attributes:
        alerted: how many alerts were accepted.
        totals: what `total_kwh` has been, in the order in which it was said.
    """

    outputs = (ALERT,)

    def __init__(self, context: Context) -> None:
        self.alerted = 0
        self.totals: list[float] = []
        self.inputs: tuple[Input[Any], ...] = (Input(ENERGY, self._on_energy),)
        self._context = context

    async def run(self) -> None:
        """It only answers."""

    def alert(self) -> None:
        """Say that something burns."""
        number = self.alerted + 1
        alert = Alert(
            id=f"chaos-{number}", rule=f"chaos.{number}", severity="critical", title=f"Alert {number}", message="It burns.",
            at=self._context.clock.now(),
        )  # fmt: skip
        self._context.accept(ALERT, alert, message_id=alert.id, durable=True)
        self.alerted = number

    def falls(self) -> list[tuple[float, float]]:
        """Where `total_kwh` fell."""
        return [(before, after) for before, after in pairwise(self.totals) if after < before]

    async def _on_energy(self, message: Received[Energy]) -> None:
        self.totals.append(message.payload.total_kwh)
