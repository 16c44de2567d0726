"""What people are told, as the watch shows it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from rich.console import Console

from hems.contracts.alerts import NotifyMessage
from services.watch.domain import View, told
from services.watch.screen import picture

NOW = datetime(2025, 1, 6, 7, tzinfo=UTC)


def message(number: int, status: str = "would_send") -> NotifyMessage:
    """One that there is no account for."""
    values = {"id": f"m{number}", "at": NOW, "recipient": "me", "channel": "none", "text": f"Message {number}.", "status": status}
    return NotifyMessage.model_validate(values)


def test_a_message_is_shown_as_it_stands() -> None:
    """What becomes of it takes its place, the same word twice is no news, and only the newest stay."""
    view = View()
    assert view.see_message(message(0, "queued"))
    assert not view.see_message(message(0, "queued"))
    assert view.see_message(message(0, "sent"))
    assert [shown.status for shown in view.messages.values()] == ["sent"]
    for number in range(1, 9):
        view.see_message(message(number))
    assert list(view.messages) == ["m4", "m5", "m6", "m7", "m8"]


def test_a_message_is_a_line() -> None:
    """To whom, what became of it, and the text; the screen has it too."""
    assert told(message(3)) == "me (would send): Message 3."
    view, console = View(), Console(width=80, record=True, file=None, quiet=True)
    view.see_message(message(3))
    with console.capture() as captured:
        console.quiet = False
        console.print(picture(view, width=80, zone=ZoneInfo("Europe/London")))
    assert "07:00:00  me (would send): Message 3." in captured.get()
