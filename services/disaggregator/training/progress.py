"""One line of progress at a time, at once."""

import sys


def tell(line: str) -> None:
    """Write a line to the terminal or the log."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
