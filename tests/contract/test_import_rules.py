"""Who may import whom, as docs/architecture.md says; import-linter holds the rest, in pyproject.toml."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.imports import Import, imports, modules, within

SHARED_AND_SERVICES = dict(modules("hems", "services"))

OUTSIDE_WORLD = (
    "asyncio",
    "threading",
    "multiprocessing",
    "concurrent",
    "socket",
    "subprocess",
    "sqlite3",
    "time",
    "os",
    "pathlib",
    "logging",
)
"""Of the standard library, what a decision has no use for: it is pure and synchronous, and is told the time."""

OWNERS = {
    "aiomqtt": ("hems.actor", "services.bridge_adafruit"),
    "paho": ("hems.actor", "services.bridge_adafruit"),
    "stamina": ("hems.actor",),
    "yaml": ("hems.actor", "services.supervisor"),
    "ruamel": ("hems.setting_up",),
    "pydantic_settings": ("hems.actor",),
    "tensorflow": ("services.disaggregator.training",),
    "keras": ("services.disaggregator.training",),
    "tf2onnx": ("services.disaggregator.training",),
    "onnx": ("services.disaggregator.training",),
    "onnxruntime": ("services.disaggregator",),
    "serial": ("services.sensor",),
    "serial_asyncio_fast": ("services.sensor",),
    "sqlalchemy": ("services.recorder",),
    "alembic": ("services.recorder",),
    "twilio": ("services.notifier",),
    "gpiozero": ("services.actuator",),
    "nicegui": ("services.dashboard",),
    "openleadr": ("services.load_manager",),
}
"""The only packages that speak to a library."""


@cache
def found(name: str) -> tuple[Import, ...]:
    """What one module imports."""
    return tuple(imports(name, SHARED_AND_SERVICES[name]))


def service(name: str) -> str:
    """`services.sensor` of `services.sensor.domain.mains`."""
    return ".".join(name.split(".")[:2])


def standard(imported: str) -> bool:
    """Whether it is Python's own."""
    return imported.split(".")[0] in sys.stdlib_module_names


def is_domain(name: str) -> bool:
    """Whether it is a service's decisions."""
    return name.split(".")[2:3] == ["domain"]


def broken(applies: Callable[[str], bool], allowed: Callable[[str, str], bool]) -> list[str]:
    """The imports, of the modules that a rule applies to, that it does not allow."""
    return [str(one) for name in SHARED_AND_SERVICES if applies(name) for one in found(name) if not allowed(name, one.imported)]


def test_there_is_something_to_check() -> None:
    """The rules below see the modules of the contracts, the runtime and the services' domains."""
    assert {"hems.contracts.topic", "hems.actor.bus", "services.sensor.actor"} <= SHARED_AND_SERVICES.keys()
    assert sum(map(is_domain, SHARED_AND_SERVICES)) > 5


def test_the_contracts_know_only_pydantic() -> None:
    """`hems.contracts` imports pydantic and the standard library."""

    def allowed(_: str, imported: str) -> bool:
        return standard(imported) or within(imported, "pydantic", "hems.contracts")

    assert not broken(lambda name: within(name, "hems.contracts"), allowed)


def test_a_domain_is_pure() -> None:
    """A domain imports itself, the contracts, numpy, and what of the standard library neither waits nor touches the world."""

    def allowed(name: str, imported: str) -> bool:
        if standard(imported):
            return not within(imported, *OUTSIDE_WORLD)
        return within(imported, "hems.contracts", "numpy", f"{service(name)}.domain")

    assert not broken(is_domain, allowed)


def test_a_domain_has_no_clock() -> None:
    """A domain never asks what time it is: it is told."""
    domains = [path for name, path in SHARED_AND_SERVICES.items() if is_domain(name)]
    assert not [f"{path}:{line}" for path in domains for line in clock_readings(path)]


def clock_readings(path: Path) -> Iterator[int]:
    """Lines that call `datetime.now()`, `date.today()` and the like."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and re.fullmatch(r"(datetime\.)?(datetime|date)\.(now|utcnow|today)", ast.unparse(node.func)):
            yield node.lineno


def test_an_actor_knows_its_domain_its_settings_and_the_runtime() -> None:
    """`services.X.actor` imports its own domain and settings, `hems`, the logger, and parts of its own that import no more than it may.

    So no adapter, and nothing of the world: those reach it through its protocols.
    """

    def allowed(name: str, imported: str) -> bool:
        if standard(imported):
            return not within(imported, "socket", "subprocess", "sqlite3")
        return within(imported, "hems.actor", "hems.contracts", "pydantic", "structlog", service(name))

    def parts(name: str) -> set[str]:
        """The actor's module, and what of its service it imports, directly or not, save the domain and the settings."""
        settled = (f"{service(name)}.domain", f"{service(name)}.settings")
        own = {one.imported for one in found(name) if within(one.imported, service(name)) and not within(one.imported, *settled)}
        return {name}.union(*(parts(one) for one in own if one in SHARED_AND_SERVICES))

    actors = {part for name in SHARED_AND_SERVICES if name.split(".")[2:] == ["actor"] for part in parts(name)}
    assert not broken(lambda name: name in actors, allowed)


def test_nothing_imports_what_assembles() -> None:
    """Within a service, nobody imports the actor but `__main__` and `command`, and nobody imports those two but each other."""

    def allowed(name: str, imported: str) -> bool:
        assembles = name.split(".")[-1] in {"__main__", "command"} or name == "services.cli"
        return assembles or not within(imported, *(f"{service(name)}.{part}" for part in ("actor", "__main__", "command")))

    assert not broken(lambda name: within(name, "services"), allowed)


def test_a_service_never_imports_another() -> None:
    """Services share messages alone; only the command line names them all."""

    def allowed(name: str, imported: str) -> bool:
        return imported == "services" or not within(imported, "services") or within(imported, service(name))

    assert not broken(lambda name: within(name, "services") and name != "services.cli", allowed)


def test_the_shared_package_never_imports_a_service() -> None:
    """`hems` knows no service."""
    assert not broken(lambda name: within(name, "hems"), lambda _, imported: not within(imported, "services"))


def test_only_tests_import_the_fakes() -> None:
    """`hems.testing` is imported by itself and by tests."""
    assert not broken(lambda name: not within(name, "hems.testing"), lambda _, imported: not within(imported, "hems.testing"))


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_its_owner(library: str) -> None:
    """Only the packages named for a library import it: tensorflow above all."""

    def allowed(name: str, imported: str) -> bool:
        return not within(imported, library) or within(name, *OWNERS[library])

    assert not broken(lambda _: True, allowed)
