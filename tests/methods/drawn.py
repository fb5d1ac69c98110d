"""What tests of sampling methods share: the keys that `explain` gives to images, and masks evaluated one by one."""

import jax
import numpy as np


def image_key(key, name):
    """Returns the key of the image of id `name`, below 2^32."""
    return jax.random.fold_in(jax.random.fold_in(key, 0), name)


def probabilities(classifier, image, masks, target, fill):
    """Returns the probability of `target` on an image `[H, W, C]` uint8 under masks `[N, H, W]`, `[N]` float64."""
    masks = np.asarray(masks, np.float32)[..., None]
    masked = masks * (image / np.float32(255)) + (1 - masks) * np.float32(fill)
    logits = np.asarray(classifier(masked), np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (odds / odds.sum(axis=1, keepdims=True))[:, target]
