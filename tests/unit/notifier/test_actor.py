"""The notifier on a broker in memory: what is heard, what is decided, what is sent."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from hems.contracts.alerts import Alert, NotifyMute, NotifyTest
from hems.contracts.appliances import ApplianceEvent, ApplianceState, EventKind, event_id
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    DEMAND_EVENT,
    ENERGY,
    MAINS,
    NOTIFY_MESSAGE,
    NOTIFY_MUTE,
    NOTIFY_TEST,
    RELAY_RESULT,
    SERVICE_HEALTH,
    SERVICE_STATUS,
)
from hems.contracts.demand import DemandEvent
from hems.contracts.energy import Energy
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult
from hems.testing.clocks import ManualClock
from hems.testing.harness import Stage
from hems.testing.memory_bus import MemoryBroker
from services.notifier.domain.outgoing import Delivered, Found, Later, Rejected
from tests.support.notifier_stage import ANNA, ME, FakeChannel, notifier, settings

GATHER_S = 40
LISTENING = settings(rules={"silence": True})


async def skip(stage: Stage, seconds: float) -> None:
    """Let hours pass at once; what is due is done at their end."""
    stage.clock.jump(seconds - 30)
    await stage.clock.advance(30)


def finished(at: datetime, appliance: str = "washing_machine", confidence: float = 0.9) -> ApplianceEvent:
    """It finished just then, after a run of 1 h 52 min."""
    return event("finished", at, appliance, confidence).model_copy(update={"duration_s": 6_720.0, "energy_kwh": 0.9})


def event(kind: EventKind, at: datetime, appliance: str, confidence: float = 0.9) -> ApplianceEvent:
    """An event that is known at once."""
    return ApplianceEvent(id=event_id("home", appliance, kind, at), kind=kind, at=at, announced_at=at, confidence=confidence)


def alert(at: datetime, severity: str = "warning", rule: str = "actuator.stuck", alert_id: str = "a1") -> Alert:
    """Some service's alert."""
    return Alert.model_validate(
        {"id": alert_id, "rule": rule, "severity": severity, "title": "Heater", "message": "It is stuck.", "at": at}
    )


def statuses(stage: Stage) -> list[tuple[str, str]]:
    """Recipient and status of what was said."""
    return [(message.recipient, message.status) for _, message in stage.said(NOTIFY_MESSAGE)]


async def test_a_finished_run_is_told_with_time_energy_and_cost(tmp_path: Path) -> None:
    """The message holds what a person wants to know; its way to the phone is said on notify/message."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        now = stage.clock.now()
        energy = Energy(as_of=now, total_kwh=10, today_kwh=1, month_kwh=1, rate=0.27, currency="GBP")
        await stage.tell(ENERGY, energy, retain=True)
        await stage.tell(APPLIANCE_EVENT, finished(now), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        assert channel.taken == [(ME, "Washing machine finished: 1 h 52 min, 0.9 kWh, 0.24 GBP.")]
        await stage.clock.advance(20)
        assert statuses(stage) == [("me", "queued"), ("me", "sent"), ("me", "delivered")]


async def test_without_an_account_it_says_what_it_would_send(tmp_path: Path) -> None:
    """The demo has no account and no recipients: the message is there all the same."""
    async with notifier(tmp_path, settings(recipients={})) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        ((_, message),) = stage.said(NOTIFY_MESSAGE)
        assert (message.recipient, message.channel, message.status, message.rule) == ("me", "none", "would_send", "finished")
        assert message.text == "Washing machine finished: 1 h 52 min, 0.9 kWh."


async def test_the_same_event_said_again_is_told_once(tmp_path: Path) -> None:
    """Also where the notifier was started anew between the two."""
    channel, clock, broker = FakeChannel(), ManualClock(), MemoryBroker()
    said = finished(clock.now())
    async with notifier(tmp_path, None, channel, clock=clock, broker=broker) as stage:
        await stage.tell(APPLIANCE_EVENT, said, appliance="washing_machine")
        await stage.tell(APPLIANCE_EVENT, said, appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
    async with notifier(tmp_path, None, channel, clock=clock, broker=broker) as stage:
        await stage.tell(APPLIANCE_EVENT, said, appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
    assert len(channel.taken) == 1


async def test_what_is_gathered_survives_a_stop(tmp_path: Path) -> None:
    """A message that was decided on, or is still gathered, goes out after the restart."""
    channel, clock = FakeChannel(), ManualClock()
    async with notifier(tmp_path, None, channel, clock=clock) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
    assert channel.taken == []
    async with notifier(tmp_path, None, channel, clock=clock) as stage:
        await stage.clock.advance(GATHER_S)
    assert len(channel.taken) == 1


async def test_old_news_is_counted_and_not_told(tmp_path: Path) -> None:
    """An event that arrives more than two minutes late is history."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now() - timedelta(minutes=3)), appliance="washing_machine")
        await stage.tell(ALERT, alert(stage.clock.now() - timedelta(minutes=3)))
        await stage.clock.advance(GATHER_S)
    assert channel.taken == []


async def test_things_that_happen_together_go_out_together(tmp_path: Path) -> None:
    """Within the gathering time one SMS holds all of them."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(5)
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now(), "dishwasher"), appliance="dishwasher")
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["Washing machine finished: 1 h 52 min, 0.9 kWh.\nDishwasher finished: 1 h 52 min, 0.9 kWh."]


async def test_quiet_hours_hold_messages_back(tmp_path: Path) -> None:
    """What comes at night goes out in the morning; a critical alert goes out at once."""
    channel, clock = FakeChannel(), ManualClock(datetime.fromisoformat("2025-01-06T23:30:00+00:00"))
    chosen = settings(recipients={"me": {"sms": ME, "quiet_hours": "22:00-07:00"}})
    async with notifier(tmp_path, chosen, channel, clock=clock) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await skip(stage, 3_600)
        assert channel.taken == []
        await stage.tell(ALERT, alert(stage.clock.now(), "critical"))
        await stage.clock.advance(5)
        assert channel.texts == ["Heater: It is stuck."]
        await skip(stage, 7 * 3_600)
        assert channel.texts[1:] == ["Washing machine finished: 1 h 52 min, 0.9 kWh."]


async def test_a_mute_holds_everything(tmp_path: Path) -> None:
    """Until it ends, for the recipient that it names; what is no longer useful by then is dropped, and said to be."""
    channel = FakeChannel()
    chosen = settings(recipients={"me": {"sms": ME}, "anna": {"sms": ANNA}})
    async with notifier(tmp_path, chosen, channel) as stage:
        now = stage.clock.now()
        await stage.tell(NOTIFY_MUTE, NotifyMute(id="m", until=now + timedelta(hours=11), recipient="me"))
        await stage.tell(APPLIANCE_EVENT, finished(now), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        assert [address for address, _ in channel.taken] == [ANNA]
        await skip(stage, 12 * 3_600)
        assert [address for address, _ in channel.taken] == [ANNA]
        assert ("me", "dropped") in statuses(stage)


async def test_a_stopped_number_is_told_to_the_others(tmp_path: Path) -> None:
    """After a permanent error nothing more is tried there; an alert is raised, and who can be reached hears of it."""
    channel = FakeChannel()
    channel.outcomes.append(Rejected("its owner has replied STOP", 21610, stops_address=True))
    chosen = settings(recipients={"me": {"sms": ME}, "anna": {"sms": ANNA}}, rules={"finished": {"recipients": ["me"]}})
    async with notifier(tmp_path, chosen, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(2 * GATHER_S)
        assert [said.rule for _, said in stage.said(ALERT)] == ["notifier.stopped"]
        assert channel.taken == [(ANNA, "me can't be told: its owner has replied STOP.")]
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now(), "dishwasher"), appliance="dishwasher")
        await stage.clock.advance(2 * GATHER_S)
        assert len(channel.attempts) == 2
        assert ("me", "failed") in statuses(stage)
        await stage.tell(NOTIFY_TEST, NotifyTest(id="t1", recipient="me"))
        await stage.clock.advance(5)
        assert channel.attempts[-1][0] == ME, "a test that a person asks for is tried all the same"
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(2 * GATHER_S)
        assert channel.taken[-1] == (ME, "Washing machine finished: 1 h 52 min, 0.9 kWh.")


async def test_a_stopped_number_gives_way_to_the_second_channel(tmp_path: Path) -> None:
    """Who has an ntfy topic too is told there."""
    sms, ntfy = FakeChannel(), FakeChannel("ntfy")
    sms.outcomes.append(Rejected("not a mobile number", 21614, stops_address=True))
    chosen = settings(recipients={"me": {"sms": ME, "ntfy": "my-topic"}})
    async with notifier(tmp_path, chosen, sms, ntfy) as stage:
        for appliance in ("washing_machine", "dishwasher"):
            await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now(), appliance), appliance=appliance)
            await stage.clock.advance(2 * GATHER_S)
    assert ntfy.taken == [("my-topic", "Dishwasher finished: 1 h 52 min, 0.9 kWh.")]


async def test_a_provider_that_is_away_for_hours_gets_it_later(tmp_path: Path) -> None:
    """Nothing is lost while it is useful, and the waits grow."""
    channel = FakeChannel()
    channel.outcomes.extend([Later("can't be reached")] * 12)
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        for _ in range(14):
            await skip(stage, 1_000)
    assert len(channel.taken) == 1
    assert len(channel.attempts) == 13


async def test_what_is_no_longer_useful_is_dropped(tmp_path: Path) -> None:
    """Twilio down for a day: a message goes out later only while it is useful."""
    channel = FakeChannel()
    channel.outcomes.extend([Later("can't be reached")] * 1_000)
    async with notifier(tmp_path, settings(rules={"finished": {"useful_for": "2h"}}), channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        await skip(stage, 3 * 3_600)
        assert statuses(stage)[-1] == ("me", "dropped")
        assert "can't be reached" in (stage.said(NOTIFY_MESSAGE)[-1][1].reason or "")


async def test_the_provider_asks_to_wait(tmp_path: Path) -> None:
    """`Retry-After` holds for every message of the channel."""
    channel = FakeChannel()
    channel.outcomes.append(Later("slow down", after_s=600))
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now(), "dishwasher"), appliance="dishwasher")
        await stage.clock.advance(560)
        assert len(channel.attempts) == 1
        await stage.clock.advance(60)
    assert len(channel.taken) == 2


async def test_an_account_that_is_refused_blinds_the_notifier(tmp_path: Path) -> None:
    """It says what to do in its health, alerts once, and goes on by itself when the account works again."""
    channel = FakeChannel()
    channel.outcomes.extend([Later("Twilio refuses the credentials", account=True)] * 3)
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        await skip(stage, 1_000)
        await skip(stage, 1_000)
        await skip(stage, 1_000)
        assert [said.rule for _, said in stage.said(ALERT)] == ["notifier.account"]
        assert len(channel.taken) == 1


@pytest.mark.parametrize(("found", "sends"), [(Found("SM9"), 1), (Found(None), 2)])
async def test_an_attempt_without_an_answer_is_looked_up_first(tmp_path: Path, found: Found, sends: int) -> None:
    """It is sent again only where the provider's list does not hold it."""
    channel = FakeChannel()
    channel.outcomes.append(Later("no answer", may_be_taken=True))
    channel.found.append(found)
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(120)
        assert statuses(stage)[-1] == ("me", "delivered")
    assert len(channel.attempts) == sends


async def test_a_message_that_never_arrives_is_said(tmp_path: Path) -> None:
    """The provider took it, and says later that it did not arrive."""
    channel = FakeChannel()
    channel.deliveries.extend([Delivered(None), Delivered("undelivered", "the phone can't be reached (30003)")])
    async with notifier(tmp_path, None, channel) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(120)
        assert statuses(stage)[-1] == ("me", "undelivered")
        assert [said.rule for _, said in stage.said(ALERT)] == ["notifier.undelivered"]
        assert len(channel.attempts) == 1


async def test_a_test_message_ignores_quiet_hours_and_the_cap(tmp_path: Path) -> None:
    """A person asks for it and waits for it; the same request is answered once."""
    channel = FakeChannel()
    chosen = settings(recipients={"me": {"sms": ME, "quiet_hours": "00:00-23:59"}}, daily_cap=1)
    async with notifier(tmp_path, chosen, channel) as stage:
        await stage.tell(NOTIFY_TEST, NotifyTest(id="t1"))
        await stage.tell(NOTIFY_TEST, NotifyTest(id="t1"))
        await stage.clock.advance(5)
    assert channel.texts == ["Test from the home energy system at 07:00: messages reach you."]


async def test_an_appliance_left_on_is_told_once_a_run(tmp_path: Path) -> None:
    """The state comes each minute; the message comes once, and again for another run."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        for _ in range(2):
            since = stage.clock.now()
            for _ in range(40):
                state = ApplianceState(observed_at=stage.clock.now(), running=True, power_w=2_000, confidence=0.9, since=since)
                await stage.tell(APPLIANCE, state, retain=True, appliance="kettle")
                await stage.clock.advance(60)
            off = ApplianceState(observed_at=stage.clock.now(), running=False, power_w=0, confidence=0.9, since=stage.clock.now())
            await stage.tell(APPLIANCE, off, retain=True, appliance="kettle")
    assert channel.texts == [
        "Kettle has been on for 20 min, since 07:00. Was it left on?",
        "Kettle has been on for 20 min, since 07:40. Was it left on?",
    ]


async def test_power_over_a_limit_is_told_when_it_lasts(tmp_path: Path) -> None:
    """Fifteen minutes over 10 kW; a dip begins it anew, and it is told once."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        for minute in range(60):
            power_w = 500 if minute == 10 else 10_500
            await stage.tell(MAINS, Mains(measured_at=stage.clock.now(), power_w=power_w, quality="measured"), retain=True)
            await stage.clock.advance(60)
    assert channel.texts == ["The home has drawn more than 10.0 kW for 15 min: 10.5 kW now."]


async def say_healthy(stage: Stage, *services: str) -> None:
    """These services live; the notifier's own word goes round too."""
    for service in ("notifier", *services):
        at = stage.clock.now()
        await stage.tell(SERVICE_HEALTH, ServiceHealth(at=at, version="1", started_at=at), retain=True, service=service)


async def test_a_silent_meter_and_its_return_are_told(tmp_path: Path) -> None:
    """Once after half an hour, and once when it is heard again, across a restart of the notifier."""
    channel, clock = FakeChannel(), ManualClock()
    reading = Mains(measured_at=clock.now(), power_w=200, quality="measured")
    async with notifier(tmp_path, LISTENING, channel, clock=clock) as stage:
        await stage.tell(MAINS, reading, retain=True)
        for _ in range(35):
            await stage.clock.advance(60)
            await say_healthy(stage)
    async with notifier(tmp_path, LISTENING, channel, clock=clock) as stage:
        await stage.tell(MAINS, reading, retain=True)
        for _ in range(20):
            await say_healthy(stage)
            await stage.clock.advance(60)
        await stage.tell(MAINS, reading.model_copy(update={"measured_at": clock.now()}), retain=True)
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["The meter has been silent since 07:00.", "The meter is heard again after 55 min."]


async def test_a_service_that_is_gone_is_told(tmp_path: Path) -> None:
    """One that was there and says offline; a retained offline of one that never was there is nothing."""
    channel = FakeChannel()
    async with notifier(tmp_path, LISTENING, channel) as stage:
        await stage.tell(SERVICE_STATUS, ServiceStatus(online=False), retain=True, service="dashboard")
        await stage.tell(SERVICE_STATUS, ServiceStatus(online=True), retain=True, service="recorder")
        await stage.tell(SERVICE_STATUS, ServiceStatus(online=False), retain=True, service="recorder")
        for _ in range(35):
            await stage.tell(MAINS, Mains(measured_at=stage.clock.now(), power_w=200, quality="measured"), retain=True)
            await say_healthy(stage)
            await stage.clock.advance(60)
        await stage.tell(SERVICE_STATUS, ServiceStatus(online=True), retain=True, service="recorder")
        await say_healthy(stage, "recorder")
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["The service recorder has been silent since 07:00.", "The service recorder is heard again after 35 min."]


async def test_while_the_broker_is_away_nobody_else_is_blamed(tmp_path: Path) -> None:
    """One message about the broker; none about the meter and the services that can't be heard."""
    channel = FakeChannel()
    async with notifier(tmp_path, LISTENING, channel) as stage:
        await stage.tell(SERVICE_STATUS, ServiceStatus(online=True), retain=True, service="recorder")
        await stage.tell(MAINS, Mains(measured_at=stage.clock.now(), power_w=200, quality="measured"), retain=True)
        await say_healthy(stage, "recorder")
        for _ in range(6):
            await skip(stage, 600)
        await say_healthy(stage, "recorder")
        await stage.tell(MAINS, Mains(measured_at=stage.clock.now(), power_w=200, quality="measured"), retain=True)
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["The broker has been silent since 07:00.", "The broker is heard again after 1 h."]


async def test_a_refused_command_is_told(tmp_path: Path) -> None:
    """A person's command; the load manager is refused in the course of things."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        refused = RelayResult(id="1", source="dashboard", accepted=False, reason="it must stay off for 4 more minutes")
        for _ in range(3):
            await stage.tell(RELAY_RESULT, refused.model_copy(update={"id": str(stage.clock.now())[-12:]}), relay="fridge")
            await stage.clock.advance(1)
        await stage.tell(RELAY_RESULT, refused.model_copy(update={"source": "load_manager"}), relay="heater")
        await stage.tell(RELAY_RESULT, RelayResult(id="9", source="local", accepted=True), relay="heater")
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["Relay Fridge refused a command from Dashboard: it must stay off for 4 more minutes. (3 times)"]


async def test_a_relay_that_its_own_limit_has_switched_is_told_of(tmp_path: Path) -> None:
    """By the rule of the relays, once, though the alert is but a note; that of a while ago is history."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        said = alert(stage.clock.now(), "info", "actuator.limit").model_copy(
            update={"title": "towel_rail was switched OFF", "message": "it was away from its safe state for its longest time."}
        )
        await stage.tell(ALERT, said)
        await stage.tell(ALERT, said)
        await stage.tell(ALERT, said.model_copy(update={"id": "a2", "at": said.at - timedelta(minutes=3)}))
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["Relay Towel rail was switched OFF: it was away from its safe state for its longest time."]


async def test_a_demand_event_is_announced_and_its_end_is_told(tmp_path: Path) -> None:
    """Each once; one that is over when it arrives is nothing."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        now = stage.clock.now()
        past = DemandEvent(id="p", level="high", starts_at=now - timedelta(hours=2), ends_at=now - timedelta(hours=1))
        await stage.tell(DEMAND_EVENT, past)
        coming = DemandEvent(id="d", level="high", starts_at=now + timedelta(hours=1), ends_at=now + timedelta(hours=2), reason="grid")
        await stage.tell(DEMAND_EVENT, coming)
        await stage.tell(DEMAND_EVENT, coming)
        await stage.clock.advance(GATHER_S)
        await skip(stage, 2 * 3_600 - GATHER_S + 30)
        await stage.clock.advance(GATHER_S)
    assert channel.texts == ["Demand event (high): Mon 08:00 to 09:00: grid.", "Demand event (high): ended at 09:00."]


async def test_an_alert_of_the_sensor_and_the_meters_silence_are_one_thing(tmp_path: Path) -> None:
    """Two rules find the same thing: it is told once."""
    channel = FakeChannel()
    async with notifier(tmp_path, LISTENING, channel) as stage:
        await stage.tell(ALERT, alert(stage.clock.now(), rule="sensor.silent"))
        for _ in range(40):
            await say_healthy(stage)
            await stage.clock.advance(60)
        await stage.tell(ALERT, alert(stage.clock.now(), "info", "sensor.recovered", "a2"))
        await stage.tell(MAINS, Mains(measured_at=stage.clock.now(), power_w=200, quality="measured"), retain=True)
        await stage.clock.advance(GATHER_S)
    assert len(channel.texts) == 2


async def test_a_budget_is_warned_of_at_its_share_and_when_it_is_used_up(tmp_path: Path) -> None:
    """Each once a month, with where the pace leads."""
    channel, clock = FakeChannel(), ManualClock(datetime.fromisoformat("2025-01-20T12:00:00+00:00"))
    chosen = settings(rules={"monthly_budget": {"cost": 90}})
    async with notifier(tmp_path, chosen, channel, clock=clock) as stage:
        for cost in (70.0, 72.0, 73.0, 89.9, 90.0, 91.0):
            now = stage.clock.now()
            energy = Energy(as_of=now, total_kwh=1, today_kwh=1, month_kwh=200, month_cost=cost, currency="GBP")
            await stage.tell(ENERGY, energy, retain=True)
            await stage.clock.advance(600)
    assert channel.texts == [
        "This month's budget: 80% used, 72.00 GBP of 90.00 GBP; about 114 GBP by its end at this pace.",
        "This month's budget: 100% used, 90.00 GBP of 90.00 GBP; about 143 GBP by its end at this pace.",
    ]


async def test_digests_sum_up_the_day_and_the_week(tmp_path: Path) -> None:
    """By the wall clock, once each; late events count in them, and a restart changes nothing."""
    channel, clock = FakeChannel(), ManualClock(datetime.fromisoformat("2025-01-06T12:00:00+00:00"))
    chosen = settings(rules={"finished": False, "silence": False, "daily_digest": True})
    for day in range(7):
        async with notifier(tmp_path, chosen, channel, clock=clock) as stage:
            late = finished(stage.clock.now() - timedelta(minutes=30))
            await stage.tell(APPLIANCE_EVENT, late, appliance="washing_machine")
            now = stage.clock.now()
            await stage.tell(ENERGY, Energy(as_of=now, total_kwh=1, today_kwh=8 + day, month_kwh=9, today_cost=2.5), retain=True)
            await skip(stage, 86_400 - GATHER_S)
            await stage.clock.advance(GATHER_S)
    assert len(channel.texts) == 7
    assert channel.texts[0] == "Yesterday (Mon): 8.0 kWh, 2.50 GBP. Washing machine 1x 0.9 kWh."
    assert channel.texts[1] == "Yesterday (Tue): 9.0 kWh, 2.50 GBP (before: 8.0 kWh, 2.50 GBP). Washing machine 1x 0.9 kWh."
    assert channel.texts[6].startswith("The last 7 days: 77.0 kWh, 17.50 GBP. Washing machine 7x 6.3 kWh.\nYesterday (Sun): 14.0 kWh")


async def test_a_full_disk_sends_nothing_and_forgets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent that was not written down first; it goes out when there is room again."""
    channel = FakeChannel()
    async with notifier(tmp_path, None, channel) as stage:
        from hems.actor.store import NotAccepted, Store

        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        original = Store.transaction

        def full(*_: object, **__: object) -> None:
            raise NotAccepted("the disk is full")

        monkeypatch.setattr(Store, "transaction", full)
        await stage.clock.advance(GATHER_S)
        assert channel.attempts == []
        monkeypatch.setattr(Store, "transaction", original)
        await stage.clock.advance(5)
    assert len(channel.taken) == 1


async def test_an_account_that_was_taken_away_leaves_nothing_waiting(tmp_path: Path) -> None:
    """What was queued for a channel that hems.yaml no longer has is dropped, and said to be."""
    channel, clock = FakeChannel(), ManualClock()
    channel.outcomes.extend([Later("can't be reached")] * 9)
    async with notifier(tmp_path, None, channel, clock=clock) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
    async with notifier(tmp_path, None, clock=clock) as stage:
        assert statuses(stage)[-1] == ("me", "dropped")
        assert stage.said(NOTIFY_MESSAGE)[-1][1].reason == "sms is no longer set up in hems.yaml"
