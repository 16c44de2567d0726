"""`hems password`."""

import secrets

import click

from services.dashboard.domain.sign_in import LONGEST_PASSWORD, hashed

_SHORTEST = 8


@click.command()
@click.option("--password", prompt="Password", hide_input=True, confirmation_prompt="Again", help="Asked for where it is not given.")
def password(password: str) -> None:
    """Hash a password for the local page; the hash goes into HEMS_DASHBOARD__PASSWORD_HASH, or the file that …_FILE names.

    Example: hems password > secrets/page
    """
    if not _SHORTEST <= len(password) <= LONGEST_PASSWORD:
        raise click.UsageError(f"a password has {_SHORTEST} to {LONGEST_PASSWORD} characters")
    click.echo(hashed(password, secrets.token_bytes(16)))
