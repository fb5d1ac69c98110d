"""Complexity metrics: on how few pixels a score map is concentrated.

References:
    Chalasani et al., Concise Explanations of Neural Networks using Adversarial Training (2020), arXiv 1810.06583, for
        sparseness.
    Bhatt et al., Evaluating and Aggregating Feature-based Model Explanations (2020), arXiv 2005.00631, for entropy.
"""

from typing import Any

import numpy as np

from xaijax.metrics.shapes import check_shapes


def sparseness(scores: Any) -> np.ndarray:
    """Returns the Gini index of the scores' magnitudes; higher is sparser.

    Args:
        scores: `[B, H, W]`; scale, signs and the order of the pixels make no difference.

    Returns:
        `[B]` float64 in [0, 1): 0 where all magnitudes are equal, 1 - 1 / (H W) where all but one are 0.
    """
    shares = np.sort(_shares(scores), axis=1)
    count = shares.shape[1]
    weights = (count - np.arange(1, count + 1) + 0.5) / count
    return np.maximum(1 - 2 * shares @ weights, 0)  # rounding would take equal magnitudes below 0


def entropy(scores: Any) -> np.ndarray:
    """Returns the entropy of the scores' magnitudes, taken as shares of their sum, in nats; lower is simpler.

    Args:
        scores: `[B, H, W]`; scale, signs and the order of the pixels make no difference.

    Returns:
        `[B]` float64 from 0, where all magnitudes but one are 0, to log(H W), where all are equal.
    """
    shares = _shares(scores)
    return np.maximum(-np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=1), 0)


def _shares(scores: Any) -> np.ndarray:
    """Returns the magnitudes as shares of their sum, `[B, H W]`; equal shares where all magnitudes are 0."""
    check_shapes(scores=(scores, "B H W"))
    scores = np.abs(np.asarray(scores, np.float64))
    magnitudes = scores.reshape(len(scores), -1)
    largest = np.max(magnitudes, axis=1, keepdims=True)
    relative = np.divide(magnitudes, largest, out=np.ones(magnitudes.shape), where=largest > 0)  # the sum stays finite
    return relative / np.sum(relative, axis=1, keepdims=True)
