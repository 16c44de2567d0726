"""`hems password`."""

import os
import secrets
from pathlib import Path
from typing import Any

import click

from services.dashboard.domain.sign_in import LONGEST_PASSWORD, hashed

_SHORTEST = 8
_FIRST_CHARACTERS = 16
_file: Any = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--password", help="Asked for where it is not given.")
@click.option("--first", type=_file, help="Make a password and print it, unless this file holds a hash already; the hash goes there.")
@click.option("--owner", type=int, help="The number of the user who may read that file.")
def password(password: str | None, first: Path | None, owner: int | None) -> None:
    """Hash a password for the local page; the hash goes into HEMS_DASHBOARD__PASSWORD_HASH, or the file that …_FILE names.

    Example: hems password > secrets/page
    """
    if first is not None:
        _make_first(first, owner)
        return
    password = password or click.prompt("Password", hide_input=True, confirmation_prompt="Again")
    if not _SHORTEST <= len(password) <= LONGEST_PASSWORD:
        raise click.UsageError(f"a password has {_SHORTEST} to {LONGEST_PASSWORD} characters")
    click.echo(hashed(password, secrets.token_bytes(16)))


def _make_first(file: Path, owner: int | None) -> None:
    if file.exists():
        return
    made = secrets.token_urlsafe(_FIRST_CHARACTERS)[:_FIRST_CHARACTERS]
    file.touch(mode=0o600)
    file.write_text(hashed(made, secrets.token_bytes(16)), encoding="utf-8")
    file.chmod(0o400)
    if owner is not None:
        os.chown(file, owner, owner)
    click.echo(f"The page's password, shown this once: {made}")
