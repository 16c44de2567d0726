"""The broker as a process of ours."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from services.supervisor.mosquitto import BrokerFailed, BrokerNotFound, Mosquitto, find_mosquitto
from tests.support.broker import RealBroker, free_port


@pytest.fixture
def configuration(tmp_path: Path) -> tuple[Path, int]:
    """A configuration's file, and its port."""
    broker = RealBroker(tmp_path)
    return tmp_path / "mosquitto.conf", broker.port


async def test_it_listens_while_the_context_is_open(configuration: tuple[Path, int]) -> None:
    """Inside the context the broker runs, and says so; after it the process is gone."""
    file, port = configuration
    said: list[str] = []
    async with Mosquitto(file, host="127.0.0.1", port=port, log=said.append) as broker:
        pid = broker.pid
        os.kill(pid, 0)
    assert said
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_end_of_the_process_is_told(configuration: tuple[Path, int]) -> None:
    """Whoever waits for the broker's end learns which signal ended it."""
    file, port = configuration
    async with Mosquitto(file, host="127.0.0.1", port=port, log=print) as broker:
        os.kill(broker.pid, signal.SIGKILL)
        assert await broker.ended() == -signal.SIGKILL


async def test_a_broker_that_hangs_is_ended_even_while_we_are_cancelled(configuration: tuple[Path, int]) -> None:
    """A frozen broker does not outlive us, nor hold us up."""
    file, port = configuration
    frozen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def hold() -> None:
        async with Mosquitto(file, host="127.0.0.1", port=port, log=print, patience_s=0.5) as broker:
            os.kill(broker.pid, signal.SIGSTOP)
            frozen.set_result(broker.pid)
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    pid = await frozen
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_port_that_is_taken_is_named(configuration: tuple[Path, int]) -> None:
    """A second broker on the same port is an error that names the port, not a broker of somebody else's."""
    file, port = configuration
    async with Mosquitto(file, host="127.0.0.1", port=port, log=print):
        with pytest.raises(BrokerFailed, match=f":{port} is taken"):
            await Mosquitto(file, host="127.0.0.1", port=port, log=print).__aenter__()


async def test_a_wrong_configuration_says_what_is_wrong(tmp_path: Path) -> None:
    """What Mosquitto says of a mistake is in the error."""
    (tmp_path / "mosquitto.conf").write_text("listener sideways\n")
    with pytest.raises(BrokerFailed, match=r"status 3: .*listener.*mosquitto.conf:1"):
        await Mosquitto(tmp_path / "mosquitto.conf", host="127.0.0.1", port=free_port(), log=print).__aenter__()


def test_a_missing_program_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Mosquitto is missing, the error says how to get it."""
    monkeypatch.setenv("HEMS_MOSQUITTO", "/nowhere/mosquitto")
    monkeypatch.setattr("services.supervisor.mosquitto._ROOT", Path("/nowhere"))
    with pytest.raises(BrokerNotFound, match="make setup"):
        find_mosquitto()
