"""Assembles the recorder."""

import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings, StorageSettings
from services.recorder.actor import Opened, Recorder, Source, Sources
from services.recorder.domain.failures import Unusable
from services.recorder.file_source import FileSource
from services.recorder.opening import database_url, opened_history
from services.recorder.settings import HalfHourlyTariff, RecorderSettings, SourceSettings


def _build(settings: RecorderSettings, context: Context) -> Recorder:
    configuration = Configuration.load()
    home, storage = configuration.section(HomeSettings), configuration.section(StorageSettings)
    url = database_url(settings, home, storage)

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
