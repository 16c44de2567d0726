"""Fetching a series from an address."""

import aiohttp

from services.recorder.domain.failures import Unread
from services.recorder.domain.series import SeriesForm, SeriesRow, read_series

_LONGEST_BYTES = 8_000_000
_PATIENCE_S = 20


class WebSource:
    """An address that answers with a series."""

    def __init__(self, url: str, form: SeriesForm, scale: float) -> None:
        self._url = url
        self._form: SeriesForm = form
        self._scale = scale

    async def read(self) -> list[SeriesRow]:
        """All values.

        Raises:
            Unread: nobody answers, or with an error.
            services.recorder.domain.series.UnreadableSeries: it is not in the form.
        """
        try:
            timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self._url) as response:
                response.raise_for_status()
                body = await _whole(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unread(f"{type(error).__name__}: {error}"[:300]) from None
        return read_series(body.decode("utf-8", errors="replace"), self._form, self._scale)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > _LONGEST_BYTES:
            raise Unread(f"the answer is longer than {_LONGEST_BYTES} bytes")
    return body
