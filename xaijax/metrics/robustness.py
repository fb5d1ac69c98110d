"""Robustness metrics: how much an explanation changes when the image hardly does.

References:
    Yeh et al., On the (In)fidelity and Sensitivity of Explanations (2019), arXiv 1901.09392, for sensitivity.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.arguments import check_images
from xaijax.classifier import Classifier, to_unit_range
from xaijax.metrics.shapes import check_shapes

Explainer = Callable[[Classifier, Any], Any]
"""`explainer(classifier, images [B, H, W, C]) -> score maps [B, H, W]`.

Hold everything else fixed, above all the classes and ids of the images: a changed image would otherwise get another
class and another seed, and the figure would measure those. For a method of xaijax:

    lambda classifier, images: xaijax.explain(key, classifier, images, targets, ids=ids, method=method).score
"""


def noisy_scores(
    key: jax.Array,
    classifier: Classifier,
    images: Any,
    explainer: Explainer,
    *,
    radius: float = 0.02,
    draws: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Explains images, and the same images with noise added.

    Args:
        key: for the noise; every image gets the same.
        classifier: any.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        explainer: see `Explainer`.
        radius: of the uniform noise in units of the [0, 1] range, at least 0; the sum is clipped to [0, 1].
        draws: number of noise samples, at least 1.

    Returns:
        The score maps `[B, H, W]` and those of the noisy images `[draws, B, H, W]`.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws} but must be at least 1.")
    pixels = to_unit_range(jnp.asarray(check_images(images, classifier.channels)))
    noisy = []
    for draw in range(draws):
        flat = jax.random.uniform(jax.random.fold_in(key, draw), (pixels[0].size,), jnp.float32, -radius, radius)
        noisy.append(np.asarray(explainer(classifier, jnp.clip(pixels + flat.reshape(pixels[:1].shape), 0, 1))))
    return np.asarray(explainer(classifier, pixels)), np.stack(noisy)


def sensitivity(scores: Any, noisy: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns the largest and the mean relative change of score maps under noise; lower is better.

    Args:
        scores: `[B, H, W]`; a common scale of these and of `noisy` makes no difference.
        noisy: `[N, B, H, W]`, the maps of the noisy images.

    Returns:
        `[B]` float64, the maximum, and `[B]` float64, the mean over the draws of |noisy - scores| / |scores| in the
        Euclidean norm; infinite where a map of zeros changes.
    """
    check_shapes(scores=(scores, "B H W"), noisy=(noisy, "N B H W"))
    scores, noisy = np.asarray(scores, np.float64), np.asarray(noisy, np.float64)
    change = np.linalg.norm((noisy - scores[None]).reshape(*noisy.shape[:2], -1), axis=2)
    size = np.broadcast_to(np.linalg.norm(scores.reshape(len(scores), -1), axis=1), change.shape)
    relative = np.divide(change, size, out=np.where(change > 0, np.inf, 0.0), where=size > 0)
    return relative.max(axis=0), relative.mean(axis=0)
