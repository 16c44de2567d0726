"""Sunrise and sunset, by the astral library."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from astral import LocationInfo, Observer
from astral.geocoder import all_locations, database
from astral.sun import sunrise, sunset


@dataclass(frozen=True)
class Sun:
    """The sun over one place."""

    latitude: float
    longitude: float

    def at(self, event: Literal["sunrise", "sunset"], day: date) -> datetime | None:
        """When it rises or sets on a local date, UTC; None where it does neither."""
        observer = Observer(self.latitude, self.longitude)
        try:
            return (sunrise if event == "sunrise" else sunset)(observer, day, tzinfo=UTC)
        except ValueError:
            return None


def sun_of_time_zone(name: str) -> Sun | None:
    """The sun over the city that a time zone is named for: right within some minutes; None where that city is not known."""
    places: list[LocationInfo] = [place for place in all_locations(database()) if place.timezone == name]
    city = name.rsplit("/", 1)[-1].replace("_", " ")
    named = [place for place in places if place.name == city] or places
    return Sun(named[0].latitude, named[0].longitude) if named else None
