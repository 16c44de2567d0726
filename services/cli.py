"""The `hems` command: each subcommand is imported when it is called."""

import importlib

import click

import hems

_COMMANDS = {
    "up": "services.supervisor.command:up",
    "watch": "services.watch.command:watch",
    "check-config": "services.check_config:check_config",
    "replay": "services.replay.command:replay",
    "convert": "services.replay.command:convert",
    "record": "services.sensor.command:record",
    "disaggregate": "services.disaggregator.command:disaggregate",
    "evaluate": "services.disaggregator.command:evaluate",
}
_HELP = {
    "up": "Start the broker and all services.",
    "watch": "Show the home in the terminal, live.",
    "check-config": "Name every mistake in hems.yaml.",
    "replay": "Play a recorded home as a meter.",
    "convert": "Make a recording of a publisher's original files.",
    "record": "Keep a serial port's raw bytes, for a bug report.",
    "disaggregate": "Name the appliances in a recorded home.",
    "evaluate": "Measure how well the appliances are named.",
}


class _Lazy(click.Group):
    """Imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        return getattr(importlib.import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(cls=_Lazy)
@click.version_option(hems.__version__, prog_name="hems")
def main() -> None:
    """Home energy management: which appliances run, from one clamp meter."""


if __name__ == "__main__":
    main()
