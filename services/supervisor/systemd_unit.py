"""The systemd unit of a home without containers: `hems up`, with as few rights as its work allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_MEMORY_MB = 700

_UNIT = """# Written by `hems install-service`; it is written anew by the next call.
[Unit]
Description=hems, home energy management
After=network-online.target time-sync.target
Wants=network-online.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} up --no-watch --directory /var/lib/hems{configuration}
WorkingDirectory=/var/lib/hems
Environment=HEMS_LOG_FORMAT=json
{secrets}
# It says every five seconds that it goes round.
WatchdogSec=30
Restart=always
RestartSec=5
TimeoutStopSec=20

# A user that exists while it runs, with a folder of its own and the groups of the devices that it needs.
DynamicUser=yes
StateDirectory=hems
StateDirectoryMode=0700
UMask=0077
SupplementaryGroups={groups}

ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateMounts=yes
DevicePolicy=closed
DeviceAllow=char-ttyAMA rw
DeviceAllow=char-ttyS rw
DeviceAllow=char-ttyUSB rw
DeviceAllow=char-ttyACM rw
DeviceAllow=char-gpiochip rw
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# Refused rather than killed: numpy asks for memory on a certain node (mbind), and does without.
SystemCallErrorNumber=EPERM
MemoryMax={memory}M
TasksMax=200

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Installation:
    """Where things are on this computer.

    Attributes:
        program: the `hems` command.
        configuration: the person's `hems.yaml`; everything has its default where None.
        secrets: files named after the settings that they hold, such as HEMS_NOTIFIER__TWILIO__AUTH_TOKEN.
        groups: those that exist here of the ones that own serial ports and pins.
    """

    program: Path
    configuration: Path | None = None
    secrets: Sequence[Path] = ()
    groups: Sequence[str] = ()

    def unit(self) -> str:
        """The unit's text. Secrets are handed over as systemd's credentials: the unit names files and holds none."""
        handed = [f"LoadCredential={path.name}:{path}\nEnvironment={path.name}_FILE=%d/{path.name}" for path in self.secrets]
        return _UNIT.format(
            program=self.program,
            configuration=f" --config {self.configuration}" if self.configuration else "",
            secrets="\n".join(handed),
            groups=" ".join(self.groups),
            memory=_MOST_MEMORY_MB,
        ).replace("\n\n# It says", "\n# It says")
