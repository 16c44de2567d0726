"""Which of a Raspberry Pi's pins may drive a relay, by their BCM numbers."""

from hems.contracts.relays import Level

FIRST_PIN, LAST_PIN = 2, 27
_TAKEN = {
    0: "it reads the identity of an add-on board at boot",
    1: "it reads the identity of an add-on board at boot",
    4: "it resets the RPICT meter board",
    14: "it is the meter's serial line (TXD)",
    15: "it is the meter's serial line (RXD)",
}
_HARD_PULLED_UP = (2, 3)
_LAST_PULLED_UP = 8


def refused_pin(pin: int) -> str | None:
    """Why a pin can't drive a relay; None where it can."""
    if pin in _TAKEN:
        return f"BCM {pin} can't drive a relay: {_TAKEN[pin]}; 22, 23 and 24 are free"
    if not FIRST_PIN <= pin <= LAST_PIN:
        return f"BCM {pin} is not on the Pi's header; there are {FIRST_PIN} to {LAST_PIN}"
    return None


def boot_warning(pin: int, *, active_high: bool, safe: Level) -> str | None:
    """What the relay does from power-on until the actuator starts, where a person should know; None where all is well.

    At power-on the Pi pulls BCM 0 to 8 up and the others down (BCM2835 ARM Peripherals, table 6-31).
    """
    pulled_up = pin <= _LAST_PULLED_UP
    level: Level = "ON" if pulled_up == active_high else "OFF"
    direction = "up" if pulled_up else "down"
    if level != safe:
        advice = "choose another pin, another polarity, or a pull resistor on the board"
        return f"BCM {pin} is pulled {direction} at power-on: this relay is {level} until the actuator starts, and {safe} is safe; {advice}"
    if pulled_up:
        strong = " by a resistor of its own (I2C)" if pin in _HARD_PULLED_UP else ""
        return f"BCM {pin} is pulled up at power-on{strong}: this relay is {level} then, as is safe; check that the board does not click"
    return None
