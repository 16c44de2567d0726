"""Where the lines go: a pty that stands for a serial port, or a real port."""

import contextlib
import fcntl
import os
import socket
import struct
import termios
import tty
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

_MOST_UNREAD_BYTES = 1_024
_BAUD = {9_600: termios.B9600, 38_400: termios.B38400, 115_200: termios.B115200}


class Output(Protocol):
    """A port to print on."""

    def write(self, data: bytes) -> None:
        """Print; never waits."""
        ...


class PseudoTerminal:
    """A pty under a name of our choice. Its reader may come and go; what nobody reads is dropped, the oldest first."""

    def __init__(self, link: Path) -> None:
        self._link = link

    def __enter__(self) -> Self:
        # The reader's end stays open here too: else the pty would end with its first reader.
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        try:
            self._name = os.ttyname(self._theirs)
            _point(self._link, self._name)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            if str(self._link.readlink()) == self._name:
                self._link.unlink()
        self._close()

    def write(self, data: bytes) -> None:
        """Print a line."""
        if _unread_bytes(self._theirs) > _MOST_UNREAD_BYTES:
            termios.tcflush(self._theirs, termios.TCIFLUSH)
        with contextlib.suppress(BlockingIOError):
            os.write(self._ours, data)

    def _close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)


class SerialOutput:
    """A serial port that leads to the one that the sensor reads, through a null modem."""

    def __init__(self, path: Path, baud: int) -> None:
        self._path = path
        self._baud = baud

    def __enter__(self) -> Self:
        self._port = os.open(self._path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._port)
        settings = termios.tcgetattr(self._port)
        settings[4] = settings[5] = _BAUD[self._baud]
        termios.tcsetattr(self._port, termios.TCSANOW, settings)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._port)

    def write(self, data: bytes) -> None:
        """Print a line, or drop it where the port can't take it now."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._port, data)


class NetworkPort:
    """Prints to whoever connects over TCP, as an adapter from serial to network does; `socket://host:port` of the sensor."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._readers: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._listening = socket.create_server(self._address)
        self._listening.setblocking(False)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for open_socket in (self._listening, *self._readers):
            open_socket.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def write(self, data: bytes) -> None:
        """Print to all who listen by now; a reader that does not keep up misses it."""
        with contextlib.suppress(BlockingIOError):
            while True:
                reader, _ = self._listening.accept()
                reader.setblocking(False)
                self._readers.append(reader)
        self._readers = [reader for reader in self._readers if _sent(reader, data)]


def _sent(reader: socket.socket, data: bytes) -> bool:
    """False where the reader has gone; it is closed then."""
    try:
        reader.send(data)
    except BlockingIOError:
        return True
    except OSError:
        reader.close()
        return False
    return True


def _point(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link} is not a link; choose another name for the port, or remove it")
    link.parent.mkdir(parents=True, exist_ok=True)
    new = link.with_name(f".{link.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)


def _unread_bytes(port: int) -> int:
    return struct.unpack("i", fcntl.ioctl(port, termios.FIONREAD, b"\0\0\0\0"))[0]
