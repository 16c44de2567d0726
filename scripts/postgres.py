"""`python3 -m scripts.postgres`: a PostgreSQL for the tests, unpacked into `.cache/postgresql` where the computer has none."""

import re
import subprocess
import sys
from pathlib import Path

from scripts.debian import unpack
from scripts.tell import CACHE, Failed, tell

_FOLDER = CACHE / "postgresql"
_ADVICE = "install it, such as with `apt install postgresql`, and run this again"


def bring() -> None:
    """Unpack it, unless there is one.

    Raises:
        Failed: it could not be brought.
    """
    if not any(list(root.glob("usr/lib/postgresql/*/bin/initdb")) for root in (Path("/"), _FOLDER)):
        tell("Unpacking PostgreSQL into .cache/postgresql, since this computer has none")
        name = _package()
        for package in (name, name.replace("postgresql-", "postgresql-client-")):
            unpack(package, _FOLDER, advice=_ADVICE)


def _package() -> str:
    """Debian's own version of it, such as postgresql-15."""
    try:
        said = subprocess.run(["apt-cache", "depends", "postgresql"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Failed(f"there is no apt to bring PostgreSQL: {_ADVICE}") from None
    found = re.search(r"postgresql-\d+", said)
    if found is None:
        raise Failed(f"apt knows no PostgreSQL: run `apt-get update`, or {_ADVICE}")
    return found[0]


if __name__ == "__main__":
    try:
        bring()
    except Failed as failure:
        sys.exit(f"make: {failure}")
