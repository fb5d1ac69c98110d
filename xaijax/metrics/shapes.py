"""Checks that the shapes of arrays fit together; an error states the shape that was given and the one needed."""

from typing import Any

import numpy as np


def check_shapes(**given: tuple[Any, str]) -> None:
    """Raises ValueError if arrays do not have the given axes, or if an axis has different sizes in them.

    Args:
        **given: for each name an array, and the names of its axes, such as "B H W". "..." stands for any number of
            axes, the same in all arrays; on its own it also allows a single number, and axes of size 1 that are
            broadcast.
    """
    sizes: dict[str, tuple[tuple[int, ...], str]] = {}
    for name, (array, axes) in given.items():
        shape = np.shape(array)
        if axes == "..." and not shape:
            continue
        size_of_axis = _sizes(shape, axes.split())
        if size_of_axis is None:
            single = axes.startswith("B ") and _sizes((1, *shape), axes.split()) is not None
            raise ValueError(
                f"the shape of {name} is {shape} but must be [{_listed(axes)}]"
                f"{f'; a single one goes in as {name}[None]' if single else ''}."
            )
        for axis, size in size_of_axis.items():
            known, where = sizes.setdefault(axis, (size, name))
            if size != known and not (axes == "..." and _stretches(size, known)):
                needed = f"axes {known}" if axis == "..." else f"{axis} = {known[0]}"
                raise ValueError(
                    f"the shape of {name} is {shape} but must be [{_listed(axes)}] with {needed} as in {where}."
                )


def _sizes(shape: tuple[int, ...], axes: list[str]) -> dict[str, tuple[int, ...]] | None:
    """Returns the size of each axis, a tuple of several for "..."; None if the number of axes differs."""
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
