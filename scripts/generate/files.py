"""Which file holds what."""

from collections.abc import Mapping
from pathlib import Path

from hems.contracts.access import access_list
from hems.contracts.fleet import home_user
from hems.contracts.nats_access import CENTRAL_USERS, SYSTEM, nats_accounts
from scripts.generate.asyncapi import asyncapi
from scripts.generate.pages import page
from scripts.generate.schemas import schema_files

_GENERATED = "# Generated from hems/contracts by `make generate`; changes made here are lost.\n"
SCHEMAS = Path("docs/mqtt-api/schemas")
_EXAMPLE_HOMES = ("cottage", "flat-2")

_EXAMPLE = """# What `hems fleet` writes for two homes, with a password's bcrypt hash for each user. What is not named is denied;
# a home's readings come under its partition alone. Nothing reads this file: it shows what the contracts grant.
"""


def _example_accounts() -> str:
    users = [*CENTRAL_USERS, SYSTEM, *map(home_user, _EXAMPLE_HOMES)]
    return nats_accounts(dict.fromkeys(users, "(bcrypt)"), _EXAMPLE_HOMES)


def generated_files() -> Mapping[Path, str]:
    """Paths below the repository's root, and what must stand there."""
    return {
        Path("broker/acl"): f"{_GENERATED}# What is not named here is denied. `+` is every home of this broker.\n\n{access_list()}",
        Path("broker/nats/access.example.conf"): f"{_GENERATED}{_EXAMPLE}\n{_example_accounts()}",
        Path("docs/mqtt-api/README.md"): page(),
        Path("docs/mqtt-api/asyncapi.yaml"): _GENERATED + asyncapi(),
        **{SCHEMAS / name: text for name, text in schema_files().items()},
    }


def drifted(root: Path) -> list[Path]:
    """Files that differ from what the contracts say, are missing, or are schemas of no payload; sorted."""
    files = generated_files()
    wrong = [path for path, text in files.items() if not (root / path).exists() or (root / path).read_text() != text]
    left_over = [path.relative_to(root) for path in (root / SCHEMAS).glob("*") if path.relative_to(root) not in files]
    return sorted(wrong + left_over)


def write(root: Path) -> list[Path]:
    """Make the files what they must be; the paths that changed."""
    files = generated_files()
    changed = drifted(root)
    for path in changed:
        if path in files:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(files[path])
        else:
            (root / path).unlink()
    return changed
