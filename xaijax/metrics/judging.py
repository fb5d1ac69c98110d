"""Judging fills: what an explanation is worth when other pixels stand where its mask is 0 than those it was found with.

A mask that was found on one fill may hold on that fill alone: what surrounds it is information too, and a blurred
background shows more of it than a black one. So maps and masks are judged under several fills, of which the last is
one that no search uses: "elsewhere", the same place in another photograph.

References:
    Hase et al., The Out-of-Distribution Problem in Explainability and Search Methods for Feature Importance
        Explanations (2021), arXiv 2106.00786, for the dependence of such metrics on what replaces features.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.classifier import Classifier, to_unit_range
from xaijax.masks.fills import check_fill, make_plain_fills, split_fill
from xaijax.metrics.confidence import smallest_area
from xaijax.metrics.insertion_deletion import area_under_curve, deletion_curve, insertion_curve
from xaijax.metrics.probe import check_explained, probe
from xaijax.metrics.shapes import check_shapes

ELSEWHERE = "elsewhere"
"""The judging fill that shows the same place in another photograph."""

JUDGING_FILLS = ("black", "blur", "image-mean", ELSEWHERE)
"""What `xaijax evaluate` and the benchmarks judge under unless told otherwise."""

SHARE = 0.9
"""Share of the original probability that a mask must keep, and that the smallest area reaches."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What score maps and masks are worth under one fill.

    Attributes:
        insertion: `[B]` float64 in [0, 1], area under the insertion curve; higher is better.
        deletion: `[B]` float64 in [0, 1], area under the deletion curve; lower is better.
        smallest_area: `[B]` float64 in [0, 1], the first fraction of the insertion curve with `share` of the original
            probability; lower is better.
        original: `[B]` float32, probability on the whole image.
        masked: `[B]` float32, probability on the kept pixels of the mask.
        inserted: `[B, T]` float32, the insertion curve.
    """

    insertion: np.ndarray
    deletion: np.ndarray
    smallest_area: np.ndarray
    original: np.ndarray
    masked: np.ndarray
    inserted: np.ndarray

    def keeps(self, share: float = SHARE) -> np.ndarray:
        """Returns whether the mask keeps `share` of the original probability, `[B]` bool."""
        return self.masked >= share * self.original

    def loses(self, share: float = SHARE) -> np.ndarray:
        """Returns whether at least `share` of the original probability is lost on the kept pixels, `[B]` bool."""
        return self.masked <= (1 - share) * self.original


def check_judging_fill(fill: str) -> None:
    """Raises ValueError if maps cannot be judged under `fill`."""
    if fill == "segment-mean":
        raise ValueError(
            "fill 'segment-mean' needs the segments of a search, so that it cannot judge others; leave it out."
        )
    if fill != ELSEWHERE:
        check_fill(fill)


def judging_fills(fill: str, images: Any, *, mean: tuple[float, ...], elsewhere: Any = None) -> np.ndarray:
    """Returns what stands where a mask is 0.

    Args:
        fill: a name or a colour as for the methods (all but "segment-mean"), or "elsewhere".
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        mean: of the classifier's data, per channel, in [0, 1].
        elsewhere: `[B, H, W, C]` as `images`, another photograph for each image; for "elsewhere" alone.

    Returns:
        `[B, h, w, C]` float32 in [0, 1]; h and w are 1 where the fill is one colour.

    Raises:
        ValueError: the fill is unknown, or there is no other photograph.
    """
    check_judging_fill(fill)
    if fill != ELSEWHERE:
        return np.asarray(_plain(fill, to_unit_range(jnp.asarray(images)), mean=mean))
    if elsewhere is None:
        raise ValueError("fill 'elsewhere' needs another photograph for each image; give it, or leave the fill out.")
    check_shapes(images=(images, "B H W C"), elsewhere=(elsewhere, "B H W C"))
    return np.asarray(to_unit_range(jnp.asarray(elsewhere)), np.float32)


_plain = jax.jit(make_plain_fills, static_argnames=("fill", "mean"))


def judge(
    classifier: Classifier,
    images: Any,
    scores: Any,
    masks: Any,
    targets: Any,
    *,
    fills: Any,
    steps: int = 32,
    micro_batch: int | None = None,
) -> Judgement:
    """Judges score maps and masks under one fill: `2 steps + 3` passes per image.

    Both curves run between the whole image and the fill alone, so that insertion and deletion measure one change.

    Args:
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        scores: `[B, H, W]` float32, as in `Explanation.score`.
        masks: `[B, H, W]` bool, the pixels kept.
        targets: `[B]` integers, the classes explained, as in `Explanation.target`.
        fills: `[B, h, w, C]` float32 in [0, 1], see `judging_fills`.
        steps: equal steps of both curves, at least 1.
        micro_batch: masked images per forward pass; None takes `micro_batch_size`'s.

    Raises:
        ValueError: an argument does not fit; the message says which.
    """
    images, targets = check_explained(classifier, images, targets, scores=scores, masks=masks)
    settings: Any = {"steps": steps, "fills": fills, "micro_batch": micro_batch}
    inserted = insertion_curve(classifier, images, scores, targets, **settings)
    deleted = deletion_curve(classifier, images, scores, targets, **settings)
    kept = probe(classifier, images, ~np.asarray(masks, bool), [1], targets, fills=fills, micro_batch=micro_batch)
    original = inserted.probability[:, -1]
    return Judgement(
        insertion=area_under_curve(inserted.fractions, inserted.probability),
        deletion=area_under_curve(deleted.fractions, deleted.probability),
        smallest_area=smallest_area(inserted.probability, inserted.fractions, original, share=SHARE),
        original=original,
        masked=kept.probability[:, 0],
        inserted=inserted.probability,
    )


def transfer(holds: Mapping[str, Any], searched: str | None) -> np.ndarray:
    """Returns the share of judging fills, those of the search left out, under which a mask holds.

    The mean over images is the share of masks that keep 0.9 of the probability under a fill that their search did not
    use. A mask that rests on its surroundings has 0; one that holds whatever stands around it has 1.

    Args:
        holds: by the name of the fill, `[B]` whether the mask holds under it (`Judgement.keeps`); NaN where it is not
            known.
        searched: the fill of the search, or several joined by `+`; None where it had none.

    Returns:
        `[B]` float64 in [0, 1]; NaN where no other fill says anything.
    """
    own = () if searched is None else split_fill(searched)
    others = [np.asarray(values, np.float64) for name, values in holds.items() if name not in own]
    if not others:
        return np.full(len(next(iter(holds.values()))), np.nan)
    told = np.stack(others)
    known = ~np.isnan(told)
    count = known.sum(axis=0)
    return np.divide(np.where(known, told, 0).sum(axis=0), count, out=np.full(told.shape[1], np.nan), where=count > 0)
