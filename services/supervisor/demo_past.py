"""The days before the demo begins, put into its history by the commands that bring a home's old recordings in.

That takes some seconds, so the result is kept beside the demo's folder until the program or the recording changes. A container's
demo gets it from its image, where `python -m services.supervisor.demo_past FOLDER` wrote it.
"""

import asyncio
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import services
from services.supervisor.plan import DEMO_CONFIGURATION, Plan
from services.supervisor.processes import Say, python, run_once


async def recall(plan: Plan, say: Say) -> None:
    """Give the demo a past; where that fails it has none, and the log says why."""
    kept = plan.workspace.directory.with_name("demo-past") / f"{_fingerprint(plan)}.db"
    if not kept.exists():
        say("up", "the days before the demo's start are put into its history: some seconds, this time only")
        why = await _write(plan, kept)
        if why is not None:
            say("up", f"the days before the demo's start are not shown: {why}")
            return
    history = plan.workspace.directory / "homes" / plan.home / "history.db"
    history.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept, history)


def _fingerprint(plan: Plan) -> str:
    """Of the home's name, and of the files that decide what its past is: by name, size and time."""
    folder = Path(services.__path__[0])
    parts = [path for name in ("replay", "disaggregator", "recorder") for path in (folder / name).rglob("*")]
    files = sorted(path for path in [DEMO_CONFIGURATION, *parts] if path.is_file() and path.suffix not in (".pyc", ".md"))
    stated = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.blake2b(repr((plan.home, stated)).encode(), digest_size=8).hexdigest()


async def _write(plan: Plan, kept: Path) -> str | None:
    """Why it could not be written, if so."""
    shutil.rmtree(kept.parent, ignore_errors=True)
    kept.parent.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        why = await write(Path(folder), plan.of("recorder"))
        if why is None:
            (Path(folder) / plan.home / "history.db").rename(kept)
        return why


async def write(folder: Path, environment: Mapping[str, str]) -> str | None:
    """Put the days before the demo into a history in a folder.

    Args:
        folder: gets `<home>/history.db`.
        environment: what the recorder of that home is given.

    Returns:
        Why it could not be written, if so.
    """
    lines: list[str] = []
    mains, appliances = folder / "mains.parquet", folder / "appliances.parquet"
    for module, *arguments in (
        ("services.replay", "--write-past", str(mains)),
        ("services.cli", "import", str(mains)),
        ("services.cli", "disaggregate", str(mains), str(appliances)),
        ("services.cli", "import", str(appliances)),
    ):
        storage = {"HEMS_STORAGE__DIRECTORY": str(folder)}
        if await run_once("past", python(module, *arguments), {**environment, **storage}, lambda _, line: lines.append(line)):
            return " ".join(lines[-1:])
    return None


if __name__ == "__main__":
    sys.exit(asyncio.run(write(Path(sys.argv[1]), {**os.environ, "HEMS_CONFIG": str(DEMO_CONFIGURATION)})))
