"""Reading `hems.yaml`, and saying of each mistake in which file, line and key it is."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError

from hems.actor.settings import Section, UnusableFile, UnusableVariable

S = TypeVar("S", bound=Section)
_DEFAULT_FILE = Path("hems.yaml")
_ENVIRONMENT = "environment"
_BELOW = "has keys of its own: they go below it, indented"
_MESSAGES = {"extra_forbidden": "no such key", "model_type": _BELOW, "model_attributes_type": _BELOW, "dict_type": _BELOW}
"""What people read instead of pydantic's words for programmers."""


@dataclass(frozen=True)
class Mistake:
    """One mistake, where it stands, and what is wrong with it. `line` is None where the environment set it, or nothing did."""

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}"


class ConfigurationError(Exception):
    """The configuration has mistakes; all of them are listed."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True)
class Configuration:
    """A `hems.yaml` that could be read: sections, and the line of every key."""

    file: str
    sections: Mapping[str, Mapping[str, Any]]
    lines: Mapping[tuple[str, ...], int]

    @classmethod
    def load(cls, path: Path | None = None) -> "Configuration":
        """Read the file given, or that `HEMS_CONFIG` names, or `hems.yaml` here; with none of them, everything has its default.

        Raises:
            ConfigurationError: the file is missing, is not YAML, or is not made of sections.
        """
        named = path or (Path(os.environ["HEMS_CONFIG"]) if os.environ.get("HEMS_CONFIG") else None)
        if named is None and not _DEFAULT_FILE.exists():
            return cls("(no hems.yaml)", {}, {})
        return _parsed(named or _DEFAULT_FILE)

    def section(self, kind: type[S], environment: Mapping[str, str] | None = None) -> S:
        """One section, checked.

        Raises:
            ConfigurationError: with every mistake in it.
        """
        variables = dict(os.environ if environment is None else environment)
        try:
            return kind.read(self.sections.get(kind.section), variables)
        except ValidationError as error:
            raise ConfigurationError([self._mistake(kind.section, problem, variables) for problem in error.errors()]) from None
        except UnusableVariable as error:
            raise ConfigurationError([Mistake(_ENVIRONMENT, None, error.variable, error.reason)]) from None
        except UnusableFile as error:
            raise ConfigurationError([Mistake(self.file, self._line(error.key), ".".join(error.key), error.reason)]) from None
        except SettingsError as error:
            raise ConfigurationError([Mistake(_ENVIRONMENT, None, f"HEMS_{kind.section.upper()}__…", str(error))]) from None

    def unknown_sections(self, known: Sequence[str]) -> list[Mistake]:
        """Sections that no service reads: most often a misspelt name."""
        return [
            Mistake(self.file, self.lines.get((name,)), name, f"no such section; there are {', '.join(sorted(known))}")
            for name in self.sections
            if name not in known
        ]

    def _mistake(self, section: str, problem: Any, variables: Mapping[str, str]) -> Mistake:
        key = (section, *map(str, problem["loc"]))
        message = _MESSAGES.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
        variable = _variable(key, variables)
        if variable is not None:
            return Mistake(_ENVIRONMENT, None, variable, message)
        return Mistake(self.file, self._line(key), ".".join(key), message)

    def _line(self, key: tuple[str, ...]) -> int | None:
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key)


def _variable(key: tuple[str, ...], variables: Mapping[str, str]) -> str | None:
    given = {name.upper(): name for name in variables}
    names = [f"HEMS_{'__'.join(key[:length])}".upper() for length in range(len(key), 1, -1)]
    return next((given[full] for name in names for full in (name, f"{name}_FILE") if full in given), None)


def _parsed(path: Path) -> Configuration:
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values: Any = yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([Mistake(str(path), None, "file", f"can't be read: {error}")]) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigurationError([Mistake(str(path), line, "file", f"is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: something like a date that is none
        raise ConfigurationError([Mistake(str(path), None, "file", f"is not YAML: {error}")]) from None
    try:
        return _configuration(path, node, values)
    except RecursionError:  # an anchor within itself
        raise ConfigurationError([Mistake(str(path), None, "file", "is nested too deeply")]) from None


def _configuration(path: Path, node: Any, values: Any) -> Configuration:
    if twice := [Mistake(str(path), line, ".".join(key), message) for key, line, message in _repeated(node)]:
        raise ConfigurationError(twice)
    lines = _lines(node)
    return Configuration(str(path), _sections(path, values, lines), lines)


def _sections(path: Path, values: Any, lines: Mapping[tuple[str, ...], int]) -> dict[str, Mapping[str, Any]]:
    if not isinstance(values, dict):
        raise ConfigurationError([Mistake(str(path), 1, "file", "holds no sections such as 'home:' and 'sensor:'")])
    sections = cast("dict[Any, Any]", values)
    wrong = [str(name) for name, section in sections.items() if not isinstance(section, dict | None)]
    if wrong:
        message = "is a section: its keys go below it, indented"
        raise ConfigurationError([Mistake(str(path), lines.get((name,)), name, message) for name in wrong])
    return {str(name): section or {} for name, section in sections.items()}


def _repeated(node: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Keys that stand twice in one place, with line and message: YAML would take the last, and leave the first out without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for name, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            here, line = (*key, str(name.value)), name.start_mark.line + 1
            if here[-1] in seen:
                yield here, line, f"stands in line {seen[here[-1]]} already: put the two together"
            seen.setdefault(here[-1], line)
            yield from _repeated(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(cast("list[yaml.Node]", node.value)):
            yield from _repeated(value, (*key, str(place)))


def _lines(node: Any, key: tuple[str, ...] = ()) -> dict[tuple[str, ...], int]:
    found: dict[tuple[str, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for name, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            found[here := (*key, str(name.value))] = name.start_mark.line + 1
            found |= _lines(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(cast("list[yaml.Node]", node.value)):
            found[here := (*key, str(place))] = value.start_mark.line + 1
            found |= _lines(value, here)
    return found
