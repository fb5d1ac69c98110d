"""A classifier whose probability is any function of the segments that are kept, for methods that order segments."""

import jax.numpy as jnp
import numpy as np

from xaijax import Classifier, Grid

GRID = Grid(4, 4)
SEGMENTS = 16
DARKEST = 200


def set_function_logits(tables, images):
    """Looks the log-odds up in the table of the image, by the cells of the grid that are not black."""
    count = len(images)
    cells = images.reshape(count, 4, 4, 4, 4, 3).max(axis=(2, 4, 5)).reshape(count, SEGMENTS)
    kept = jnp.sum(jnp.where(cells > 0, 2 ** jnp.arange(SEGMENTS)[None], 0), axis=1)
    table = jnp.clip(jnp.round(images.max(axis=(1, 2, 3)) * 255).astype(jnp.int32) - DARKEST, 0)  # of the brightness
    log_odds = tables[table, kept]
    return jnp.stack([log_odds, jnp.zeros_like(log_odds)], axis=1)


def set_functions(count, seed=0):
    """Returns images `[count, 16, 16, 3]`, their classifier, and the probability `[count, 2^16]` of every kept set."""
    probability = np.random.default_rng(seed).uniform(0.02, 0.98, (count, 2**SEGMENTS))
    tables = np.log(probability / (1 - probability)).astype(np.float32)
    images = np.tile(np.arange(DARKEST, DARKEST + count, dtype=np.uint8)[:, None, None, None], (1, 16, 16, 3))
    return (
        images,
        Classifier.from_function(set_function_logits, tables, num_classes=2, input_size=(16, 16)),
        probability,
    )
