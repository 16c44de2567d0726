"""What is generated from the contracts: it is current, and a change of the contracts shows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from hems.contracts import access, catalog
from hems.contracts.catalog import CATALOG, MAINS
from hems.contracts.payload import Payload
from hems.contracts.topic import Topic
from scripts.generate import pages, schemas
from scripts.generate.files import SCHEMAS, drifted, generated_files, write

ROOT = Path(__file__).parents[2]
DIMENSIONLESS = {
    "confidence",
    "power_factor",
    "log_odds",
    "value",
    "today_cost",
    "month_cost",
    "rate",
    "points",
    "piece",
    "backlog",
    "gauges",
    "seconds",
}
"""Fields of numbers with no unit in the name: ratios, counts, and amounts whose unit stands in another field."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder that holds the generated files, as they are now."""
    write(tmp_path)
    return tmp_path


def with_mains(monkeypatch: pytest.MonkeyPatch, changed: Topic[Any]) -> None:
    """Let the catalogue hold another `mains`."""
    altered = tuple(changed if topic is MAINS else topic for topic in CATALOG)
    for module in (access, pages, schemas):
        monkeypatch.setattr(module, "CATALOG", altered)
    monkeypatch.setattr(catalog, "MAINS", changed)


def test_the_files_in_the_repository_are_current() -> None:
    """`make generate` would change nothing."""
    assert drifted(ROOT) == []


def test_a_changed_topic_shows_in_every_file_that_names_it(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that takes another name makes the access list, the page and the AsyncAPI document stale."""
    with_mains(monkeypatch, replace(MAINS, pattern="supply"))
    assert set(drifted(copy)) >= {Path("broker/acl"), Path("docs/mqtt-api/README.md"), Path("docs/mqtt-api/asyncapi.yaml")}


def test_a_changed_speaker_shows_in_the_access_list(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that somebody else may say makes the access list stale."""
    with_mains(monkeypatch, replace(MAINS, said_by=(catalog.by("recorder"),)))
    assert Path("broker/acl") in drifted(copy)


def test_a_changed_payload_shows_in_its_schema(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload with another field makes its schema and the page stale."""

    class Mains(MAINS.payload):
        """One reading of the whole home."""

        frequency_hz: float | None = None

    with_mains(monkeypatch, replace(MAINS, payload=Mains))
    assert drifted(copy) == [Path("docs/mqtt-api/README.md"), SCHEMAS / "Mains.json"]


def test_a_hand_made_change_a_missing_file_and_a_left_over_schema_are_drift(copy: Path) -> None:
    """Drift is anything that `make generate` would change, and it changes all of that."""
    (copy / "broker/acl").write_text("user mallory\ntopic readwrite #\n")
    (copy / SCHEMAS / "Mains.json").unlink()
    (copy / SCHEMAS / "Gone.json").write_text("{}")
    assert drifted(copy) == [Path("broker/acl"), SCHEMAS / "Gone.json", SCHEMAS / "Mains.json"]
    write(copy)
    assert drifted(copy) == []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    """Each `$ref` names a part of the document, or a schema file that is generated too."""
    files = generated_files()
    document = yaml.safe_load(files[Path("docs/mqtt-api/asyncapi.yaml")])
    for reference in references(document):
        if reference.startswith("./"):
            assert Path("docs/mqtt-api") / reference in files
        else:
            part = document
            for key in reference.removeprefix("#/").split("/"):
                part = part[key]


def references(part: object) -> Iterator[str]:
    """All `$ref` below a part of a document."""
    match part:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for value in part.values():  # pyright: ignore[reportUnknownVariableType]
                yield from references(value)  # pyright: ignore[reportUnknownArgumentType]
        case _:
            pass


@pytest.mark.parametrize("payload", schemas.payloads())
def test_a_number_says_its_unit_in_its_name(payload: type[Payload]) -> None:
    """A field that holds a number ends in its unit, or is one of the few that have none."""
    fields: dict[str, Any] = payload.model_json_schema()["properties"] if payload.is_json else {}
    numbers = {name for name, field in fields.items() if '"number"' in json.dumps(field)}
    assert {name for name in numbers if not pages.unit(name)} <= DIMENSIONLESS | {"channels"}
