"""Assembles the recorder."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from hems.actor.bus import Actor
from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import Surroundings, run_service
from hems.actor.settings import HomeSettings, StorageSettings
from services.recorder.actor import Opened, Recorder, Source, Sources
from services.recorder.domain.failures import Unusable
from services.recorder.file_source import FileSource
from services.recorder.opening import database_url, opened_history
from services.recorder.settings import FleetSettings, HalfHourlyTariff, RecorderSettings, SourceSettings


def _build(settings: RecorderSettings, context: Context) -> Actor:
    return _of_one(settings, context) if settings.fleet is None else _of_many(settings, settings.fleet, context)


def _of_many(settings: RecorderSettings, fleet: FleetSettings, context: Context) -> Actor:
    # A home's recorder needs nothing of it.
    from services.recorder.fleet import FleetRecorder
    from services.recorder.opening_many import opened_histories

    configuration = Configuration.load()
    home = configuration.section(HomeSettings)
    url = database_url(settings, configuration.section(StorageSettings).directory / home.id)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncGenerator[Any]:
        try:
            async with opened_histories(url, home) as found:
                yield found
        except Unusable as error:
            raise ConfigurationError([Mistake(configuration.file, None, "recorder.database", str(error))]) from None

    broker = MqttBroker(Surroundings.of(configuration, "recorder").broker)
    return FleetRecorder(settings, fleet, context, broker, opened, home.currency)


def _of_one(settings: RecorderSettings, context: Context) -> Recorder:
    configuration = Configuration.load()
    home, storage = configuration.section(HomeSettings), configuration.section(StorageSettings)
    url = database_url(settings, storage.directory / home.id)

    @contextlib.asynccontextmanager
    async def opened() -> AsyncGenerator[Opened]:
        try:
            async with opened_history(url, home, for_service=True) as found:
                yield Opened(found.history, found.answers, str(found.set_aside) if found.set_aside else None)
        except Unusable as error:
            # A restart alone does not help: a person has to do what the message says.
            raise ConfigurationError([Mistake(configuration.file, None, "recorder.database", str(error))]) from None

    price = _source(settings.tariff.source) if isinstance(settings.tariff, HalfHourlyTariff) else None
    return Recorder(settings, context, opened, Sources(price, _source(settings.carbon)), home.currency)


def _source(settings: SourceSettings | None) -> Source | None:
    if settings is None:
        return None
    if settings.file is not None:
        return FileSource(Path(settings.file), settings.form, settings.scale)
    # It takes memory, which a home with a plain tariff need not give.
    from services.recorder.web_source import WebSource

    return WebSource(str(settings.url), settings.form, settings.scale)


if __name__ == "__main__":
    run_service("recorder", RecorderSettings, _build)
