"""When the supervisor starts again what ended, and when a demo begins."""

from services.supervisor.domain import RestartPolicy, demo_lead_s, why


def test_short_lives_make_the_waits_longer_up_to_half_a_minute() -> None:
    """A service that dies at once is started ever more slowly."""
    policy = RestartPolicy()
    delays = [policy.delay_s(1, lived_s=1) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_long_life_forgives() -> None:
    """After a minute of work the next start is quick again."""
    policy = RestartPolicy()
    for _ in range(6):
        policy.delay_s(-9, lived_s=1)
    assert policy.delay_s(-9, lived_s=61) == 0.5


def test_a_mistake_in_the_configuration_waits_for_a_person() -> None:
    """Status 78 is tried again once a minute, not in a hurry."""
    assert RestartPolicy().delay_s(78, lived_s=0.1) == 60


def test_a_status_is_said_in_words() -> None:
    """The log says what ended a process."""
    assert why(-9) == "was ended by signal 9"
    assert "configuration" in why(78)
    assert why(3) == "ended with status 3"


def test_a_slow_computer_gets_more_time_before_the_demo_begins() -> None:
    """Where one process takes its time to start, all take longer; a computer that hangs doesn't delay it for ever."""
    assert [demo_lead_s(one) for one in (0.8, 1.6, 4.0, 60.0)] == [4, 4, 10, 20]
