"""Options state beside their defaults which values they take."""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from xaijax.methods.registry import METHODS
from xaijax.options import REQUIREMENT, Options, Requirement, check_option, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bred(Options):
    count: int = option(3, at_least=1)
    share: float | None = option(None, above=0, at_most=1)
    rate: float = option(1.5, at_least=1, at_most=2)
    width: float = option(0.5, above=0, below=1)
    order: Literal["rising", "falling"] = "rising"
    mutation: Literal["flip"] | Callable[[int], int] = "flip"
    names: tuple[str, ...] | None = None
    foldover: bool = False
    anything: complex = 1j
    required: int = dataclasses.field(metadata={REQUIREMENT: Requirement(at_least=0)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seeded(Options):
    seed: int = option(0, at_least=0)

    def __post_init__(self):
        super().__post_init__()
        check_option("seed", self.seed != 13, self.seed, "lucky")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Both(Seeded, Bred):
    count: int = 8
    seed: int = option(5, at_least=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count is 0 but must be at least 1."),
        ({"count": math.nan}, "count is nan but must be at least 1."),
        ({"count": 2.5}, "count is 2.5 but must be a whole number."),
        ({"count": "3"}, "count is '3' but must be a whole number."),
        ({"count": True}, "count is True but must be a whole number."),
        ({"count": None}, "count is None but must be a whole number."),
        ({"share": 0.0}, "share is 0.0 but must be above 0 and at most 1."),
        ({"share": math.nan}, "share is nan but must be above 0 and at most 1."),
        ({"share": "half"}, "share is 'half' but must be a number or None."),
        ({"rate": 2.1}, "rate is 2.1 but must be 1 to 2."),
        ({"rate": True}, "rate is True but must be a number."),
        ({"width": 1}, "width is 1 but must be above 0 and below 1."),
        ({"order": "random"}, "order is 'random' but must be 'rising' or 'falling'."),
        ({"order": len}, f"order is {len!r} but must be 'rising' or 'falling'."),
        ({"mutation": "swap"}, "mutation is 'swap' but must be 'flip' or a function."),
        ({"names": "stem"}, "names is 'stem' but must be a tuple of strings or None."),
        ({"names": ("stem", 3)}, "names is ('stem', 3) but must be a tuple of strings or None."),
        ({"foldover": 1}, "foldover is 1 but must be True or False."),
        ({"required": -1}, "required is -1 but must be at least 0."),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Bred(**{"required": 0} | options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {"count": 1, "share": 1, "rate": 2, "width": 0.999},
        {"count": np.int64(5), "share": np.float32(0.5)},
        {"order": "falling", "mutation": abs, "names": ()},
        {"share": None, "names": ("stem",), "foldover": True, "anything": "all the same"},
        {"foldover": np.bool_(True)},
    ],
    ids=str,
)
def test_what_fits_is_taken_as_it_is(options):
    made = Bred(required=1, **options)
    assert {name: getattr(made, name) for name in options} == options


def test_a_field_has_its_default_and_no_trace_of_its_bounds():
    assert repr(Seeded()).endswith("Seeded(seed=0)")
    assert dataclasses.asdict(Seeded(seed=2)) == {"seed": 2}
    assert hash(Seeded(seed=2)) == hash(dataclasses.replace(Seeded(), seed=2))
    assert Seeded() == Seeded(seed=0) != Seeded(seed=1)
    with pytest.raises(TypeError, match="required"):
        Bred()
    with pytest.raises(ValueError, match="seed is -1"):
        dataclasses.replace(Seeded(), seed=-1)


def test_bounds_are_inherited_past_another_default_and_can_be_replaced():
    assert Both(required=0).count == 8
    with pytest.raises(ValueError, match="count is 0 but must be at least 1"):
        Both(required=0, count=0)
    with pytest.raises(ValueError, match="seed is 4 but must be at least 5"):
        Both(required=0, seed=4)
    with pytest.raises(ValueError, match="seed is 13 but must be lucky"):
        Both(required=0, seed=13)


NUMBERS = [
    (name, field.name)
    for name, method in METHODS.items()
    for field in dataclasses.fields(method)
    if field.type in (int, float, int | None, float | None)
]


@pytest.mark.parametrize(("name", "field"), NUMBERS)
def test_no_number_of_a_method_is_nan_or_a_string_or_a_bool(name, field):
    for value in (math.nan, "3", True):
        with pytest.raises(ValueError, match=f"^{field} is {value!r} but must be "):
            METHODS[name](**{field: value})
