"""What the connection to the broker says of itself, kept where the screen shows it."""

from typing import Any

from services.watch.domain import View


class TroubleLog:
    """A log that is shown rather than written: on a screen that is drawn anew, a line would be lost."""

    def __init__(self, view: View) -> None:
        self._view = view

    def info(self, event: str, **details: Any) -> None:
        """A recovery, perhaps: its name begins with the failure's."""
        if self._view.trouble and self._view.trouble.startswith(event.removesuffix(": recovered")):
            self._view.trouble = None

    def warning(self, event: str, **details: Any) -> None:
        """A failure; what a message lacks is its speaker's own trouble."""
        if "error" in details:
            self._view.trouble = f"{event}: {details['error']}"

    error = warning
