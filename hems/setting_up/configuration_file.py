"""Changes `hems.yaml` and keeps what people wrote there: comments, order, quotes."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.settings import Section
from hems.setting_up.private_file import write_private

_PLAIN = re.compile(r"[A-Za-z/][\w./-]*(?: [\w./-]+)*", re.ASCII)
_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_HEADER = "# Written by `hems setup`; change it as you like. `hems check-config` names every mistake.\n"


class ConfigurationFile:
    """One `hems.yaml`, read once, changed in memory, and written whole or not at all.

    Raises:
        hems.actor.configuration.ConfigurationError: what is there is no YAML with sections.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values: Any = _read(path)

    def get(self, *key: str) -> Any:
        """A value, such as `get("sensor", "meter", "port")`; None where there is none."""
        found: Any = self._values
        for name in key:
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = cast("Any", found)[name]
        return found

    def part(self, *key: str) -> Mapping[str, Any]:
        """A mapping, such as `part("sensor", "meter")`; empty where there is none, or where something else stands by mistake."""
        return as_part(self.get(*key))

    def set(self, *key: str, to: Any) -> None:
        """Put a value; sections above it are made where they are missing."""
        *above, last = key
        part = self._values
        for name in above:
            if not isinstance(part.get(name), dict):
                part[name] = _mapping(flow=False)
            part = part[name]
        part[last] = _plain(to)

    def remove(self, *key: str) -> None:
        """Take a value out, if it is there."""
        *above, last = key
        part = self.get(*above) if above else self._values
        if isinstance(part, dict):
            cast("dict[str, Any]", part).pop(last, None)

    def text(self) -> str:
        """The file as it would be written."""
        target = io.StringIO()
        _yaml().dump(self._values, target)
        return target.getvalue() if self.path.exists() and self._values else _HEADER + target.getvalue()

    def save(self, *sections: type[Section]) -> None:
        """Write it, if these sections have no mistakes then.

        Raises:
            ConfigurationError: with the mistakes; the file is as it was.
            OSError: it can't be written.
        """
        beside = self.path.with_name(f".{self.path.name}.new")
        write_private(beside, self.text())
        try:
            if found := _mistakes(beside, self.path, sections):
                raise ConfigurationError(found)
            if self.path.exists():
                beside.chmod(self.path.stat().st_mode & 0o777)
            beside.replace(self.path)
        finally:
            beside.unlink(missing_ok=True)


def as_part(value: Any) -> Mapping[str, Any]:
    """A value that should be a mapping; empty where it is none."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _mistakes(written: Path, path: Path, sections: tuple[type[Section], ...]) -> list[Mistake]:
    configuration = Configuration.load(written)
    found: list[Mistake] = []
    for section in sections:
        try:
            configuration.section(section)
        except ConfigurationError as error:
            found += [Mistake(str(path), one.line, one.key, one.message) for one in error.mistakes]
    return found


def _yaml() -> Any:
    yaml: Any = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4_096
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.representer.add_representer(type(None), _null)
    return yaml


def _null(representer: Any, _value: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _read(path: Path) -> Any:
    if not path.exists():
        return CommentedMap()
    try:
        values: Any = _yaml().load(path.read_text(encoding="utf-8"))
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigurationError([Mistake(str(path), None, "file", f"can't be read: {error}")]) from None
    if values is None:
        return CommentedMap()
    if not isinstance(values, dict):
        raise ConfigurationError([Mistake(str(path), 1, "file", "holds no sections such as 'home:' and 'sensor:'")])
    return cast("Any", values)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        part = _mapping(flow=True)
        part.update({str(key): _plain(inner) for key, inner in cast("Mapping[Any, Any]", value).items()})
        return part
    if isinstance(value, list | tuple):
        series: Any = CommentedSeq([_plain(inner) for inner in cast("list[Any]", value)])
        series.fa.set_flow_style()
        return series
    return DoubleQuotedScalarString(value) if isinstance(value, str) and _needs_quotes(value) else value


def _mapping(*, flow: bool) -> Any:
    part: Any = CommentedMap()
    if flow:
        part.fa.set_flow_style()
    return part


def _needs_quotes(text: str) -> bool:
    """Whether YAML 1.1, which reads `22:00` as 1320 and `off` as false, might take it for something else than this text."""
    return not _PLAIN.fullmatch(text) or text.lower() in _WORDS
