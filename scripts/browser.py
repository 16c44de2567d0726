"""`python3 -m scripts.browser`: Chromium from Debian, where this computer has none."""

import os
import shutil
import sys

from scripts.tell import Failed, run, tell

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_ADVICE = "install Chromium, such as with `apt install chromium`, and run this again"


def bring() -> None:
    """Install it.

    Raises:
        Failed: only the computer's owner can, or Debian can't be reached.
    """
    if any(shutil.which(name) for name in _NAMES):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Failed(f"there is no Chromium: {_ADVICE}")
    tell("Installing Debian's Chromium, since this computer has none")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-qq", "update"], advice=_ADVICE, environment=quiet)
    run(["apt-get", "-qq", "--yes", "--no-install-recommends", "install", "chromium"], advice=_ADVICE, environment=quiet)


if __name__ == "__main__":
    try:
        bring()
    except Failed as failure:
        sys.exit(f"make: {failure}")
