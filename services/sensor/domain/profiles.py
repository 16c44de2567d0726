"""The meters that are known by name."""

from collections.abc import Sequence
from typing import Literal

from services.sensor.domain import rpict
from services.sensor.domain.open_energy_monitor import parse_open_energy_monitor
from services.sensor.domain.rpict import MeterParser

MeterProfile = Literal["rpict3t1", "rpict3v1", "rpict7v1", "open_energy_monitor"]


def layouts(profile: MeterProfile, column_names: Sequence[str] | None) -> tuple[tuple[rpict.Column, ...], ...]:
    """The column orders in use; none where the lines name their values.

    Raises:
        services.sensor.domain.rpict.UnknownColumn: a column's name means nothing.
    """
    if column_names:
        return (rpict.columns(column_names),)
    return () if profile == "open_energy_monitor" else rpict.LAYOUTS[profile]


def meter_parser(profile: MeterProfile, column_names: Sequence[str] | None = None) -> MeterParser:
    """The parser for a meter; `column_names` go over the profile."""
    found = layouts(profile, column_names)
    return rpict.parser(found) if found else parse_open_energy_monitor
