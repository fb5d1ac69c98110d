"""`explain`: images in, explanations out."""

import functools
import hashlib
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from xaijax.classifier import Classifier
from xaijax.evaluation import micro_batch_size
from xaijax.explanation import Explanation
from xaijax.methods.elime import ELIME


class Method(Protocol):
    """A way to explain a batch; hashable. Its `explain` is traceable."""

    def explain(
        self,
        keys: jax.Array,
        classifier: Classifier,
        images: jax.Array,
        targets: jax.Array,
        labels: jax.Array | None,
        active: jax.Array,
        *,
        micro_batch: int,
    ) -> Explanation:
        """See `ELIME.explain`."""
        ...


def explain(
    key: jax.Array,
    classifier: Classifier,
    images: Any,
    targets: Any = None,
    *,
    ids: Any = None,
    segments: Any = None,
    method: Method | None = None,
    micro_batch: int | None = None,
) -> Explanation:
    """Explains what a classifier sees in images.

    What an image gets depends on the image, its class, the settings, the key and its id: not on the other images.

    Args:
        key: one key for the run, as from `jax.random.key(0)`.
        classifier: see `Classifier`.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        targets: `[B]` integers, the classes to explain; None, or -1 in a row, explains the predicted class.
        ids: `[B]` integers of up to 64 bits that name the images; None names them by their pixels (`image_id`).
        segments: `[B, H, W]` or `[H, W]` integers of any values, a label map an image or one for all, in place of the
            method's own segmentation.
        method: how to explain; None is `ELIME()`.
        micro_batch: masked images a forward pass, at least 1; None takes `micro_batch_size`'s. At one size a result is
            the same to the bit on CPU; at another, the classifier's last bits may differ, and with them the search.

    Returns:
        An `Explanation` of B rows, in the order of the images.

    Raises:
        ValueError: an argument does not fit; the message says which and how it can be mended.
    """
    method = ELIME() if method is None else method
    images = check_images(images, classifier.channels)
    count, height, width, _ = images.shape
    targets = _check_targets(targets, count, classifier.num_classes)
    labels = None if segments is None else _check_segments(segments, count, height, width)
    if ids is None:
        halves = np.array([split_id(image_id(image)) for image in np.asarray(images)], np.uint32)
    else:
        halves = np.array([split_id(int(name)) for name in _check_length("ids", np.asarray(ids), count)], np.uint32)
    if micro_batch is None:
        micro_batch = micro_batch_size(images.shape[1:], jax.default_backend())
    elif micro_batch < 1:
        raise ValueError(f"micro_batch is {micro_batch} but must be at least 1.")
    active = np.ones((count,), bool)
    return compiled_explain(key, classifier, images, targets, halves, labels, active, method, micro_batch)


@functools.partial(jax.jit, static_argnums=(7, 8))
def compiled_explain(
    key: jax.Array,
    classifier: Classifier,
    images: jax.Array,
    targets: jax.Array,
    halves: jax.Array,
    labels: jax.Array | None,
    active: jax.Array,
    method: Method,
    micro_batch: int,
) -> Explanation:
    """The compiled program of a batch; `halves` is `[B, 2]` uint32, the ids, and `active` is False for empty places."""

    def image_key(half: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(key, half[0]), half[1])

    keys = jax.vmap(image_key)(halves)
    return method.explain(keys, classifier, images, targets, labels, active, micro_batch=micro_batch)


def image_id(image: Any) -> int:
    """Returns a 64-bit name of an image: a hash of its size and pixels, the same for uint8 and for float in [0, 1].

    Args:
        image: `[H, W, C]` uint8, or float in [0, 1] (hashed as if rounded to uint8).
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return int.from_bytes(digest.digest(), "little")


def check_images(images: Any, channels: int) -> Any:
    """Returns `images` as uint8 or float32, or raises ValueError."""
    array = images if isinstance(images, jax.Array) else np.asarray(images)
    if array.ndim != 4:
        raise ValueError(
            f"images have shape {tuple(array.shape)} but must be [batch, height, width, channels]; "
            "a single image goes in as image[None]."
        )
    if 0 in array.shape:
        raise ValueError(f"images have shape {tuple(array.shape)}, which holds no pixels; pass at least one image.")
    if array.shape[3] != channels:
        raise ValueError(
            f"images have {array.shape[3]} channels in their last axis but the classifier takes {channels}; "
            "convert them, or move the channels last."
        )
    if array.dtype == np.uint8:
        return array
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"images are {array.dtype} but must be uint8, or float in [0, 1]; divide by their largest value."
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("images hold NaN or infinity; replace them by pixels in [0, 1].")
    if low < 0 or high > 1:
        raise ValueError(
            f"images range from {low:g} to {high:g} but floats must be in [0, 1]; divide by 255, or undo the "
            "normalisation, which is the classifier's part."
        )
    return array.astype(np.float32)


def _check_length(name: str, array: np.ndarray, count: int) -> np.ndarray:
    if array.shape != (count,):
        raise ValueError(f"{name} have shape {array.shape} but must be [{count}], one an image.")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} are {array.dtype} but must be integers.")
    return array


def _check_targets(targets: Any, count: int, num_classes: int) -> np.ndarray:
    if targets is None:
        return np.full((count,), -1, np.int32)
    array = _check_length("targets", np.asarray(targets), count)
    for target in array:
        if not -1 <= target < num_classes:
            raise ValueError(
                f"target {target} is not a class of this classifier, which has {num_classes} (0 to {num_classes - 1})."
            )
    return array.astype(np.int32)


def _check_segments(segments: Any, count: int, height: int, width: int) -> np.ndarray:
    """Returns label maps with labels 0, 1, ... in the order of their values."""
    array = np.asarray(segments)
    if array.shape not in {(height, width), (count, height, width)}:
        raise ValueError(
            f"segments have shape {array.shape} but the images need [{height}, {width}] or "
            f"[{count}, {height}, {width}]; resize the map with nearest-neighbour interpolation."
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"segments are {array.dtype} but must be integers, a label a pixel.")
    maps = np.broadcast_to(array, (count, height, width))
    numbered = [np.unique(labels, return_inverse=True)[1].reshape(height, width) for labels in maps]
    return np.stack(numbered).astype(np.int32)


def split_id(name: int) -> tuple[int, int]:
    """Returns the upper and the lower half of a 64-bit id."""
    name &= 0xFFFFFFFFFFFFFFFF
    return name >> 32, name & 0xFFFFFFFF
