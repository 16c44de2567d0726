"""The whole set in containers at one reading each two seconds: image sizes, memory, CPU, and the time until all is healthy."""

import re
import time
from collections import defaultdict
from statistics import mean

from tests.support.containers import Containers, docker

_SERVICES = ("broker", "sensor", "disaggregator", "actuator", "load_manager", "notifier", "recorder", "dashboard")
_SPEED = "4"
"""The recording has a reading each eight seconds."""
_SAMPLES = 20
_UNITS = {"B": 1e-6, "KiB": 1.024e-3, "MiB": 1.048576, "GiB": 1_073.741824, "kB": 1e-3, "MB": 1.0, "GB": 1e3}


def main() -> None:
    """Start the demo, let it settle, look at it for a minute, and remove it."""
    demo = Containers("hems-bench", "demo", {"SPEED": _SPEED})
    try:
        demo.compose("build", "--quiet")
        started_s = time.monotonic()
        demo.compose("up", "--detach")
        demo.until(lambda: all(demo.health(f"demo-{service}") == "healthy" for service in _SERVICES), "not all is healthy")
        print(f"healthy after {time.monotonic() - started_s:.0f} s, looked at each 30 s")
        _report(demo)
    finally:
        demo.down()


def _report(demo: Containers) -> None:
    names = {demo.inspect(f"demo-{service}")["Name"].lstrip("/"): service for service in _SERVICES}
    memory_mb: defaultdict[str, list[float]] = defaultdict(list)
    cpu_percent: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(_SAMPLES):
        for line in docker("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}}", *names).splitlines():
            name, cpu, used, *_ = line.split()
            memory_mb[names[name]].append(_megabytes(used))
            cpu_percent[names[name]].append(float(cpu.rstrip("%")))
    for service in _SERVICES:
        limit = demo.inspect(f"demo-{service}")["HostConfig"]["Memory"] / 1e6
        size = int(docker("image", "inspect", "--format", "{{.Size}}", f"hems-{service}")) / 1e6
        figures = f"{max(memory_mb[service]):5.0f} MB of {limit:4.0f} allowed   {mean(cpu_percent[service]):5.2f} % of a core"
        print(f"{service:<14} {figures}   image {size:4.0f} MB")
    memory, cpu = sum(max(memory_mb[service]) for service in _SERVICES), sum(mean(cpu_percent[service]) for service in _SERVICES)
    print(f"{'all':<14} {memory:5.0f} MB                   {cpu:5.2f} % of a core")


def _megabytes(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text)
    assert found, text
    return float(found[1]) * _UNITS[found[2]]
