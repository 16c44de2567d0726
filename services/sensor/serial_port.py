"""A serial port, or what stands for one: a pty, or an adapter on the network; read as it comes."""

import asyncio
import contextlib
import termios
from collections.abc import AsyncGenerator
from typing import Any

import serial
import serial_asyncio_fast  # pyright: ignore[reportMissingTypeStubs]

_MOST_HELD_BYTES = 65_536


class SerialPort:
    """One port by its path, locked while it is open: two readers would each get half of the bytes. Or socket://host:port."""

    def __init__(self, path: str, baud: int) -> None:
        self.path = path
        self._baud = baud

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator["Incoming"]:
        """Open the port; what it had received before is dropped.

        Raises:
            OSError: it is not there, in use, or not a serial port.
        """
        # A USB adapter's driver may take its time to open.
        device: Any = await asyncio.to_thread(self._open)
        incoming = Incoming()
        loop = asyncio.get_running_loop()
        # The device is exclusive to the transport from here on, and closed with it.
        transport: Any = serial_asyncio_fast.SerialTransport(loop, incoming, device)
        try:
            yield incoming
        finally:
            if not transport.is_closing():
                transport.abort()
            await incoming.ended.wait()

    def _open(self) -> Any:
        try:
            if self.path.startswith("socket://"):
                return serial.serial_for_url(self.path)
            return serial.Serial(self.path, baudrate=self._baud, exclusive=True)
        except (ValueError, termios.error) as error:  # a speed that the adapter lacks, or one that is pulled out just now
            raise OSError(f"it can't be set to {self._baud} baud: {error}") from None


class Incoming(asyncio.Protocol):
    """The bytes that have come and were not read yet; past 64 KiB the kernel holds them."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._transport: Any = None
        self.ended = asyncio.Event()

    async def read(self) -> bytes:
        """All bytes that have come since the last call, at least one.

        Raises:
            OSError: the port is gone, and everything that came before was read.
        """
        while not self._held:
            if self.ended.is_set():
                raise self._failure or ConnectionError("the port was closed")
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._held)
        self._held.clear()
        if not self.ended.is_set():
            self._transport.resume_reading()
        return data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is open."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        self._held += data
        self._changed.set()
        if len(self._held) > _MOST_HELD_BYTES:
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """The port is gone, or was closed here."""
        self._failure = exc if isinstance(exc, OSError) or exc is None else ConnectionError(str(exc))
        self.ended.set()
        self._changed.set()
