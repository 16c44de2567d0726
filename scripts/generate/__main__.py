"""`python -m scripts.generate [--check]`: write the generated files, or only say which ones have drifted."""

import sys

from scripts.generate.files import drifted, write
from scripts.tell import ROOT, tell


def main() -> None:
    """Exit with 1 where `--check` finds a difference."""
    if "--check" in sys.argv[1:]:
        for path in (paths := drifted(ROOT)):
            tell(f"{path} differs from the contracts: run `make generate`, and commit it")
        sys.exit(1 if paths else 0)
    for path in write(ROOT):
        tell(f"wrote {path}")


if __name__ == "__main__":
    main()
