"""What became of a promise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """One promise, whether it was kept, and the figures that say so."""

    promise: str
    kept: bool
    figures: str

    def __str__(self) -> str:
        return f"{'kept  ' if self.kept else 'BROKEN'}  {self.promise}: {self.figures}"
