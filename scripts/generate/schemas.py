"""One JSON Schema a payload."""

import json
from collections.abc import Mapping
from typing import Any

from hems.contracts.catalog import CATALOG
from hems.contracts.payload import Payload


def payloads() -> tuple[type[Payload], ...]:
    """Every payload once, in the catalogue's order."""
    return tuple(dict.fromkeys(topic.payload for topic in CATALOG))


def schema(payload: type[Payload]) -> dict[str, Any]:
    """The JSON Schema of what stands on the wire: an object, or where there is a plain form, a string."""
    plain = {"type": "string", "pattern": f"^({payload.plain})$", "description": payload.__doc__}
    if not payload.is_json:
        return {"title": payload.__name__, **plain}
    found = payload.model_json_schema()
    if not payload.plain:
        return found
    definitions = found.pop("$defs", {})
    either = {"title": payload.__name__, "description": found.get("description"), "anyOf": [found, plain]}
    return {**either, "$defs": definitions} if definitions else either


def schema_files() -> Mapping[str, str]:
    """File names and their texts."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {f"{payload.__name__}.json": json.dumps(dialect | schema(payload), indent=2) + "\n" for payload in payloads()}
