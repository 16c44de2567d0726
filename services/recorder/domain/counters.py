"""What has been used and what it cost, as sums."""

from dataclasses import dataclass

EXPORTED = "/exported"
"""The name, beside those of appliances, of the counter of what the home has sent out."""


@dataclass(frozen=True)
class Counter:
    """What one subject has used, in millijoules and billionths of the currency. `subject` is None for the home."""

    subject: str | None
    total_mj: int
    exported_mj: int = 0
    today_mj: int = 0
    month_mj: int = 0
    today_nano: int | None = None
    month_nano: int | None = None
    gap_mj: int = 0
