"""`hems fleet`."""

import sys
from pathlib import Path
from typing import Any

import click

from services.fleet.folder import Fleet, Tls, Unusable, read_homes, write

_folder: Any = click.Path(file_okay=False, path_type=Path)
_file: Any = click.Path(exists=True, dir_okay=False, path_type=Path)
_NODES = ("nats-1:6222", "nats-2:6222", "nats-3:6222")


@click.command()
@click.argument("folder", type=_folder)
@click.option("--homes", type=_file, required=True, help="Their ids, one a line.")
@click.option("--node", "nodes", multiple=True, default=_NODES, show_default=True, help="HOST:PORT at which the nodes find each other.")
@click.option("--address", "addresses", multiple=True, required=True, help="HOST:PORT at which homes find a node; give it for each node.")
@click.option("--ca-file", default=Tls.ca_file, show_default=True, help="The nodes' authority, on a home's computer.")
@click.option("--certificate", default=Tls.certificate, show_default=True, help="A node's own, on its computer.")
@click.option("--key", default=Tls.key, show_default=True, help="What belongs to it.")
@click.option("--no-tls", is_flag=True, help="Between the cluster and all who speak MQTT to it: for a trial on one computer.")
@click.option("--simulator", is_flag=True, help="Admit a user that may say any home's readings: for a trial.")
def fleet(
    folder: Path,
    homes: Path,
    nodes: tuple[str, ...],
    addresses: tuple[str, ...],
    ca_file: str,
    certificate: str,
    key: str,
    no_tls: bool,
    simulator: bool,
) -> None:
    """Write what a cluster for many homes needs: who may come in, the nodes' routes and TLS, a password each, and each home's bridge.

    Run it again with a longer list, and reload the nodes: passwords that are there stay.

    Example: hems fleet /etc/hems-fleet --homes homes.txt --address mqtt.example.org:8883
    """
    try:
        tls = None if no_tls else Tls(ca_file, certificate, key)
        asked = Fleet(read_homes(homes.read_text(encoding="utf-8")), nodes, addresses, tls, simulator)
        write(folder, asked)
    except (Unusable, OSError, ValueError) as error:
        click.echo(f"hems fleet: {homes}: {error}" if isinstance(error, Unusable) else f"hems fleet: {error}", err=True)
        sys.exit(78)
    click.echo(f"{folder} holds the cluster's access list for {len(asked.homes)} homes, and a bridge for each of them.")
