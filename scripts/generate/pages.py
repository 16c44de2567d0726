"""The page that people read: every topic, and every payload's fields with their units."""

from collections.abc import Iterable, Iterator
from typing import Any

from hems.contracts.catalog import CATALOG, CLIENT, SERVICES
from hems.contracts.topic import Grant, Topic
from scripts.generate.schemas import payloads

_HEAD = """# The MQTT interface

<!-- Generated from hems/contracts by `make generate`; changes made here are lost. -->

Topics stand under `hems/<home>/`, save those that belong to others. Payloads are UTF-8 JSON objects, numbers are finite, times are
UTC with an offset, and a field without a value is left out. Ignore fields that you don't know: more may come, while names and units
stay. A payload has a JSON Schema in [`schemas/`](schemas); [`asyncapi.yaml`](asyncapi.yaml) says the same to programs.

The broker lets each user write and read only what this table says ([`broker/acl`](../../broker/acl)). The account `client`, for your
own programs, reads the whole home.

## Topics
"""

_UNITS = {"w": "W", "va": "VA", "v": "V", "a": "A", "kwh": "kWh", "s": "s", "c": "°C", "bytes": "bytes"}


def page() -> str:
    """Markdown."""
    return "\n".join(
        (_HEAD, *_table(("topic", "payload", "QoS", "retained", "said by", "read by", ""), map(_topic_row, CATALOG)), *_payloads())
    )


def unit(field: str) -> str:
    """The unit that a field's name ends in, such as `W` of `power_w`; empty where it has none."""
    return _UNITS.get(field.rpartition("_")[2], "") if "_" in field else ""


def _payloads() -> Iterator[str]:
    yield "\n## Payloads\n"
    for payload in payloads():
        yield f"### {payload.__name__}\n\n{payload.__doc__}\n"
        if payload.plain:
            yield f"{'Plain text' if not payload.is_json else 'A plain form is taken too'}: `{payload.plain.replace('|', '`, `')}`.\n"
        if payload.is_json:
            yield from _fields(payload.model_json_schema())
            yield ""


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    rows = (
        (f"`{name}`", _kind(field, schema), unit(name), _word(name in schema.get("required", ())), field.get("description", ""))
        for name, field in schema["properties"].items()
    )
    yield from _table(("field", "type", "unit", "always", ""), rows)
    for name, part in schema.get("$defs", {}).items():
        yield f"\n**{name}**: {part.get('description', '')}\n"
        yield from _fields({**part, "$defs": {}})


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    options = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    return " or ".join(_one_kind(option, schema) for option in options)


def _one_kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("format") == "date-time":
        return "time"
    if field.get("type") == "array":
        return f"list of {_kind(field['items'], schema) or 'anything'}"
    if "additionalProperties" in field:
        return f"object of {_kind(field['additionalProperties'], schema)}"
    return field.get("type", "anything")


def _topic_row(topic: Topic[Any]) -> Iterable[str]:
    return (
        f"`{topic.pattern}`" + (" (whole topic)" if topic.foreign else ""),
        f"[{topic.payload.__name__}](#{topic.payload.__name__.lower()})",
        str(topic.qos),
        _word(topic.retain),
        _names(map(_said_by, topic.said_by)) or "the broker",
        _names(name for name in topic.read_by if name != CLIENT),
        topic.description,
    )


def _said_by(grant: Grant) -> str:
    fixed = {name: value for name, value in grant.fixed.items() if value != grant.user}
    return grant.user + (f" ({', '.join(fixed.values())})" if fixed else "")


def _names(users: Iterable[str]) -> str:
    names = list(dict.fromkeys(users))
    if set(SERVICES) <= set(names):
        names = ["every service", *(name for name in names if name not in SERVICES)]
    return ", ".join(names)


def _word(flag: bool) -> str:
    return "yes" if flag else "no"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    titles = tuple(head)
    yield from map(_line, (titles, ["---"] * len(titles), *rows))


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")
