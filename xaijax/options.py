"""Options: frozen dataclasses whose fields state, beside their defaults, which values they take.

The type of a field gives the kind of value and `option` adds bounds; both are checked when an object is made. What
depends on several fields is checked by the class itself, in a `__post_init__` that first calls that of its bases.
"""

import collections.abc
import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Union

import numpy as np

T = TypeVar("T")

REQUIREMENT = "requirement"
"""The key of a `Requirement` in the metadata of a field."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Requirement:
    """What an option must hold besides its type; a bound that is None does not apply.

    Attributes:
        at_least: the lowest number.
        above: numbers must exceed it.
        at_most: the highest number.
        below: numbers must stay below it.
        need: how an error names the kinds of value that the option takes; None has words for the type.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    need: str | None = None

    def admits(self, number: Any) -> bool:
        """Returns whether a number is within the bounds; NaN is within none."""
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )

    @property
    def bounds(self) -> str:
        """The bounds in words, such as "0 to 1" or "above 0 and at most 1"."""
        if self.at_least is not None and self.at_most is not None:
            return f"{self.at_least} to {self.at_most}"
        words = {"at least": self.at_least, "above": self.above, "at most": self.at_most, "below": self.below}
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if bound is not None)


def option(
    default: T,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    need: str | None = None,
) -> T:
    """Returns a dataclass field with a default and a `Requirement`.

    A subclass that declares the field again with nothing but another default keeps the requirement.
    """
    requirement = Requirement(at_least=at_least, above=above, at_most=at_most, below=below, need=need)
    field: Any = dataclasses.field(default=default, metadata={REQUIREMENT: requirement})
    return typing.cast(T, field)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """A frozen dataclass that refuses values outside the types and the bounds of its fields."""

    def __post_init__(self) -> None:
        family: Any = type(self)
        for name, kinds, requirement in _declared(family):
            value = getattr(self, name)
            if isinstance(value, numbers.Real):
                check_option(name, requirement.admits(value), value, requirement.bounds)
            need = requirement.need or " or ".join(kind.words for kind in kinds)
            check_option(name, _is_of(kinds, value), value, need)

    def refuse_ignored(self, names: tuple[str, ...], why: str) -> None:
        """Raises a ValueError if an option that has no effect differs from its default.

        Args:
            names: of the options.
            why: they have none, as in "selection is 'universal'".
        """
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in names:
            value = getattr(self, name)
            if value != defaults[name]:
                raise ValueError(f"{name} is {value!r} but has no effect, as {why}; leave it out.")


def check_option(name: str, holds: bool, value: object, need: str) -> None:
    """Raises a ValueError that names the option, its value and what it must be, unless `holds`."""
    if not holds:
        raise ValueError(f"{name} is {value!r} but must be {need}.")


@dataclasses.dataclass(frozen=True)
class _Kind:
    """A kind of value."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any, of: type) -> bool:
    return isinstance(value, of) and not isinstance(value, bool)


_KINDS = {
    int: _Kind("a whole number", functools.partial(_is_number, of=numbers.Integral)),
    float: _Kind("a number", functools.partial(_is_number, of=numbers.Real)),
    bool: _Kind("True or False", lambda value: isinstance(value, (bool, np.bool_))),
    str: _Kind("a string", lambda value: isinstance(value, str)),
    types.NoneType: _Kind("None", lambda value: value is None),
}


def _is_of(kinds: list[_Kind], value: object) -> bool:
    return any(kind.holds(value) for kind in kinds)


@functools.cache
def _declared(family: Any) -> list[tuple[str, list[_Kind], Requirement]]:
    """Returns the name, the kinds of value and the requirement of each field of a class."""
    requirements: dict[str, Requirement] = {}
    for base in reversed(family.__mro__):
        for field in dataclasses.fields(base) if dataclasses.is_dataclass(base) else ():
            if REQUIREMENT in field.metadata:
                requirements[field.name] = field.metadata[REQUIREMENT]
    return [
        (field.name, _kinds(field.type), requirements.get(field.name, Requirement()))
        for field in dataclasses.fields(family)
    ]


def _kinds(hint: Any) -> list[_Kind]:
    """Returns the kinds of value that a type stands for; a type unknown here takes all values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return [kind for choice in arguments for kind in _kinds(choice)]
    if origin is Literal:
        words = " or ".join(map(repr, arguments))
        return [_Kind(words, lambda value: any(isinstance(value, type(name)) and value == name for name in arguments))]
    if origin is collections.abc.Callable:
        return [_Kind("a function", callable)]
    if origin is tuple and arguments[1:] == (...,):
        items = _kinds(arguments[0])
        words = "a tuple of " + " or ".join(f"{kind.words.removeprefix('a ')}s" for kind in items)
        return [_Kind(words, lambda value: isinstance(value, tuple) and all(_is_of(items, each) for each in value))]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [_Kind(f"a {hint.__name__}", lambda value: isinstance(value, hint))]
    return [_KINDS.get(hint, _Kind("anything", lambda value: True))]
