"""A home's carried state, one row of numbers, as the parts that a graph takes and gives back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from services.disaggregator.domain.network import Floats


class Part(NamedTuple):
    """One carried input: which numbers of a home's state it is, its shape for one home, and the axis of the homes in it."""

    name: str
    place: slice
    shape: tuple[int, ...]
    homes_axis: int

    @property
    def size(self) -> int:
        """How many numbers of each home."""
        return math.prod(self.shape)

    def sized(self, homes: int) -> list[int]:
        """The shape for so many homes."""
        return [*self.shape[: self.homes_axis], homes, *self.shape[self.homes_axis :]]


def parts_of(shapes: Mapping[str, Sequence[Any]]) -> list[Part]:
    """One after another in a home's state. The homes' axis is the second where the first has a fixed size, else the first."""
    parts, first = list[Part](), 0
    for name, shape in shapes.items():
        homes_axis = int(isinstance(shape[0], int) and len(shape) > 1)
        own = (*shape[:homes_axis], *shape[homes_axis + 1 :])
        parts.append(Part(name, slice(first, first + math.prod(own)), own, homes_axis))
        first += math.prod(own)
    return parts


def apart(parts: Sequence[Part], state: Floats) -> dict[str, Floats]:
    """What a graph takes of states [homes, state_size]."""
    return {part.name: np.ascontiguousarray(_of(part, state).swapaxes(0, part.homes_axis)) for part in parts}


def put_together(parts: Sequence[Part], carried: Sequence[Floats], state: Floats) -> None:
    """Write what a graph gave back into states [homes, state_size]."""
    for part, values in zip(parts, carried, strict=True):
        _of(part, state)[...] = values.swapaxes(0, part.homes_axis)


def _of(part: Part, state: Floats) -> Floats:
    """A view of one part, [homes, ...]."""
    return state[:, part.place].reshape(len(state), *part.shape)
