"""A TCP proxy in front of the broker that cuts, delays and stalls."""

import asyncio
import contextlib


class Proxy:
    """Passes bytes on, as well as it is told to.

    Args:
        host: this computer's address to listen on.
        to: where the broker is.

    Attributes:
        delay_s: how much later everything arrives.
        open: cleared, nothing is passed on at all, and no connection ends either.
    """

    def __init__(self, host: str, to: tuple[str, int]) -> None:
        self.delay_s = 0.0
        self.open = asyncio.Event()
        self.open.set()
        self._host, self._to = host, to
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server is not None
        return self._host, self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        connections = list(self._connections)
        self.cut()
        await asyncio.gather(*connections, return_exceptions=True)

    def cut(self) -> int:
        """End every connection; how many there were."""
        cut = len(self._connections)
        for connection in list(self._connections):
            connection.cancel()
        return cut

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            there, back = await asyncio.open_connection(*self._to)
        except OSError:
            self._connections.discard(task)
            writer.close()
            return
        passing = [asyncio.create_task(self._pass(reader, back)), asyncio.create_task(self._pass(there, writer))]
        try:
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            pass  # cut
        finally:
            self._connections.discard(task)
            for way in passing:
                way.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # cut once more
                await asyncio.gather(*passing, return_exceptions=True)
            for end in (writer, back):
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay_s)
                await self.open.wait()
                writer.write(data)
                await writer.drain()
