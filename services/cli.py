"""The `hems` command: each subcommand is imported when it is called."""

import importlib

import click

import hems

_COMMANDS = {
    "setup": ("services.setup.command:setup", "Set a home up in a conversation, or change one thing."),
    "detect": ("services.sensor.detect_command:detect", "Find the meter: listen to serial ports, and say what they are."),
    "calibrate": ("services.sensor.calibrate_command:calibrate", "Make the meter read true, by a trusted figure."),
    "doctor": ("services.doctor.command:doctor", "Look at everything that can stand in the way, and say what to do."),
    "up": ("services.supervisor.command:up", "Start the broker and all services."),
    "watch": ("services.watch.command:watch", "Show the home in the terminal, live."),
    "prepare": ("services.supervisor.prepare_command:prepare", "Make passwords and certificates for containers."),
    "fleet": ("services.fleet.command:fleet", "Make access lists and bridges for many homes on one cluster."),
    "install-service": ("services.supervisor.install_command:install_service", "Let systemd start hems with the computer."),
    "check-config": ("services.check_config:check_config", "Name every mistake in hems.yaml."),
    "audit": ("services.actuator.command:audit", "Show who switched what, and what was refused."),
    "report": ("services.recorder.command:report", "A month's energy and cost."),
    "export": ("services.recorder.command:export", "Write the history into a CSV or Parquet file."),
    "import": ("services.recorder.command:import_", "Take a CSV file's readings into the history."),
    "backup": ("services.recorder.command:backup", "Copy the history, while it is in use."),
    "restore": ("services.recorder.command:restore", "Put a copy of the history back."),
    "recost": ("services.recorder.command:recost", "Price the past anew, with the tariff of today."),
    "messages": ("services.notifier.command:messages", "Show what was sent, or would be."),
    "notify": ("services.notifier.command:notify", "Send a test message."),
    "adafruit": ("services.bridge_adafruit.command:adafruit", "Make the dashboard at Adafruit IO, or mend it."),
    "password": ("services.dashboard.command:password", "Make the page's password."),
    "disaggregate": ("services.disaggregator.command:disaggregate", "Name the appliances in a recorded home."),
    "evaluate": ("services.disaggregator.command:evaluate", "Measure how well the appliances are named."),
    "teach": ("services.disaggregator.teach_command:teach", "Tell a home what an appliance really does."),
    "replay": ("services.replay.command:replay", "Play a recorded home as a meter."),
    "simulate": ("services.replay.simulate_command:simulate", "Play many homes at once, to see what a broker holds."),
    "convert": ("services.replay.command:convert", "Make a recording of a publisher's original files."),
    "record": ("services.sensor.command:record", "Keep a serial port's raw bytes, for a bug report."),
}
"""Where each is, and what it is for."""


class _Lazy(click.Group):
    """Imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in _COMMANDS.items()])


@click.group(cls=_Lazy)
@click.version_option(hems.__version__, prog_name="hems")
def main() -> None:
    """Home energy management: which appliances run, from one clamp meter."""


if __name__ == "__main__":
    main()
