"""The webhooks against their own OpenAPI description, as schemathesis sees them."""

import asyncio
import copy
import json
import sys
from pathlib import Path

import pytest

from services.bridge_adafruit.domain import hooks
from services.bridge_adafruit.openapi import DESCRIPTION
from tests.integration.bridge_adafruit.test_hook_server import SECRET, door


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_schemathesis_finds_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the limit a minute lifted and the name of a real hook, every answer is one that the description promises."""
    monkeypatch.setattr(hooks, "_A_MINUTE", 1_000_000)
    described = copy.deepcopy(DESCRIPTION)
    described["paths"]["/hooks/{name}"]["post"]["parameters"][0]["schema"] = {"type": "string", "enum": ["quiet"]}
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(described))
    async with door(tmp_path) as (stage, port):
        command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", f"http://127.0.0.1:{port}"]
        command += [
            "--header",
            f"X-Hook-Secret: {SECRET}",
            "--checks",
            "all",
            "--exclude-checks",
            "ignored_auth",
            "--generation-deterministic",
        ]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        assert b"No issues found" in said
        assert not stage.task.done()
