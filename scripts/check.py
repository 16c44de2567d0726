"""`python -m scripts.check`: every check, one after the other, and at the end which ones failed."""

import os
import subprocess
import sys
import time
from pathlib import Path

from scripts.tell import ROOT, tell

_BIN = Path(sys.executable).parent

CHECKS = {
    "lint": ("ruff", "check", "--quiet"),
    "format": ("ruff", "format", "--check", "--quiet"),
    "types": ("basedpyright", "--warnings"),
    "imports": ("lint-imports", "--no-logo"),
    "dependencies": ("deptry", "--no-ansi", "."),
    "generated files": ("python", "-m", "scripts.generate", "--check"),
}


def main() -> None:
    """Run those that the command line names, or all; exit with 1 where one failed."""
    names = sys.argv[1:] or list(CHECKS)
    failed = [name for name in names if not _passes(name)]
    if failed:
        sys.exit(f"make check: failed: {', '.join(failed)}" + (": `make format` may mend it" if {"lint", "format"} & set(failed) else ""))


def _passes(name: str) -> bool:
    program, *arguments = CHECKS[name]
    started_at = time.monotonic()
    done = subprocess.run(
        [_BIN / program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    tell(f"{'failed' if done.returncode else 'ok':<7}{name} ({time.monotonic() - started_at:.0f} s)")
    if done.returncode:
        tell(done.stdout)
    return done.returncode == 0


if __name__ == "__main__":
    main()
