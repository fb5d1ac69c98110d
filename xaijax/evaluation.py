"""The hot path: new (image, genome) pairs, packed into micro-batches, masked, and run through the classifier."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import RESPONSE, Response, Targets, respond

Decode = Callable[[Any, jax.Array], jax.Array]
"""`decode(context, genome) -> mask [H, W]`, for one genome of one image: bool, or float32 in [0, 1] to blend."""


@chex.dataclass(frozen=True)
class Scenario:
    """What the masked images of a batch are made of."""

    images: jax.Array  # [B, H, W, C] uint8, or float in [0, 1]
    fills: jax.Array  # [B, h, w, C] float32, what stands where a mask is 0; h and w are 1 or H and W
    contexts: Any  # pytree of [B, ...], what `decode` needs of an image


def micro_batch_size(image_shape: tuple[int, ...], platform: str) -> int:
    """Returns how many masked images one forward pass takes.

    A rule on the image's shape and the platform: never a timing, so that the same command gives the same size, and
    never the number of images, as XLA chooses its matrix kernels by size and an image's last bits would depend on its
    neighbours. On CPU as many as hold the pixels of 8 images of 224x224, at most 32, so that a search of one image
    fills them; elsewhere of 256 images, at most 1,024. A power of two, at least 4.

    Args:
        image_shape: `(H, W, C)`.
        platform: "cpu", "gpu" or "tpu".
    """
    images, most = (8, 32) if platform == "cpu" else (256, 1024)
    limit = images * 224 * 224 / (image_shape[0] * image_shape[1])
    return 1 << (int(max(4, min(limit, most))).bit_length() - 1)


def evaluate(
    classifier: Classifier,
    decode: Decode,
    scenario: Scenario,
    genomes: Any,
    new: jax.Array,
    targets: Targets | jax.Array,
    *,
    micro_batch: int,
) -> Response:
    """Evaluates the new genomes of a batch of images.

    The pairs that are new are packed to the front, and as many micro-batches as they fill are run; masked images exist
    for one micro-batch at a time.

    Args:
        classifier: any.
        decode: genome to mask.
        scenario: of the batch.
        genomes: pytree of `[B, P, ...]`.
        new: `[B, P]` bool, the pairs to evaluate.
        targets: `[B]`, the classes asked about: `Targets`, or int32 classes, -1 for the predicted one.
        micro_batch: pairs a forward pass.

    Returns:
        `Response` of `[B, P]`, zeros where not new.
    """
    batch, population = new.shape
    if not isinstance(targets, Targets):
        targets = Targets.of(targets)
    if batch == 1:
        # XLA would prepare an only image ahead of the loop, where it rounds it otherwise than among others.
        scenario = jax.tree.map(lambda leaf: jnp.pad(leaf, [(0, 1)] + [(0, 0)] * (leaf.ndim - 1)), scenario)
    pairs = batch * population
    # `order` lists the new pairs first; what pads the last micro-batch points past the end and is dropped on writing.
    order = jnp.nonzero(new.reshape(-1), size=pairs + micro_batch, fill_value=pairs)[0].astype(jnp.int32)
    count = jnp.sum(new, dtype=jnp.int32)
    flat = jax.tree.map(lambda leaf: leaf.reshape(pairs, *leaf.shape[2:]), genomes)

    def step(carry: tuple[jax.Array, Response]) -> tuple[jax.Array, Response]:
        start, answers = carry
        chosen = jax.lax.dynamic_slice(order, (start,), (micro_batch,))
        pair = jnp.minimum(chosen, pairs - 1)
        image = pair // population
        with jax.named_scope("decode"):
            contexts = jax.tree.map(lambda leaf: leaf[image], scenario.contexts)
            masks = jax.vmap(decode)(contexts, jax.tree.map(lambda leaf: leaf[pair], flat))
        with jax.named_scope("fill"):
            pixels = to_unit_range(scenario.images[image])
            masked = blend(masks[..., None], pixels, scenario.fills[image])
        with jax.named_scope("forward"):
            logits, _ = classifier.apply(classifier.params, masked)
        of_image = jax.tree.map(lambda leaf: leaf[image], targets)
        answer = respond(classifier, logits, of_image, jnp.mean(masks, axis=(1, 2), dtype=jnp.float32))
        written = jax.tree.map(lambda old, value: old.at[chosen].set(value, mode="drop"), answers, answer)
        return start + micro_batch, written

    nothing = jax.tree.map(lambda value: jnp.zeros((pairs,), value.dtype), RESPONSE)
    _, answers = jax.lax.while_loop(lambda carry: carry[0] < count, step, (jnp.int32(0), nothing))
    return jax.tree.map(lambda answer: answer.reshape(batch, population), answers)


def blend(masks: jax.Array, pixels: jax.Array, fills: jax.Array) -> jax.Array:
    """Returns `pixels` where `masks` is 1 (or True) and `fills` where it is 0, mixed in between."""
    if masks.dtype == jnp.bool_:
        return jnp.where(masks, pixels, fills)
    return fills + masks * (pixels - fills)
