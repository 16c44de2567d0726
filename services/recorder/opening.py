"""One home's history, opened as the settings say: for the service, and for the commands."""

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from hems.actor.settings import HomeSettings
from services.recorder.answers import Answers
from services.recorder.database import Database, only_user, opened, sqlite_path
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.tariff import Tariff
from services.recorder.history import History
from services.recorder.settings import RecorderSettings, TariffSettings

_TARIFF: TypeAdapter[TariffSettings] = TypeAdapter(TariffSettings)


@dataclass(frozen=True)
class OpenHistory:
    """A database, and one home's history in it."""

    database: Database
    history: History
    answers: Answers
    set_aside: Path | None


def database_url(settings: RecorderSettings, folder: Path) -> str:
    """Where the history lies: as the settings say, else in the folder of the home's files."""
    if settings.database is not None:
        return settings.database.get_secret_value()
    return f"sqlite:///{folder / 'history.db'}"


def parse_tariff(definition: str) -> Tariff:
    """A tariff as it was kept."""
    return Tariff() if json.loads(definition) is None else _TARIFF.validate_json(definition).tariff()


@contextlib.asynccontextmanager
async def opened_history(url: str, home: HomeSettings, *, for_service: bool) -> AsyncGenerator[OpenHistory]:
    """Open it.

    Args:
        for_service: check the file for damage, and hold it against a second service and a restore.

    Raises:
        services.recorder.domain.failures.Unavailable: nobody answers.
        services.recorder.domain.failures.Unusable: a newer version wrote it, or another service holds it.
    """
    path = sqlite_path(url)
    held = only_user(path) if path and for_service else contextlib.nullcontext()
    with held:
        async with opened(url, check=for_service, for_service=for_service) as database:
            history = History(database, home.id, Calendar(ZoneInfo(home.time_zone)), parse_tariff)
            yield OpenHistory(database, history, Answers(database, history), database.set_aside)
