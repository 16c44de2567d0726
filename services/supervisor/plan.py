"""What `hems up` starts, and with which environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hems.actor.account import ACCOUNT
from hems.actor.configuration import Configuration
from hems.actor.settings import BrokerSettings, HomeSettings, StorageSettings
from hems.setting_up.places import lock_of
from services.supervisor.settings import SupervisorSettings
from services.supervisor.workspace import Workspace, free_port

DEMO_CONFIGURATION = Path(__file__).with_name("demo.yaml")
"""The demo never reads a person's own `hems.yaml`: it must not switch what is wired there."""

DEMO_PAGE_PORT = 8080


@dataclass(frozen=True)
class Wishes:
    """What the command line asks for, over the configuration."""

    directory: Path | None = None
    demo: bool = False
    speed: float = 20.0
    port: int | None = None
    page_port: int | None = None
    home: str | None = None
    configuration: Path | None = None


@dataclass(frozen=True)
class Plan:
    """A home's processes."""

    workspace: Workspace
    home: str
    broker: BrokerSettings
    services: tuple[str, ...]
    own_broker: bool
    demo: bool = False
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def lock(self) -> Path:
        """What only one `hems up` may hold; the demo's lies beside its folder, which is emptied at each start."""
        directory = self.workspace.directory
        return directory.with_name(f"{directory.name}.lock") if self.demo else lock_of(directory)

    @property
    def account(self) -> Path:
        """Where a person's own MQTT client finds what it needs."""
        directory = self.workspace.directory
        return (directory.parent if self.demo else directory) / ACCOUNT

    @property
    def page(self) -> str | None:
        """Where the demo's page is, if one is served."""
        port = self.environment.get("HEMS_DASHBOARD__PORT")
        return f"http://127.0.0.1:{port}" if port and "dashboard" in self.services else None

    @property
    def meter_link(self) -> Path:
        """Where the demo's meter stands."""
        return self.workspace.directory / "meter"

    @property
    def voltage_link(self) -> Path:
        """Where the demo's voltage sensor stands."""
        return self.workspace.directory / "voltage"

    def of(self, user: str) -> dict[str, str]:
        """The environment of one process: the common one, and its own password."""
        inherited = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}  # systemd hears us alone
        environment = {**inherited, "PYTHONUNBUFFERED": "1", "HEMS_LOG_FORMAT": os.environ.get("HEMS_LOG_FORMAT", "console")}
        environment |= self.environment
        if self.own_broker:
            environment["HEMS_BROKER__PASSWORD_FILE"] = str(self.workspace.password_file(user))
        return environment


def decide(wishes: Wishes) -> Plan:
    """What to start.

    Raises:
        hems.actor.configuration.ConfigurationError: with what is wrong in the file.
        OSError: no port is free for the demo.
    """
    configuration = Configuration.load(DEMO_CONFIGURATION if wishes.demo else wishes.configuration)
    home = configuration.section(HomeSettings, {**os.environ, **({"HEMS_HOME__ID": wishes.home} if wishes.home else {})})
    broker, supervisor = configuration.section(BrokerSettings), configuration.section(SupervisorSettings)
    wanted = wishes.port or broker.port
    broker = broker.model_copy(
        update={"host": "127.0.0.1", "tls": False, "port": free_port("127.0.0.1", wanted)} if wishes.demo else {"port": wanted}
    )
    directory = wishes.directory or configuration.section(StorageSettings).directory
    workspace = Workspace((directory / "demo" if wishes.demo else directory).absolute())
    plan = Plan(workspace, home.id, broker, supervisor.services, wishes.demo or supervisor.own_broker, wishes.demo)
    return _with_environment(plan, wishes)


def _with_environment(plan: Plan, wishes: Wishes) -> Plan:
    environment = {
        "HEMS_HOME__ID": plan.home,
        "HEMS_BROKER__HOST": plan.broker.host,
        "HEMS_BROKER__PORT": str(plan.broker.port),
        "HEMS_STORAGE__DIRECTORY": str(plan.workspace.directory / "homes"),
    }
    if wishes.configuration:
        environment["HEMS_CONFIG"] = str(wishes.configuration.absolute())
    if plan.demo:
        environment |= {
            "HEMS_CONFIG": str(DEMO_CONFIGURATION),
            "HEMS_BROKER__TLS": "false",
            "HEMS_SENSOR__METER__PORT": str(plan.meter_link),
            "HEMS_SENSOR__VOLTAGE__PORT": str(plan.voltage_link),
            "HEMS_CLOCK__RATE": str(wishes.speed),
            "HEMS_DASHBOARD__HOST": "127.0.0.1",
            "HEMS_DASHBOARD__PORT": str(free_port("127.0.0.1", wishes.page_port or DEMO_PAGE_PORT)),
            "HEMS_DASHBOARD__DEMO": "true",
        }
    return Plan(plan.workspace, plan.home, plan.broker, plan.services, plan.own_broker, plan.demo, environment)
