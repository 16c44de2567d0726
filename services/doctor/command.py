"""`hems doctor`."""

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import hems
from hems.actor.account import ACCOUNT, client_of
from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import BrokerSettings, HomeSettings, StorageSettings
from hems.setting_up.checkup import Check, HomeSeen, Overheard
from hems.setting_up.findings import Finding, left_out, look, well
from hems.setting_up.places import configuration_path, is_up, load
from services.doctor.bundle import censor_of, collected, write_bundle
from services.doctor.domain.judging import troubled
from services.doctor.listening import NotLetIn, Unreachable, overhear
from services.doctor.machine import machine_findings

_LISTEN_S = 12.0
_SERVICES = Path(__file__).parents[1]
_WORDS = {"ok": "ok", "look": "look here", "left out": "-"}
_COLOURS = {"ok": "green", "look": "yellow", "left out": None}


@click.command()
@click.option("--listen", "listen_s", default=_LISTEN_S, show_default=True, type=click.FloatRange(min=0.2), help="So long, s.")
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The configuration, if it is not hems.yaml.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--bundle", type=click.Path(dir_okay=False, path_type=Path), help="Write a .tar.gz for a bug report here, without secrets.")
def doctor(listen_s: float, config: Path | None, bundle: Path | None, *, as_json: bool) -> None:
    """Look at everything that can stand in the way: each line says ok, or look here and what to do. Status 1 where a person has to look.

    Nothing is changed, nothing is sent. Ports are listened to where the services don't run; else the services are asked.

    Example: hems doctor --bundle report.tar.gz
    """
    configuration, findings = _configuration(configuration_path(config))
    directory = _directory(configuration)
    findings += list(machine_findings(directory))
    overheard, found = asyncio.run(_bus(configuration, directory, listen_s))
    findings += found
    findings += asyncio.run(_checkups(HomeSeen(configuration, overheard, listen_s)))
    for finding in findings:
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    if bundle is not None:
        try:
            _bundle(bundle, configuration, directory, findings, overheard)
        except OSError as error:
            raise click.ClickException(f"{bundle} can't be written ({error.strerror}); choose another place for it") from None
    sys.exit(1 if any(finding.verdict == "look" for finding in findings) else 0)


def _configuration(path: Path) -> tuple[Configuration, list[Finding]]:
    """The configuration as far as it can be read, and its mistakes."""
    find_mistakes: Any = importlib.import_module("services.check_config").mistakes
    if not path.exists():
        empty = Configuration(str(path), {}, {})
        return empty, [look("configuration", f"there is no {path}", "write it with `hems setup`, or copy hems.example.yaml")]
    found = [look("configuration", str(mistake), "correct it; `hems check-config` looks again") for mistake in find_mistakes(path)]
    try:
        return load(path), found or [well("configuration", f"{path} has no mistakes")]
    except ConfigurationError:
        return Configuration(str(path), {}, {}), found


def _directory(configuration: Configuration) -> Path:
    try:
        return configuration.section(StorageSettings).directory
    except ConfigurationError:
        return StorageSettings().directory


async def _bus(configuration: Configuration, directory: Path, listen_s: float) -> tuple[Overheard | None, list[Finding]]:
    try:
        home, settings = configuration.section(HomeSettings), configuration.section(BrokerSettings)
    except ConfigurationError:
        return None, [left_out("broker", "the configuration has to be mended first")]
    broker, root = client_of(home, settings, directory / ACCOUNT)
    where = f"{broker.host}:{broker.port}"
    try:
        overheard = await overhear(broker, root, listen_s)
    except Unreachable as error:
        if not is_up(directory):
            return None, [left_out("broker", f"hems does not run here, and nobody answers at {where}; start it with `hems up`")]
        return None, [look("broker", f"nobody answers at {where} ({error})", "look into the log of `hems up` for the broker")]
    except NotLetIn as error:
        return None, [look("broker", f"it refuses the account {broker.username} ({error})", f"see {directory / ACCOUNT} for the account")]
    return overheard, [well("broker", f"{where} answers"), *_services(_expected(configuration, directory), overheard)]


def _expected(configuration: Configuration, directory: Path) -> Sequence[str]:
    """The services that should be heard: those that are listed, or all that `hems up` starts where it runs here."""
    settings: Any = importlib.import_module("services.supervisor.settings").SupervisorSettings
    listed = "services" in configuration.sections.get("supervisor", {})
    try:
        return configuration.section(settings).services if listed or is_up(directory) else ()
    except ConfigurationError:
        return ()


def _services(expected: Sequence[str], overheard: Overheard) -> Iterator[Finding]:
    found = dict(troubled(expected, overheard.online, overheard.health, overheard.alive, overheard.seconds))
    if not found:
        yield look("services", "none was ever heard of on this broker", "start them with `hems up`; check home.id and broker.prefix")
    running = [service for service, trouble in found.items() if trouble is None]
    if running:
        yield well("services", f"{', '.join(running)} run")
    for service, trouble in found.items():
        if trouble is not None:
            yield look(service, *trouble)


async def _checkups(home: HomeSeen) -> list[Finding]:
    names = [path.parent.name for path in sorted(_SERVICES.glob("*/checkup.py"))]
    results = await asyncio.gather(*(_checkup(name, home) for name in names))
    return [finding for found in results for finding in found]


async def _checkup(name: str, home: HomeSeen) -> Sequence[Finding]:
    try:
        check: Check = importlib.import_module(f"services.{name}.checkup").check
        return await check(home)
    except Exception as error:  # a check that breaks must not hide what the others find
        return [look(name, f"it could not be looked at: {type(error).__name__}: {error}", "send this line in a bug report")]


def _line(finding: Finding) -> str:
    word = click.style(f"{_WORDS[finding.verdict]:<10}", fg=_COLOURS[finding.verdict])
    step = f"\n{'':<25}→ {finding.step}" if finding.step else ""
    return f"{word} {finding.subject:<14}{finding.says}{step}"


def _bundle(path: Path, configuration: Configuration, directory: Path, findings: Sequence[Finding], overheard: Overheard | None) -> None:
    health = {service: report.model_dump(mode="json") for service, report in overheard.health.items()} if overheard else {}
    texts = {
        "report.txt": f"hems {hems.__version__}\n" + "\n".join(click.unstyle(_line(finding)) for finding in findings) + "\n",
        "health.json": json.dumps(health, indent=1),
        **collected(configuration, directory),
    }
    write_bundle(path, texts, censor_of(configuration, directory, os.environ))
    click.echo(
        f"\n{path} is for a bug report. Secrets, phone numbers and the home's place were taken out; look into it before you send it."
    )
