"""Assembles the load manager."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import structlog

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.load_manager.actor import LoadManager
from services.load_manager.domain.schedules import SunAt, SunEvent
from services.load_manager.grid import Operator
from services.load_manager.settings import NOT_INSTALLED, LoadManagerSettings, OpenAdrSettings


def build(settings: LoadManagerSettings, context: Context) -> LoadManager:
    """Put it together.

    Raises:
        ConfigurationError: a schedule begins with the sun, and nobody knows where the home is.
    """
    home = Configuration.load().section(HomeSettings)
    sun_at = _sun_at(home) if settings.needs_the_sun else _no_sun
    return LoadManager(settings, context, ZoneInfo(home.time_zone), sun_at, _operator(settings.openadr, home, context))


def _operator(settings: OpenAdrSettings, home: HomeSettings, context: Context) -> Operator | None:
    """The OpenADR server; loads are managed without it where its library is missing."""
    if settings.vtn_url is None:
        return None
    try:
        from services.load_manager.openadr_ven import OpenAdrVen
    except ImportError as error:
        log: Log = structlog.get_logger()
        log.error(NOT_INSTALLED, reason=str(error))
        context.health.configuration_error = f"{NOT_INSTALLED} ({error})"
        return None
    return OpenAdrVen(settings, settings.ven_name or home.id)


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
