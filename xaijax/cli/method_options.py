"""The options of a method as a command line has them."""

import collections.abc
import dataclasses
import functools
import operator
import typing
from typing import Any, Literal

import docstring_parser

from xaijax.execution.compiled import Method
from xaijax.masks.segmentation import SEGMENTATIONS
from xaijax.methods.elime.method import ELIME
from xaijax.methods.registry import METHODS

LEFT_OUT = frozenset({"stages"})
"""Options that a command line cannot carry; they keep their defaults there."""


def method_options(name: str) -> type:
    """Returns a dataclass of the options of a method that a command line can carry; `make()` builds the method."""
    method = METHODS.get(name, ELIME)
    hints = typing.get_type_hints(method)
    fields = [
        (field.name, _simple(field.name, hints[field.name]), dataclasses.field(default=field.default))
        for field in dataclasses.fields(method)
        if field.name not in LEFT_OUT
    ]

    def make(self: Any) -> Method:
        return method(**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})

    made = dataclasses.make_dataclass(method.__name__, fields, namespace={"make": make}, frozen=True, kw_only=True)
    made.__doc__ = _documentation(method)
    return made


def _documentation(method: type) -> str:
    """Returns the method's summary, and what its class and those that it builds on say of their options."""
    families = [family for family in reversed(method.__mro__) if dataclasses.is_dataclass(family)]
    params = [param for family in families for param in docstring_parser.parse(family.__doc__ or "").params]
    summary = docstring_parser.parse(method.__doc__ or "").short_description
    lines = [f"    {param.arg_name}: {' '.join((param.description or '').split())}" for param in params]
    return "\n".join([summary or "", "", "Attributes:", *lines])


def _simple(name: str, hint: Any) -> Any:
    """Returns a type a command line can parse: what can be an object or a function is named by its shorthand there."""
    if name == "segmentation":
        return Literal[tuple(SEGMENTATIONS)]
    choices = [choice for choice in typing.get_args(hint) if typing.get_origin(choice) is not collections.abc.Callable]
    is_either = len(choices) < len(typing.get_args(hint))
    return functools.reduce(operator.or_, choices) if is_either else hint
