"""What all sides share: the subjects, the contestants, and what these answer.

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

DOCUMENTED, OWN_FILL, BLURRED, BLACK = "documented", "tuned, own fill", "tuned, blurred", "tuned, black"
"""Settings of a peer: its documented defaults, and a tuned batch with its own fill or with one of xaijax's."""


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
        elsewhere: `[H, W, 3]` uint8, the photograph that follows in its folder, for the judging fill of that name.
        object: `[H, W]` bool, where the object is; None where nobody said.
    """

    name: str
    pixels: np.ndarray
    target: int
    probability: float
    segments: np.ndarray
    blurred: np.ndarray
    elsewhere: np.ndarray
    object: np.ndarray | None

    def fill(self, setting: str) -> np.ndarray | None:
        """Returns `[H, W, 3]` float32 in [0, 1], what a setting fills with; None for the peer's own fill."""
        return {BLURRED: self.blurred, BLACK: np.zeros_like(self.blurred)}.get(setting)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a contestant says of a subject.

    Attributes:
        score: `[H, W]` float, its map.
        passes: rows that went through the network forwards; gradients come on top and are not counted.
        mask: `[H, W]` bool, the contestant's own mask, where it has one.
        probability: of the class on its own mask, with the fill of its search.
    """

    score: np.ndarray
    passes: int
    mask: np.ndarray | None = None
    probability: float | None = None


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
        fill: of its own masked images, as the judging fills are named; None where it is none of these.
        aside: whether no goal is about it, so that fewer photographs will do.
        by_gradient: whether it looks inside the network.
    """

    method: str
    setting: str
    side: Literal["xaijax", "peer"]
    settings: str
    explain: Callable[[Subject], Answer]
    prepare: Callable[[Subject], object]
    fill: str | None = None
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
