"""What people text back: understood, answered once, and switched only with the right code."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from hems.contracts.catalog import APPLIANCE_EVENT, APPLIANCE_LABEL, ENERGY, MAINS, RELAY, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult, RelayState
from hems.testing.harness import Stage
from services.notifier.domain.account import Incoming
from services.notifier.domain.answers import MENU, Answer, Ask, Codes, Confirm, Mute, Switch, read
from tests.support.notifier_stage import ME, FakeChannel, notifier, settings
from tests.unit.notifier.test_actor import GATHER_S, finished

NOW = datetime(2025, 1, 6, 7, tzinfo=UTC)
CHOSEN = settings(answers={"poll_every": "10s"})
STRANGER = "+447700900999"


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("status", Ask("status")),
        (" Menu. ", Ask("menu")),
        ("WRONG", Ask("wrong")),
        ("mute 2h", Mute(timedelta(hours=2))),
        ("Mute 30 min", Mute(timedelta(minutes=30))),
        ("MUTE 999d", Mute(timedelta(days=7))),
        ("mute off", Mute(timedelta(0))),
        ("off heater", Switch("heater", "OFF")),
        ("On living room-lamp", Switch("living_room_lamp", "ON")),
        ("0042", Confirm("0042")),
        ("I'm driving right now", Ask("unknown")),
        ("", Ask("unknown")),
    ],
)
def test_words_are_understood_however_they_are_typed(text: str, meaning: Answer) -> None:
    """Spaces, case and a full stop make no difference; none of our words is one that Twilio answers itself."""
    assert read(text) == meaning


@given(st.text(max_size=400))
@hypothesis(deadline=None)
def test_any_text_is_read(text: str) -> None:
    """Nothing that anybody can send is a failure."""
    assert isinstance(read(text), Ask | Mute | Switch | Confirm)


@given(st.lists(st.tuples(st.sampled_from(["1111", "2222", "ask"]), st.integers(0, 400)), max_size=20))
@hypothesis(deadline=None)
def test_a_code_switches_once_and_soon(steps: list[tuple[str, int]]) -> None:
    """For any order of questions, codes and waits: only the newest code, once, in its five minutes, before a third wrong one."""
    codes, now, switch = Codes(), NOW, Switch("heater", "OFF")
    asked_at, wrong = None, 0
    for step, wait_s in steps:
        now += timedelta(seconds=wait_s)
        if step == "ask":
            codes.ask("me", switch, "1111", now)
            asked_at, wrong = now, 0
            continue
        live = asked_at is not None and now - asked_at <= timedelta(minutes=5) and wrong < 3
        assert codes.confirm("me", step, now) == (switch if live and step == "1111" else None)
        if step == "1111" or not live:
            asked_at = None
        else:
            wrong += 1


async def text(stage: Stage, channel: FakeChannel, words: str, sender: str = ME, age_s: float = 5) -> list[str]:
    """Text something; what is sent after that."""
    before = len(channel.taken)
    at = stage.clock.now() - timedelta(seconds=age_s)
    channel.received.append(Incoming(f"SM{len(channel.received)}", sender, words, at))
    await stage.clock.advance(25)
    return channel.texts[before:]


async def test_status_says_how_the_home_is(tmp_path: Path) -> None:
    """Power, energy, cost, what runs, where the relays stand; the menu names the words."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        now = stage.clock.now()
        await stage.tell(MAINS, Mains(measured_at=now, power_w=340, quality="measured"), retain=True)
        energy = Energy(as_of=now, total_kwh=9, today_kwh=8.1, month_kwh=9, today_cost=2.19, currency="GBP")
        await stage.tell(ENERGY, energy, retain=True)
        await stage.tell(RELAY, RelayState(state="ON", how="read_back", changed_at=now), retain=True, relay="heater")
        assert await text(stage, channel, "Status") == [
            "340 W now, 8.1 kWh, 2.19 GBP today. Running: nothing that is known. Relays: Heater ON."
        ]
        assert await text(stage, channel, "menu") == [MENU]


async def test_a_switch_needs_the_code_that_was_sent(tmp_path: Path) -> None:
    """The command goes out as `sms` once the code comes back, with an expiry; the actuator's answer is passed on."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        await stage.tell(RELAY, RelayState(state="ON", how="read_back", changed_at=stage.clock.now()), retain=True, relay="heater")
        assert await text(stage, channel, "off boiler") == ["There is no relay boiler; there are: heater."]
        (asked,) = await text(stage, channel, "off heater")
        found = re.fullmatch(r"Reply (\d{4}) within 5 minutes to switch Heater OFF\.", asked)
        assert found is not None
        assert stage.said(RELAY_SET_BY) == []
        wrong = f"{(int(found[1]) + 1) % 10_000:04d}"
        assert await text(stage, channel, wrong) == ["That code is not valid, or no longer."]
        assert await text(stage, channel, found[1]) == []
        ((parameters, command),) = stage.said(RELAY_SET_BY)
        assert (parameters["relay"], parameters["source"], command.state) == ("heater", "sms", "OFF")
        assert command.expires_at is not None
        before = len(channel.taken)
        await stage.tell(RELAY_RESULT, RelayResult(id=command.id, source="sms", accepted=True), relay="heater")
        await stage.clock.advance(5)
        assert channel.texts[before:] == ["Heater is OFF."]
        assert await text(stage, channel, found[1]) == ["That code is not valid, or no longer."]
        assert len(stage.said(RELAY_SET_BY)) == 1


async def test_a_switch_that_nobody_answers_is_said(tmp_path: Path) -> None:
    """The actuator is not there: the person who confirmed it learns so once the command is no longer good."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        await stage.tell(RELAY, RelayState(state="ON", how="read_back", changed_at=stage.clock.now()), retain=True, relay="heater")
        (asked,) = await text(stage, channel, "off heater")
        assert await text(stage, channel, asked.split()[1]) == []
        before = len(channel.taken)
        await stage.clock.advance(75)
        ((_, command),) = stage.said(RELAY_SET_BY)
        await stage.tell(RELAY_RESULT, RelayResult(id=command.id, source="sms", accepted=True), relay="heater")
        await stage.clock.advance(75)
        assert channel.texts[before:] == [
            "No answer for Heater within a minute; it may not have been switched. STATUS shows where it stands."
        ]


async def test_wrong_becomes_a_label(tmp_path: Path) -> None:
    """Of the appliance that this person was told of last."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        assert await text(stage, channel, "wrong") == ["No appliance was announced to you lately."]
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now(), "dishwasher"), appliance="dishwasher")
        await stage.clock.advance(GATHER_S)
        assert await text(stage, channel, "wrong") == ["Thank you. Noted: the last announcement of Dishwasher was wrong."]
        ((parameters, label),) = stage.said(APPLIANCE_LABEL)
        assert (parameters["appliance"], label.verdict, label.source) == ("dishwasher", "wrong", "sms")


async def test_mute_and_its_end(tmp_path: Path) -> None:
    """MUTE 2H holds back what is not an answer; MUTE OFF lets it go."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        assert await text(stage, channel, "mute 2h") == ["Muted until 09:00."]
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        assert len(channel.taken) == 1
        assert await text(stage, channel, "mute off") == ["Messages come again.", "Washing machine finished: 1 h 52 min, 0.9 kWh."]
        assert await text(stage, channel, "mute 2d") == ["Muted until Wed 07:01."]


async def test_strangers_and_old_messages_are_not_answered(tmp_path: Path) -> None:
    """A number that hems.yaml does not name gets nothing, nor does what was sent while the notifier was away."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        assert await text(stage, channel, "status", STRANGER) == []
        assert await text(stage, channel, "status", age_s=300) == []
        assert len(await text(stage, channel, "status")) == 1


async def test_an_answering_machine_is_not_talked_with(tmp_path: Path) -> None:
    """Words that mean nothing get the menu once an hour; and nobody gets more than twenty answers in one."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        assert await text(stage, channel, "I'm driving right now") == [MENU]
        assert await text(stage, channel, "I'm driving right now") == []
        answers = [len(await text(stage, channel, "status")) for _ in range(25)]
        assert sum(answers) == 19


async def test_each_message_is_answered_once_across_a_restart(tmp_path: Path) -> None:
    """The list shows it again and again."""
    channel = FakeChannel()
    async with notifier(tmp_path, CHOSEN, channel) as stage:
        assert len(await text(stage, channel, "status")) == 1
        clock, broker = stage.clock, stage.broker
    async with notifier(tmp_path, CHOSEN, channel, clock=clock, broker=broker) as stage:
        await stage.clock.advance(30)
    assert len(channel.taken) == 1
