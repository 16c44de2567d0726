"""x."""

from services.dashboard.pages.shell import Frame


class AppliancesPage:
    """x."""

    def __init__(self, frame: Frame) -> None:
        pass

    def refresh(self) -> None:
        """x."""
