"""What all sides share: the subjects, the contestants, and what these response.

It is NumPy alone, so that a process can hold one side. A contestant is a method with its settings. It is asked for the
same class of the same photograph as all others, and given the same segments where it takes any.
"""

import contextlib
import dataclasses
import io
import time
from collections.abc import Callable
from typing import Literal

import numpy as np

DOCUMENTED, OWN_FILL, BLURRED = "documented", "tuned, own fill", "tuned, blurred"
"""Settings of a peer: its documented defaults, and a tuned batch with its own fill or with xaijax's."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """A photograph to explain.

    Attributes:
        name: of its file.
        pixels: `[H, W, 3]` uint8.
        target: the class that the classifier predicts.
        probability: of that class.
        segments: `[H, W]` int32 from 0 without gaps, those of xaijax.
        blurred: `[H, W, 3]` float32 in [0, 1], xaijax's fill.
        object: `[H, W]` bool, where the object is; None where nobody said.
    """

    name: str
    pixels: np.ndarray
    target: int
    probability: float
    segments: np.ndarray
    blurred: np.ndarray
    object: np.ndarray | None


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a contestant says of a subject.

    Attributes:
        score: `[H, W]` float, its map.
        passes: rows that went through the network forwards; gradients come on top and are not counted.
        mask: the area of the contestant's own mask and the probability on it, where it has one.
    """

    score: np.ndarray
    passes: int
    mask: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A method with its settings.

    Attributes:
        method: its name, with that of its package.
        setting: `DOCUMENTED`, `OWN_FILL` or `BLURRED` of a peer, the budget of ours.
        side: whose it is.
        settings: what was set, in words.
        explain: a subject.
        prepare: what a first call costs once, on any subject: compilation, caches.
        aside: whether no goal is about it, so that fewer photographs will do.
        by_gradient: whether it looks inside the network.
    """

    method: str
    setting: str
    side: Literal["xaijax", "peer"]
    settings: str
    explain: Callable[[Subject], Answer]
    prepare: Callable[[Subject], object]
    aside: bool = False
    by_gradient: bool = False

    @property
    def key(self) -> dict[str, str]:
        """What names it in the journal."""
        return {"method": self.method, "setting": self.setting}


def timed(call: Callable[[Subject], object], subject: Subject) -> tuple[object, float]:
    """Returns what a call gives and its seconds, without the progress bars that packages write."""
    with contextlib.redirect_stderr(io.StringIO()):
        start = time.perf_counter()
        given = call(subject)
        return given, time.perf_counter() - start
