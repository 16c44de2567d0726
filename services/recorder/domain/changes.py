"""Which demand states are changes: the broker says its copy again at each connection, and after a kill what was not acknowledged."""

from collections.abc import Iterable, Mapping

from services.recorder.domain.records import Happening

HomeHappening = tuple[int, Happening]
HomeTime = tuple[int, int]
"""A home, and a time in it."""
Said = tuple[int, str]
"""When a demand state began, and what it says."""


def changes(found: Iterable[HomeHappening], before: Mapping[HomeTime, Said]) -> list[HomeHappening]:
    """What happened in some homes, without demand states that say what the one before them in time says.

    Args:
        before: of each demand state, the newest kept until then.
    """
    kept, said = list[HomeHappening](), dict[int, list[Said]]()
    for home, row in found:
        if row.kind == "demand":
            own = said.setdefault(home, [])
            earlier = [state for state in (before.get((home, row.at_us)), *own) if state and state[0] <= row.at_us]
            if earlier and max(reversed(earlier), key=lambda state: state[0])[1] == row.body:
                continue
            own.append((row.at_us, row.body))
        kept.append((home, row))
    return kept
