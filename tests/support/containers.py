"""A home in containers, under a project name of its own, that a test may restart, kill and look into."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.containers import compose
from tests.support.broker import free_port

_ROOT = Path(__file__).parents[2]
PATIENCE_S = 180.0


class Containers:
    """One docker-compose project.

    Attributes:
        page_port: where the page is on this computer.
        broker_port: where the broker is.
    """

    def __init__(
        self,
        project: str,
        profiles: str,
        environment: Mapping[str, str] | None = None,
        files: Sequence[str] = (),
        base: str = "docker-compose.yml",
    ) -> None:
        self.page_port, self.broker_port = free_port(), free_port()
        self._project = project
        self._profiles = profiles.split(",") if profiles else []
        self._files = (base, *files)
        self._environment = {
            **os.environ,
            "COMPOSE_PROFILES": profiles,
            "HEMS_PAGE_ADDRESS": f"127.0.0.1:{self.page_port}",
            "HEMS_BROKER_ADDRESS": f"127.0.0.1:{self.broker_port}",
            **(environment or {}),
        }

    def compose(self, *arguments: str, files: Sequence[str] = ()) -> str:
        """Run docker-compose; what it printed."""
        named = [part for file in (*self._files, *files) for part in ("-f", file)]
        chosen = [part for profile in self._profiles for part in ("--profile", profile)]
        command = [*compose(), "--project-name", self._project, *named, *chosen, *arguments]
        done = subprocess.run(command, cwd=_ROOT, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.stdout[-2_000:]}{done.stderr[-4_000:]}\n{self.logs()[-4_000:]}"
        return done.stdout

    def down(self) -> None:
        """Stop and remove all of it, volumes and networks included."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")

    def identity(self, service: str) -> str:
        """The container's id; it has to exist."""
        found = docker("ps", "--all", "--quiet", *self._label(service)).split()
        assert found, f"there is no container {service}"
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """All that the engine says of a container."""
        return json.loads(docker("inspect", self.identity(service)))[0]

    def running(self) -> list[str]:
        """The services whose containers run."""
        label = f"--filter=label=com.docker.compose.project={self._project}"
        return docker("ps", label, "--format", '{{.Label "com.docker.compose.service"}}').split()

    def health(self, service: str) -> str:
        """`starting`, `healthy` or `unhealthy`; `none` where nothing is checked."""
        return self.inspect(service)["State"].get("Health", {}).get("Status", "none")

    def restarts(self, service: str) -> int:
        """How often the engine has started it again."""
        return int(self.inspect(service)["RestartCount"])

    def kill(self, service: str) -> None:
        """End its program as `kill -9`: unlike `docker kill`, the engine has to bring it back."""
        self.signal(service, "KILL")

    def program(self, service: str) -> int:
        """The process that does its work: the child of the engine's init, as this computer numbers it; 0 where it does not run."""
        first = int(self.inspect(service)["State"]["Pid"])
        children = Path(f"/proc/{first}/task/{first}/children")
        found = children.read_text().split() if first and children.exists() else []
        return int(found[0]) if found else first

    def signal(self, service: str, name: str) -> None:
        """Send its program a signal, as from the host."""
        process = str(self.program(service))
        docker(
            "run", "--rm", "--pid", "host", "--network", "none", "--user", "0", "--cap-drop", "ALL", "--cap-add", "KILL",
            "--entrypoint", "sh", self.inspect(service)["Config"]["Image"], "-c", f"kill -{name} {process}",
        )  # fmt: skip

    def logs(self) -> str:
        """What all of them have said."""
        label = f"--filter=label=com.docker.compose.project={self._project}"
        said: list[str] = []
        for line in docker("ps", "--all", label, "--format", '{{.ID}} {{.Label "com.docker.compose.service"}}').splitlines():
            identity, _, service = line.partition(" ")
            done = subprocess.run(["docker", "logs", identity], capture_output=True, text=True, check=False)
            said.append(f"--- {service}\n{done.stdout}{done.stderr}")
        return "\n".join(said)

    def until(self, holds: Callable[[], object], otherwise: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until it holds."""
        give_up_at = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < give_up_at, f"{otherwise}\n{self.logs()[-20_000:]}"
            time.sleep(0.5)

    def _label(self, service: str) -> tuple[str, str]:
        label = "--filter=label=com.docker.compose"
        return f"{label}.project={self._project}", f"{label}.service={service}"


def docker(*arguments: str) -> str:
    """Run docker; what it printed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout
