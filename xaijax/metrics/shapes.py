"""The shapes of arrays that belong together; an error says which was given and which is needed."""

from typing import Any

import numpy as np


def check_shapes(**given: tuple[Any, str]) -> None:
    """Raises ValueError where arrays are not of the shapes that their axes say, or do not fit each other.

    Args:
        **given: for each name an array, and the names of its axes, such as "B H W". An axis has one size wherever it
            stands. "..." is any number of axes, the same wherever it stands; where it stands alone, a number fits too,
            and so does an axis of size 1 in place of any other, as for NumPy.
    """
    sizes: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, (array, axes) in given.items():
        shape = np.shape(array)
        if axes == "..." and not shape:
            continue
        found = _sizes(shape, axes.split())
        if found is None:
            single = axes.startswith("B ") and _sizes((1, *shape), axes.split()) is not None
            raise ValueError(
                f"the shape of {name} is {shape} but must be [{_listed(axes)}]"
                f"{f'; a single one goes in as {name}[None]' if single else ''}."
            )
        for axis, size in found.items():
            known, where = sizes.setdefault(axis, (size, name))
            if size != known and not (axes == "..." and _stretches(size, known)):
                needed = f"axes {known}" if axis == "..." else f"{axis} = {known[0]}"
                raise ValueError(
                    f"the shape of {name} is {shape} but must be [{_listed(axes)}] with {needed} as in {where}."
                )


def _sizes(shape: tuple[int, ...], axes: list[str]) -> dict[str, tuple[int, ...]] | None:
    """Returns the size of each axis, of "..." those of several; None where there are more or fewer axes."""
    spare = len(shape) - len(axes)
    if "..." not in axes:
        return None if spare else {axis: (size,) for axis, size in zip(axes, shape, strict=True)}
    if spare < -1:
        return None
    start = axes.index("...")
    end = start + spare + 1
    before, after = zip(axes[:start], shape[:start], strict=True), zip(axes[start + 1 :], shape[end:], strict=True)
    return {axis: (size,) for axis, size in (*before, *after)} | {"...": shape[start:end]}


def _stretches(size: tuple[int, ...], known: tuple[int, ...]) -> bool:
    return len(size) == len(known) and all(a == b or 1 in (a, b) for a, b in zip(size, known, strict=True))


def _listed(axes: str) -> str:
    return ", ".join(axes.split())
