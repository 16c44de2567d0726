"""The histories of many homes, opened as the settings say; a single home's recorder never loads this."""

import contextlib
from collections.abc import AsyncGenerator
from zoneinfo import ZoneInfo

from hems.actor.settings import HomeSettings
from services.recorder.answers import Answers
from services.recorder.database import opened
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.questions import BadQuestion
from services.recorder.history import History
from services.recorder.many import ManyHistories
from services.recorder.opening import parse_tariff
from services.recorder.replies import Find


@contextlib.asynccontextmanager
async def opened_histories(url: str, home: HomeSettings) -> AsyncGenerator[tuple[ManyHistories, Find]]:
    """Open those of many homes.

    Args:
        home: its time zone is that of all of them.

    Raises:
        services.recorder.domain.failures.Unavailable: nobody answers.
        services.recorder.domain.failures.Unusable: a newer version wrote it.
    """
    calendar = Calendar(ZoneInfo(home.time_zone))
    async with opened(url, for_service=True) as database:
        many = ManyHistories(database, calendar, parse_tariff)

        async def find(name: str) -> tuple[Answers, int]:
            if name not in many.homes:
                raise BadQuestion(f"nothing is known of a home named {name!r} yet")
            history = History(database, name, calendar, parse_tariff)
            await history.read()
            return Answers(database, history), history.raw_since_us

        yield many, find
