"""Uvicorn on a port of ours, beside the rest of the service."""

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

_TRIES = 100
_LONGEST_MESSAGE_BYTES = 65_536
_MOST_CONNECTIONS = 256
_LEAVING_S = 1


class NoPort(Exception):
    """Nothing is free where the page should be."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals are the runner's."""
        yield


def bound_socket(host: str, wanted: int) -> socket.socket:
    """Listen on the port wanted, or the next one that is free.

    Raises:
        NoPort: none of the next hundred is, or the address is not this computer's.
    """
    failure: OSError | None = None
    for port in range(wanted, min(wanted + _TRIES, 65_536)):
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, port), family=family, backlog=128)
        except OSError as error:
            failure = error
    raise NoPort(f"no port from {wanted} on can be had on {host}: {failure}")


async def serve(application: ASGIApp, listening: socket.socket) -> None:
    """Serve until cancelled.

    Raises:
        RuntimeError: the server ended by itself.
    """
    configuration = uvicorn.Config(
        application, log_config=None, access_log=False, server_header=False, ws="websockets-sansio",
        ws_max_size=_LONGEST_MESSAGE_BYTES, limit_concurrency=_MOST_CONNECTIONS, h11_max_incomplete_event_size=16_384,
        timeout_graceful_shutdown=_LEAVING_S, lifespan="on",
    )  # fmt: skip
    server = _Server(configuration)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait((serving,), timeout=2 * _LEAVING_S)
        serving.cancel()
    raise RuntimeError("the page's server ended by itself")
