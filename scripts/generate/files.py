"""Which file holds what."""

from collections.abc import Mapping
from pathlib import Path

from hems.contracts.access import access_list
from scripts.generate.asyncapi import asyncapi
from scripts.generate.pages import page
from scripts.generate.schemas import schema_files

_GENERATED = "# Generated from hems/contracts by `make generate`; changes made here are lost.\n"
SCHEMAS = Path("docs/mqtt-api/schemas")


def generated_files() -> Mapping[Path, str]:
    """Paths below the repository's root, and what must stand there."""
    return {
        Path("broker/acl"): f"{_GENERATED}# What is not named here is denied. `+` is every home of this broker.\n\n{access_list()}",
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
