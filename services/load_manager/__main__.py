"""Assembles the load manager."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.load_manager.actor import LoadManager
from services.load_manager.domain.schedules import SunAt, SunEvent
from services.load_manager.settings import LoadManagerSettings


def build(settings: LoadManagerSettings, context: Context) -> LoadManager:
    """Put it together.

    Raises:
        ConfigurationError: a schedule begins with the sun, and nobody knows where the home is.
    """
    home = Configuration.load().section(HomeSettings)
    return LoadManager(settings, context, ZoneInfo(home.time_zone), _sun_at(home) if settings.needs_the_sun else _no_sun)


def _sun_at(home: HomeSettings) -> SunAt:
    from services.load_manager.sun import Sun, sun_of_time_zone

    if home.latitude is not None and home.longitude is not None:
        return Sun(home.latitude, home.longitude).at
    sun = sun_of_time_zone(home.time_zone)
    if sun is None:
        message = "a schedule begins with the sun; set home.latitude and home.longitude, in degrees"
        raise ConfigurationError([Mistake("hems.yaml", None, "home", message)])
    return sun.at


def _no_sun(event: SunEvent, day: date) -> datetime | None:
    return None


if __name__ == "__main__":
    run_service("load_manager", LoadManagerSettings, build)
