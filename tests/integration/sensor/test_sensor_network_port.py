"""The sensor's port on the network: an adapter that turns a serial line into a TCP connection."""

import asyncio
import socket

import pytest

from services.sensor.serial_port import Incoming, SerialPort


async def test_lines_come_over_tcp_and_the_end_of_the_connection_is_told() -> None:
    """`socket://host:port` is read like a serial port: bytes as they come, and an OSError once the adapter is gone."""
    adapters: list[asyncio.StreamWriter] = []
    line = b"11 1000.0 0.0 -0.0 21.5\r\n"

    async def adapter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        adapters.append(writer)
        while not writer.is_closing():  # what came before the port was open is dropped there
            writer.write(line)
            await asyncio.sleep(0.01)

    async with await asyncio.start_server(adapter, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with SerialPort(f"socket://127.0.0.1:{port}", 38_400).opened() as incoming:
            assert (await incoming.read()).endswith(line)
            adapters[0].close()
            with pytest.raises(OSError, match=r"disconnected|closed"):
                await _until_gone(incoming)
            await adapters[0].wait_closed()


async def _until_gone(incoming: Incoming) -> None:
    while await incoming.read():
        pass


async def test_an_adapter_that_is_away_is_an_os_error() -> None:
    """As with a cable that is pulled: the sensor says so, and tries again."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        async with SerialPort(f"socket://127.0.0.1:{port}", 38_400).opened():
            pass
