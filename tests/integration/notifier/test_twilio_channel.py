"""Twilio's own client against a server that follows Twilio's own description."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.domain.account import Account
from services.notifier.domain.outgoing import Accepted, Delivered, Found, Later, Rejected
from services.notifier.twilio_channel import TwilioChannel
from tests.support.broker import free_port
from tests.support.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, Fault, TwilioServer, running_twilio

TO = "+447700900123"


def account(url: str, password: str = AUTH_TOKEN, timeout_s: float = 5.0) -> Account:
    """The server's account."""
    return Account(ACCOUNT_SID, ACCOUNT_SID, password, FROM_NUMBER, None, url, timeout_s)


@asynccontextmanager
async def opened(password: str = AUTH_TOKEN, timeout_s: float = 5.0) -> AsyncGenerator[tuple[TwilioServer, TwilioChannel]]:
    """A server, and an open channel to it; at the end every request was valid."""
    async with running_twilio() as server:
        channel = TwilioChannel(account(server.url, password, timeout_s))
        async with channel.opened():
            yield server, channel
        assert server.violations == []


async def test_a_message_is_taken_and_followed_to_its_delivery() -> None:
    """Create, list and fetch follow Twilio's description; the provider's id finds the message again."""
    async with opened() as (server, channel):
        taken = await channel.send(TO, "Washing machine finished: 1 h 52 min, 0.9 kWh, 0.24 GBP.", 7_200.5)
        assert isinstance(taken, Accepted)
        server.fates[TO] = [("sent", None), ("delivered", None)]
        assert await channel.check(taken.provider_id) == Delivered(None)
        assert await channel.check(taken.provider_id) == Delivered("delivered")
        assert server.bodies(TO) == ["Washing machine finished: 1 h 52 min, 0.9 kWh, 0.24 GBP."]
        assert server.messages[0]["from"] == FROM_NUMBER


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(429, 20429, retry_after_s=7), Later("Twilio asks to slow down (20429): ", after_s=7.0)),
        (Fault(429, 20429), Later("Twilio asks to slow down (20429): ", after_s=None)),
        (Fault(500), Later("Twilio failed (500): ", may_be_taken=True)),
        (Fault(503, 20503, retry_after_s=30), Later("Twilio failed (503): ", after_s=30.0, may_be_taken=True)),
        (Fault(silent="drop"), Later("no clear answer from Twilio: ", may_be_taken=True)),
        (Fault(silent="hang"), Later("no clear answer from Twilio: ", may_be_taken=True)),
        (Fault(400, 21211), Rejected("it is not a valid phone number", 21211, stops_address=True)),
        (Fault(400, 21610), Rejected("its owner has replied STOP", 21610, stops_address=True)),
        (Fault(400, 21614), Rejected("it is not a mobile number", 21614, stops_address=True)),
        (Fault(400, 21606), Later("from_number does not belong", account=True)),
        (Fault(401, 20003), Later("Twilio refuses the credentials", account=True)),
        (Fault(400, 21617), Rejected("Twilio refused the message (21617)", 21617)),
    ],
)
async def test_each_failure_is_told_apart(fault: Fault, expected: Later | Rejected) -> None:
    """What passes, what stops a number, what stops the account, and what has to be looked up are told apart."""
    async with opened(timeout_s=0.3) as (server, channel):
        server.faults.append(fault)
        outcome = await channel.send(TO, "text", 600)
    assert type(outcome) is type(expected)
    assert outcome.reason.startswith(expected.reason)  # type: ignore[union-attr]
    assert {**vars(outcome), "reason": ""} == {**vars(expected), "reason": ""}


async def test_wrong_credentials_concern_the_account() -> None:
    """A wrong token stops nobody's number; it says what to check."""
    async with opened(password="wrong") as (_, channel):
        outcome = await channel.send(TO, "text", 600)
    assert isinstance(outcome, Later)
    assert outcome.account
    assert "auth_token" in outcome.reason


async def test_nobody_answers() -> None:
    """Where no connection comes about, nothing can have been taken."""
    channel = TwilioChannel(account(f"http://127.0.0.1:{free_port()}"))
    async with channel.opened():
        outcome = await channel.send(TO, "text", 600)
        assert isinstance(await channel.find(TO, "text", datetime.now(UTC), ()), Later)
        assert await channel.check("SM" + "0" * 32) == Delivered(None, outcome.reason)  # type: ignore[union-attr]
        assert await channel.incoming() == []
    assert isinstance(outcome, Later)
    assert not outcome.may_be_taken


@pytest.mark.parametrize("trial", [False, True])
async def test_an_attempt_without_an_answer_is_found(trial: bool) -> None:
    """The list tells whether it was taken, with a trial account's preamble too; older and other messages don't count."""
    async with opened(timeout_s=0.3) as (server, channel):
        server.trial = trial
        now = datetime.now(UTC)
        server.faults.append(Fault(silent="drop", accepts=True))
        assert isinstance(await channel.send(TO, "Kettle left on.\nMeter silent.", 600), Later)
        found = await channel.find(TO, "Kettle left on.\nMeter silent.", now, ())
        assert found == Found(server.messages[0]["sid"])
        assert await channel.find(TO, "Kettle left on.\nMeter silent.", now, {server.messages[0]["sid"]}) == Found(None)
        assert await channel.find(TO, "Another text", now, ()) == Found(None)
        assert await channel.find(TO, "Kettle left on.\nMeter silent.", now + timedelta(hours=1), ()) == Found(None)


@pytest.mark.parametrize(("code", "stops"), [(30003, False), (30006, True), (None, False)])
async def test_an_undelivered_message_says_why(code: int | None, stops: bool) -> None:
    """A landline is stopped after the first message; a phone that is switched off is not."""
    async with opened() as (server, channel):
        server.fates[TO] = [("undelivered", code)]
        taken = await channel.send(TO, "text", 600)
        assert isinstance(taken, Accepted)
        delivered = await channel.check(taken.provider_id)
    assert (delivered.state, delivered.stops_address) == ("undelivered", stops)
    assert delivered.reason


async def test_what_people_text_is_read_in_order() -> None:
    """Messages to our number come the oldest first, without our own."""
    async with opened() as (server, channel):
        await channel.send(TO, "text", 600)
        server.receive(TO, "STATUS")
        server.receive(TO, "OFF HEATER")
        assert [(message.sender, message.text) for message in await channel.incoming()] == [(TO, "STATUS"), (TO, "OFF HEATER")]
