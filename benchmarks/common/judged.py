"""Masks under the judging fills: whether they keep the class's probability where their search did not look."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import xaijax
from benchmarks.common.record import told
from xaijax import metrics
from xaijax.metrics.judging import SHARE


def masked_probability(
    classifier: xaijax.Classifier, images: np.ndarray, masks: np.ndarray, targets: Any, fills: np.ndarray
) -> np.ndarray:
    """Returns the probability on the kept pixels of several masks per image.

    Args:
        classifier: any of softmax.
        images: `[B, H, W, C]` uint8.
        masks: `[B, M, H, W]` bool.
        targets: `[B]` integers, the classes.
        fills: `[B, h, w, C]` float32 in [0, 1].

    Returns:
        `[B, M]` float64 in [0, 1].
    """
    found = np.empty(masks.shape[:2])
    for row, (image, fill) in enumerate(zip(images.astype(np.float32) / 255, fills, strict=True)):
        masked = np.where(masks[row][..., None], image, fill).astype(np.float32)
        for start in range(0, len(masked), 8):
            part = masked[start : start + 8]
            full = np.concatenate([part, np.repeat(part[-1:], 8 - len(part), axis=0)])
            found[row, start : start + 8] = np.asarray(_probability(classifier, full))[: len(part), targets[row]]
    return found


@jax.jit
def _probability(classifier: xaijax.Classifier, pixels: jax.Array) -> jax.Array:
    return jax.nn.softmax(classifier.apply(classifier.params, pixels)[0])


def transfer_of(row: Mapping[str, Any], fills: Sequence[str], original: float) -> float | None:
    """Returns the transfer of the mask of a journal's row; None where it has none, or no other fill judged it.

    Args:
        row: with the `fill` of its search, and the probability on its mask as `masked` under the name of each fill.
        fills: that judged it.
        original: probability on the whole image.
    """
    holds = {name: [row[name]["masked"] >= SHARE * original] for name in fills if "masked" in row[name]}
    found = metrics.transfer(holds, row["fill"])[0] if holds else np.nan
    return None if np.isnan(found) else float(found)


def masks_under_fills(
    classifier: xaijax.Classifier, images: np.ndarray, others: np.ndarray, result: Any, searched: str
) -> dict[str, Any]:
    """Returns the share of masks that keep 0.9 of the probability under each judging fill, and how far they transfer.

    Args:
        classifier: of the explanations.
        images: `[B, H, W, C]` uint8.
        others: likewise, the photograph that "elsewhere" shows for each.
        result: the explanations.
        searched: the fill of their search.
    """
    holds = {}
    for name in metrics.JUDGING_FILLS:
        fills = metrics.judging_fills(name, images, mean=classifier.mean, elsewhere=others)
        kept = masked_probability(classifier, images, result.mask[:, None], result.target, fills)[:, 0]
        holds[name] = (kept >= SHARE * result.original_probability).astype(float)
    transfer = metrics.transfer(holds, searched)
    return {f"judged by {name}": told(values) for name, values in holds.items()} | {"transfer": told(transfer)}
