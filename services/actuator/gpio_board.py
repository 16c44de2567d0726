"""Relays on a Raspberry Pi's pins, through gpiozero and lgpio; elsewhere gpiozero's mock pins stand in."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hems.contracts.relays import Level

_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Wiring:
    """One relay's pin, by its BCM number."""

    pin: int
    active_high: bool
    safe: Level


def is_raspberry_pi(model: Path = _MODEL) -> bool:
    """Whether this machine has such pins."""
    try:
        return b"Raspberry Pi" in model.read_bytes()
    except OSError:
        return False


class GpioBoard:
    """Claims its pins in their safe levels, and leaves them so before it releases them.

    Args:
        wiring: the pins by relay.
        factory: gpiozero's pin factory; by default lgpio on a Pi and mock pins elsewhere.
    """

    def __init__(self, wiring: Mapping[str, Wiring], factory: Any = None) -> None:
        self._wiring = wiring
        self._factory = factory
        self._stack = ExitStack()
        self._devices: dict[str, Any] = {}

    def __enter__(self) -> Self:
        try:
            factory = self._factory or self._stack.enter_context(_factory())
            for relay, wiring in self._wiring.items():
                self._devices[relay] = self._stack.enter_context(_device(wiring, factory))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._devices.clear()
        self._stack.close()

    def switch(self, relay: str, level: Level) -> None:
        """Drive the pin.

        Raises:
            OSError: the pin could not be driven.
        """
        try:
            self._devices[relay].value = level == "ON"
        except Exception as error:
            raise OSError(f"BCM {self._wiring[relay].pin}: {error}") from error

    def level(self, relay: str) -> Level | None:
        """Read the pin back.

        Raises:
            OSError: the pin could not be read.
        """
        try:
            return "ON" if self._devices[relay].value else "OFF"
        except Exception as error:
            raise OSError(f"BCM {self._wiring[relay].pin}: {error}") from error


def _device(wiring: Wiring, factory: Any) -> Any:
    from gpiozero import OutputDevice  # pyright: ignore[reportMissingTypeStubs]

    return OutputDevice(wiring.pin, active_high=wiring.active_high, initial_value=wiring.safe == "ON", pin_factory=factory)


def _factory() -> Any:
    if not is_raspberry_pi():
        from gpiozero.pins.mock import MockFactory  # pyright: ignore[reportMissingTypeStubs]

        return MockFactory()
    # lgpio writes a file into the working directory when it is imported, which may be read-only.
    os.environ.setdefault("LG_WD", tempfile.gettempdir())
    from gpiozero.pins.lgpio import LGPIOFactory  # pyright: ignore[reportMissingTypeStubs]

    from services.actuator.steady_pin import SteadyPin

    factory: Any = LGPIOFactory()
    factory.pin_class = SteadyPin
    return factory
