"""The twelve invariants of `docs/relays.md`, judged from what a board, a store and the commands show, not from the code's own state."""

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta

from hems.contracts.relays import Level, Source
from tests.unit.actuator.relay_world import PinEvent, Said, World, known_times

EPSILON_S = 1e-6
_HOUR_S = 3_600.0


def always_safe_at_start_and_stop(world: World) -> None:
    """1: after each start the pin is safe until a command is accepted; released pins are safe."""
    safe = world.rules.safe
    for index, pin in enumerate(world.pins):
        if pin.event in ("claimed", "released"):
            assert pin.level == safe, f"{pin.event} at {pin.level}"
        if pin.event == "claimed" and index + 1 < len(world.pins) and world.pins[index + 1].level != safe:
            run = sum(before.event == "claimed" for before in world.pins[: index + 1])
            asked = [said for said in _accepted(world) if said.run == run and said.answered_s <= world.pins[index + 1].true_s]
            assert asked, "it left safety though nobody had asked since the start"


def only_commands_of_now_are_followed(world: World) -> None:
    """2: expired, future, old and retained commands are refused, with a reason; every command is answered."""
    for said in world.commands:
        command, wall = said.request.command, said.wall
        if said.answer is None:
            continue  # the actuator ended before it came to it
        bad = (
            said.request.retained
            or (command.expires_at is not None and command.expires_at <= wall)
            or (command.issued_at is not None and not timedelta(minutes=-2) <= command.issued_at - wall <= timedelta(seconds=5))
        )
        assert not (bad and said.answer.accepted), f"{command} was followed"
        assert said.answer.accepted or said.answer.reason


def timers_come_to_rest(world: World) -> None:
    """No timer is due again and again at the same moment: the actuator would do nothing else."""
    assert not world.restless


def leases_end(world: World) -> None:
    """3: at the end of its lease the relay is in its resting state, unless something kept it, or sent it, to safety."""
    followed = _accepted(world)
    for place, said in enumerate(followed):
        command = said.request.command
        if command.for_s is None or _repeats(said):
            continue
        end_s = said.answered_s + command.for_s
        later = [other.answered_s for other in followed[place + 1 :] if not _repeats(other)]
        if (
            min(later, default=end_s + 1) <= end_s + EPSILON_S
            or any(said.answered_s < at_s <= end_s + EPSILON_S for at_s, _ in world.starts)
            or not _held(world, end_s)
        ):
            continue
        resting = world.rules.resting or _last_unleased(world, followed[: place + 1], said)
        before, after = _level(world, end_s - EPSILON_S), _level(world, end_s + EPSILON_S)
        compressor = after == "OFF" and world.rules.min_off_s > 0
        if resting == world.rules.safe and not compressor:
            assert after == resting, f"the lease ended at {end_s} s and it is still {after}"
        elif resting == before and world.rules.silent_after_s is None and world.rules.max_away_s is None:
            assert after == resting, "it left its resting state when the lease ended"


def silence_leads_to_safety(world: World) -> None:
    """4: a relay so marked is not away from safe for longer than the broker, or its lease's controller, is silent, nor goes there."""
    longest_s = world.rules.silent_after_s
    if longest_s is None:
        return
    for start_s, end_s in _away(world):
        last_s = max(at_s for at_s, _ in world.heard if at_s <= start_s)
        assert start_s - last_s <= longest_s + EPSILON_S, f"it left safety after {start_s - last_s} s of silence"
        heard = sorted({start_s, *(at_s for at_s, _ in world.heard if start_s <= at_s <= end_s), end_s})
        gap_s = max((later - earlier for earlier, later in itertools.pairwise(heard)), default=0.0)
        assert gap_s <= longest_s + _compressor_s(world) + EPSILON_S, f"away through {gap_s} s of silence"
    _controllers_are_heard(world, longest_s)


def an_id_switches_once(world: World) -> None:
    """5: the same id twice switches once, across restarts too; what was issued before the newest accepted one is refused."""
    ids: dict[str, int] = {}
    newest: dict[Source, tuple[datetime, int]] = {}
    for said in _in_order(world):
        command, source = said.request.command, said.request.source
        if said.answer is None or not said.answer.accepted:
            continue
        if command.id in ids and ids[command.id] in (0, said.run):
            assert not _switched_by(world, said), f"{command.id} switched twice"
            continue
        lasting = 0 if not said.disk_failing else said.run
        if command.issued_at and source in newest and newest[source][1] in (0, said.run):
            assert command.issued_at >= newest[source][0], "an older command was followed after a newer one"
        if command.id:
            ids[command.id] = lasting
        issued = command.issued_at or (said.wall if known_times(said) else None)
        if issued and (source not in newest or issued >= newest[source][0]):
            newest[source] = issued, lasting


def minimum_times_hold(world: World) -> None:
    """6: minimum on and off times and switches an hour hold under any flood; a safe ON waits for the compressor only."""
    rules, switches = world.rules, list(_switches(world))
    for before, pin in itertools.pairwise(switches):
        if pin.event != "switched" or _stopping(world, pin):
            continue
        lasted_s = pin.true_s - before.true_s
        if pin.level != rules.safe:
            needed_s = rules.min_off_s if pin.level == "ON" else rules.min_on_s
            assert lasted_s >= needed_s - EPSILON_S, f"{before.level} lasted {lasted_s} s instead of {needed_s} s"
        elif pin.level == "ON" and not rules.safe_overrides_min_off:
            assert lasted_s >= rules.min_off_s - EPSILON_S, f"the compressor was off for {lasted_s} s only"
    times = [pin.true_s for pin in switches[1:]]
    for at_s in times:
        count = sum(at_s - _HOUR_S + EPSILON_S < other <= at_s for other in times)
        assert count <= rules.max_switches_per_hour, f"{count} switches in an hour"


def time_away_is_limited(world: World) -> None:
    """7: the longest time away from safe holds, short returns included, whatever is said."""
    if world.rules.max_away_s is None:
        return
    spent_s, ended_s, boot = 0.0, float("-inf"), -1
    for start_s, end_s in _away(world):
        here = _boot_at(world, start_s)
        spent_s = spent_s if start_s - ended_s < world.rules.rest_s - EPSILON_S and here == boot else 0.0
        spent_s, ended_s, boot = spent_s + end_s - start_s, end_s, here
        assert spent_s <= world.rules.max_away_s + 1e-3, f"away for {spent_s} s"


def unknown_time_refuses_timed_commands(world: World) -> None:
    """8: while the clock can't be right, commands that carry times are refused; bare local ones are not refused for it."""
    for said in world.commands:
        command = said.request.command
        timed = command.issued_at is not None or command.expires_at is not None
        if said.answer is not None and said.wall < said.newest_written:
            assert not (timed and said.answer.accepted), "a time was believed that can't be right"
        if said.answer is not None and not timed:
            assert "time of day" not in (said.answer.reason or "")


def the_state_shown_is_true(world: World) -> None:
    """9: the state published is the pin's, read back where it can be, else marked as commanded."""
    for state, pin in world.shown:
        assert state.how == ("read_back" if world.readable else "commanded")
        assert state.state == pin


def nothing_toward_safety_is_dropped(world: World) -> None:
    """10: a full queue refuses what leaves safety, never what returns to it; what it overtakes is not done later."""
    for said in world.commands:
        if said.offered_toward_safe and said.answer is not None:
            assert "too many" not in (said.answer.reason or "")
            assert "overtaken" not in (said.answer.reason or "")
            done = said.answer.accepted and said.request.command.state == world.rules.safe
            if done and "done before" not in (said.answer.reason or "") and not _compressor_s(world):
                assert said.pin_after == world.rules.safe, "a command toward safety had to wait"
        if said.answer is not None and "overtaken" in (said.answer.reason or ""):
            assert not said.answer.accepted


def only_the_allowed_switch(world: World) -> None:
    """12: only those listed switch a relay, and a person's command goes before the load manager's and the fleet's."""
    person_until_s, run = float("-inf"), 0
    for said in _in_order(world):
        if said.answer is None or not said.answer.accepted:
            continue
        source, command = said.request.source, said.request.command
        assert source in world.rules.allow, f"{source} switched it"
        if run != said.run:
            person_until_s, run = float("-inf"), said.run
        if "done before" in (said.answer.reason or ""):
            continue
        if source in ("load_manager", "fleet"):
            assert said.answered_s >= person_until_s, f"the {source} went before a person"
        else:
            person_until_s = said.answered_s + (command.for_s or world.rules.person_holds_s)


def _in_order(world: World) -> list[Said]:
    return sorted((said for said in world.commands if said.answer is not None), key=lambda said: said.turn)


def _accepted(world: World) -> list[Said]:
    return [said for said in _in_order(world) if said.answer and said.answer.accepted]


def _repeats(said: Said) -> bool:
    return bool(said.answer and "done before" in (said.answer.reason or ""))


def _last_unleased(world: World, followed: list[Said], until: Said) -> Level:
    mine = [said for said in followed if said.run == until.run and said.request.command.for_s is None and not _repeats(said)]
    return (mine[-1].wanted if mine else None) or world.rules.safe


def _switched_by(world: World, said: Said) -> bool:
    return any(pin.event == "switched" for pin in world.pins[said.pins_before : said.pins_after])


def _switches(world: World) -> Iterator[PinEvent]:
    """The first level and each change of it; claims and releases count where they change it."""
    level: Level | None = None
    for pin in world.pins:
        if pin.level != level:
            yield pin
        level = pin.level


def _stopping(world: World, pin: PinEvent) -> bool:
    after = world.pins[world.pins.index(pin) + 1 :]
    return bool(after) and after[0].event == "released" and after[0].true_s == pin.true_s


def _away(world: World) -> Iterator[tuple[float, float]]:
    """The spans away from safe; a power cut ends one."""
    start_s: float | None = None
    for pin in world.pins:
        away = pin.level != world.rules.safe
        if start_s is not None and not away:
            yield start_s, pin.true_s
            start_s = None
        elif start_s is None and away:
            start_s = pin.true_s


def _compressor_s(world: World) -> float:
    rules = world.rules
    return rules.min_off_s if rules.safe == "ON" and not rules.safe_overrides_min_off else 0.0


def _boot_at(world: World, at_s: float) -> int:
    return max(boot for started_s, boot in world.starts if started_s <= at_s)


def _held(world: World, at_s: float) -> bool:
    """Whether the world was still watched at a time."""
    return at_s + EPSILON_S < world.pins[-1].true_s


def _level(world: World, at_s: float) -> Level:
    levels: list[Level] = [pin.level for pin in world.pins if pin.true_s <= at_s]
    return levels[-1]


def _controllers_are_heard(world: World, longest_s: float) -> None:
    followed = [said for said in _accepted(world) if not _repeats(said)]
    for place, said in enumerate(followed):
        command, source = said.request.command, said.request.source
        if command.for_s is None or source == "local" or said.wanted == world.rules.safe:
            continue
        ends_s = [said.answered_s + command.for_s, world.pins[-1].true_s]
        ends_s += [other.answered_s for other in followed[place + 1 : place + 2]] + [
            at_s for at_s, _ in world.starts if at_s > said.answered_s
        ]
        heard = [at_s for at_s, who in world.heard if who == source and said.answered_s <= at_s <= min(ends_s)]
        for earlier, later in zip([said.answered_s, *heard], [*heard, min(ends_s)], strict=True):
            safe_from_s = earlier + min(longest_s, command.for_s) + _compressor_s(world) + EPSILON_S
            if later > safe_from_s:
                assert _level(world, safe_from_s) == world.rules.safe, f"{source} was silent and the relay stayed"
                break
