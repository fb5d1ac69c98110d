"""shapiq's approximators of Shapley values, over the segments that all contestants are given; nothing is of JAX."""

from typing import Any

import numpy as np

from benchmarks.peers.contest import Subject
from benchmarks.peers.original import Original

APPROXIMATORS = ("KernelSHAP", "LeverageSHAP", "OddSHAP", "PolySHAP", "RegressionMSR")
"""Of Shapley values for tens of players and hundreds of evaluations; the first is the one that shapiq takes itself."""


def options(name: str, budget: int, players: int) -> dict[str, Any]:
    """Returns the options of an approximator that are not its defaults."""
    # The evaluations determine no more terms than that; those of single players it must have.
    poly = {"max_order": 2, "max_terms": max(budget // 2, players + 1), "pairing_trick": True}
    return {"KernelSHAP": {"pairing_trick": True}, "PolySHAP": poly, "RegressionMSR": {"index": "SV"}}.get(name, {})


def explain(name: str, original: Original, subject: Subject, *, budget: int, seed: int, setting: str) -> np.ndarray:
    """Returns the Shapley values of the segments as a map.

    Args:
        name: of the approximator.
        original: the network.
        subject: to explain.
        budget: evaluations.
        seed: of what is drawn.
        setting: whose fill stands where a segment does not play.
    """
    import shapiq

    players, pixels = int(subject.segments.max()) + 1, subject.pixels.astype(np.float32) / 255

    def worth(coalitions: np.ndarray) -> np.ndarray:
        found = []
        for start in range(0, len(coalitions), original.batch):
            kept = np.asarray(coalitions[start : start + original.batch], bool)[:, subject.segments][..., None]
            masked = np.where(kept, pixels, subject.fill(setting))
            found.append(original.probabilities(masked)[:, subject.target])
        return np.concatenate(found).astype(float)

    approximator = getattr(shapiq, name)(n=players, random_state=seed, **options(name, budget, players))
    values = approximator.approximate(budget=budget, game=worth).get_n_order_values(1)
    return np.asarray(values, np.float32)[subject.segments]
