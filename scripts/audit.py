"""`python3 -m scripts.audit [ARGUMENTS OF pip-audit]`: known faults in every locked package.

0: none is known. 1: some are, as printed. 2: it could not be found out, which is no good news.
"""

import subprocess
import sys

from scripts.tell import ROOT, tell

LOCKED = ("run", "training", "build", "uv")
_UNKNOWN = 2
_NO_ANSWER = ("could not be audited", "Max retries exceeded", "Connection", "ServiceError", "timed out")
_ADVICE = (
    "make: nothing was audited: the service that knows of faults did not answer, as the line above says. Run this where the internet can be"
    " reached, or ask the other service: make audit ARGS='-s osv'"
)


def judge(status: int, errors: str) -> int:
    """The exit status, of pip-audit's own and what it wrote to its errors.

    It ends with 1 alike where it has found a fault and where it could not look.
    """
    looked = not any(words in errors for words in _NO_ANSWER) or ("Found " in errors and "known vulnerabilit" in errors)
    return status if looked else _UNKNOWN


def main() -> int:
    """Audit every lock file."""
    files = [part for name in LOCKED for part in ("-r", f"requirements/{name}.txt")]
    command = [".venv/bin/pip-audit", "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off", *files, *sys.argv[1:]]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    status = judge(done.returncode, done.stderr)
    if status == _UNKNOWN:
        tell("\n".join(done.stderr.strip().splitlines()[-1:]))
        sys.stderr.write(f"{_ADVICE}\n")
    else:
        sys.stderr.write(done.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
