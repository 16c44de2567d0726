"""Series from files and addresses."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from services.recorder.domain.failures import Unread
from services.recorder.domain.series import UnreadableSeries
from services.recorder.file_source import FileSource
from services.recorder.web_source import WebSource
from tests.support.broker import free_port

_RATES = {"results": [{"value_inc_vat": 21.0, "valid_from": "2025-01-06T12:00:00Z", "valid_to": "2025-01-06T12:30:00Z"}]}


async def _answer(request: web.Request) -> web.Response:
    answers = {
        "rates": web.json_response(_RATES),
        "odd": web.Response(text="<html>maintenance</html>"),
        "large": web.Response(body=b" " * 9_000_000),
    }
    return answers.get(request.match_info["what"]) or web.Response(status=404)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """A supplier's server, well and not so well."""
    application = web.Application()
    application.router.add_get("/{what}", _answer)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_rates_are_fetched(address: str) -> None:
    """A supplier's answer becomes prices."""
    assert await WebSource(f"{address}/rates", "agile", 0.01).read() == [(1_736_164_800, 1_736_166_600, pytest.approx(0.21))]


@pytest.mark.parametrize("path", ["/missing", "/large"])
async def test_an_address_that_gives_nothing_says_so(address: str, path: str) -> None:
    """An error of the server and an endless answer are failures to try again, not crashes."""
    with pytest.raises(Unread):
        await WebSource(f"{address}{path}", "agile", 1).read()


async def test_nobody_there_says_so() -> None:
    """A refused connection is one of them too."""
    with pytest.raises(Unread):
        await WebSource(f"http://127.0.0.1:{free_port()}/", "agile", 1).read()


async def test_an_answer_of_another_kind_says_so(address: str) -> None:
    """A page that says maintenance is no series."""
    with pytest.raises(UnreadableSeries):
        await WebSource(f"{address}/odd", "agile", 1).read()


async def test_a_file_is_read(tmp_path: Path) -> None:
    """The same forms from a file; a missing one is a failure to try again."""
    file = tmp_path / "rates.json"
    with pytest.raises(Unread):
        await FileSource(file, "agile", 0.01).read()
    file.write_text(json.dumps(_RATES))
    assert len(await FileSource(file, "agile", 0.01).read()) == 1
