"""`make bench`: every measurement, or those named."""

import importlib
import pkgutil
import sys
from pathlib import Path

_NOT_OF_THEIR_OWN = {
    "__main__",
    "measuring",
    "accuracy",
    "accuracy_table",
    "packs",
    "fleet",
    "fleet_over_a_broker",
    "fleet_picture",
    "fleet_without_a_client",
    "a_year",
    "teaching",
}


def main() -> None:
    """Run them one after another."""
    known = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name not in _NOT_OF_THEIR_OWN)
    unknown = set(sys.argv[1:]) - set(known)
    if unknown:
        sys.exit(f"bench: there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in sys.argv[1:] or known:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"bench.{name}").main()


main()
