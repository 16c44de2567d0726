"""Readings that come out of order are put in order, as far as waiting helps."""

from hypothesis import given
from hypothesis import strategies as st

from services.disaggregator.domain.holding import HoldBack

PATIENCE_S = 6.0


class Read:
    """What was let through of each home; readings are a second apart."""

    def __init__(self) -> None:
        self.hold = HoldBack[float](PATIENCE_S)
        self.times_s: list[float] = []

    def follows(self, home: str, last_s: float | None, time_s: float) -> bool:
        last_s = self.times_s[-1] if last_s is None and self.times_s else last_s
        return last_s is None or time_s - last_s <= 1.5

    def look(self, now_s: float) -> None:
        self.times_s += self.hold.ready(now_s, self.follows)


def test_what_leaves_no_hole_goes_through_at_once() -> None:
    """No reading waits while none is missing."""
    read = Read()
    for time_s in (1.0, 2.0, 3.0):
        read.hold.put("home", time_s, time_s, 100 + time_s)
        read.look(100 + time_s)
    assert read.times_s == [1.0, 2.0, 3.0]


def test_newer_ones_wait_for_older_ones() -> None:
    """What a broker hands over late goes first after all."""
    read = Read()
    read.times_s.append(1.0)
    for now_s, time_s in ((100, 4.0), (100, 5.0), (101, 2.0), (104, 3.0)):
        read.hold.put("home", time_s, time_s, now_s)
        read.look(now_s)
    assert read.times_s == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert not read.hold.homes


def test_what_never_comes_is_waited_for_no_longer_than_said() -> None:
    """A meter that was silent: after the patience the reading goes on, though more of the missing may be on their way."""
    read = Read()
    read.times_s.append(1.0)
    read.hold.put("home", 9.0, 9.0, 100)
    read.look(105)
    assert read.times_s == [1.0]
    read.hold.put("home", 7.0, 7.0, 105)
    read.look(106)
    assert read.times_s == [1.0, 7.0, 9.0]


def test_what_waits_can_be_taken_back() -> None:
    """In the order in which it came; nothing waits then."""
    read = Read()
    read.times_s.append(1.0)
    for time_s in (9.0, 7.0):
        read.hold.put("home", time_s, time_s, 100)
        read.look(100)
    assert read.hold.take_all() == [9.0, 7.0]
    assert not read.hold.homes
    read.look(200)
    assert read.times_s == [1.0]


@given(st.permutations(range(12)), st.integers(0, 11))
def test_all_that_come_within_the_patience_are_in_order(order: list[int], until: int) -> None:
    """Whatever the order in which they come."""
    read = Read()
    read.times_s.append(-1.0)
    for place, number in enumerate(order):
        read.hold.put("home", float(number), float(number), 100 + 0.1 * place)
        if place > until:
            read.look(100 + 0.1 * place)
    read.look(102)
    assert read.times_s == [float(number) for number in range(-1, 12)]
    assert len(read.hold) == 0
