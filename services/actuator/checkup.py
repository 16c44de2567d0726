"""The doctor's look at the relays' pins."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hems.actor.configuration import ConfigurationError
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.findings import Finding, left_out, look, well
from services.actuator.gpio_board import is_raspberry_pi
from services.actuator.settings import ActuatorSettings


async def check(home: HomeSeen) -> Sequence[Finding]:
    """Which pins are not safe at power-on, and whether they can be driven at all. No pin is touched."""
    try:
        settings = home.configuration.section(ActuatorSettings)
    except ConfigurationError:
        return [left_out("relays", "the configuration has to be mended first")]
    if not settings.relays:
        return [left_out("relays", "there are none in hems.yaml")]
    return [*_board(settings, home.root), *_safety(settings)] or [well("relays", f"{len(settings.relays)} on the {settings.board} board")]


def _board(settings: ActuatorSettings, root: Path) -> Iterator[Finding]:
    if settings.board == "simulated":
        yield left_out("relays", "the board is simulated: nothing is switched")
    if settings.board != "gpio":
        return
    if not is_raspberry_pi(root / "proc/device-tree/model"):
        yield look("pins", "this is no Raspberry Pi: nothing is switched", "set actuator.board to simulated or tasmota, or run it on a Pi")
        return
    chips = sorted((root / "dev").glob("gpiochip*"))
    if not any(os.access(chip, os.R_OK | os.W_OK) for chip in chips):
        says = "this user may not drive the pins" if chips else "there is no /dev/gpiochip0"
        yield look("pins", says, "add the user to the group `gpio` (`sudo usermod -aG gpio $USER`), and log in again")


def _safety(settings: ActuatorSettings) -> Iterator[Finding]:
    for warning in settings.warnings():
        says, _, step = warning.partition("; ")
        yield look("pins", says, step or "see docs/hardware.md")
