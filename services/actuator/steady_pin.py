"""A pin of lgpio that drives no level but the one that was asked for, from its claim to its release."""

from typing import Any

import lgpio  # pyright: ignore[reportMissingTypeStubs]
from gpiozero.pins.lgpio import LGPIOPin  # pyright: ignore[reportMissingTypeStubs]

_Pin: Any = LGPIOPin


class SteadyPin(_Pin):
    """gpiozero claims an output low and then sets it, which switches an active-low relay, or a solid-state one, for a moment.

    It also makes a pin an input without a pull when it is closed; here the level stays, until the kernel decides.
    """

    def output_with_state(self, state: bool) -> None:
        """Claim the pin as an output at this level."""
        claimed: Any = lgpio
        claimed.gpio_claim_output(self.factory._handle, self._number, int(state))

    def close(self) -> None:
        """Leave it at its level; the factory gives the chip back."""
