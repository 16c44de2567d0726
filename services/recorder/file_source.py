"""Reading a series from a file that somebody keeps up to date."""

import asyncio
from pathlib import Path

from services.recorder.domain.failures import Unread
from services.recorder.domain.series import SeriesForm, SeriesRow, read_series

_LONGEST_BYTES = 8_000_000


class FileSource:
    """A file that somebody keeps up to date."""

    def __init__(self, path: Path, form: SeriesForm, scale: float) -> None:
        self._path = path
        self._form: SeriesForm = form
        self._scale = scale

    async def read(self) -> list[SeriesRow]:
        """All values.

        Raises:
            Unread: the file can't be read.
            services.recorder.domain.series.UnreadableSeries: it is not in the form.
        """
        try:
            text = await asyncio.to_thread(self._path.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Unread(f"{self._path}: {error}") from None
        return read_series(text[:_LONGEST_BYTES], self._form, self._scale)
