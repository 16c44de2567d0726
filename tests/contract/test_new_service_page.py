"""The example in `docs/new-service.md` is a service that works."""

import importlib
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import services
from hems.contracts.catalog import ALERT, MAINS
from hems.contracts.mains import Mains
from hems.testing.clocks import START
from hems.testing.harness import on_stage

PAGE = Path(__file__).parents[2] / "docs" / "new-service.md"
_FILE = re.compile(r"^## `(services/[\w/]+\.py)`$.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The page's files, in a folder that stands beside the real services."""
    written: dict[str, Path] = {}
    for name, text in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        written[name] = tmp_path / name
        written[name].parent.mkdir(parents=True, exist_ok=True)
        written[name].write_text(text, encoding="utf-8")
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path / "services")])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return written


def test_the_frame_is_short(files: dict[str, Path]) -> None:
    """Settings, frame of the actor and main take fewer than 30 lines besides the service's own decisions."""
    assert set(files) == {"services/ceiling/settings.py", "services/ceiling/actor.py", "services/ceiling/__main__.py"}
    settings, main = (files[f"services/ceiling/{name}.py"].read_text() for name in ("settings", "__main__"))
    assert len([line for line in (settings + main).splitlines() if line.strip()]) < 30


async def test_the_example_raises_one_alert_each_time_the_limit_is_passed(files: dict[str, Path], tmp_path: Path) -> None:
    """Above the limit: one alert; below and above again: another."""
    assert files
    actor: Any = importlib.import_module("services.ceiling.actor")
    settings: Any = importlib.import_module("services.ceiling.settings")
    limit = settings.CeilingSettings.read({"limit_w": 1_000}, {})
    async with on_stage("ceiling", lambda context: actor.Ceiling(limit, context), tmp_path) as stage:
        for second, power_w in enumerate((500, 1_500, 1_600, 900, 2_000)):
            reading = Mains(measured_at=START + timedelta(seconds=second), power_w=power_w, quality="measured")
            await stage.tell(MAINS, reading)
        assert [alert.title for _, alert in stage.said(ALERT)] == ["The home draws 1,500 W", "The home draws 2,000 W"]
