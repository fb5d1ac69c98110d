"""Checks the arguments of `explain` and brings them into one form."""

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError

from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import class_logits
from xaijax.target_words import parse_top

SLACK = 1e-4
"""How far outside [0, 1] floats may lie that are clipped to it, as those of a resized image do."""


def check_key(key: Any) -> None:
    """Raises ValueError unless `key` is one key of `jax.random`."""
    is_new = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    is_old = isinstance(key, jax.Array | np.ndarray) and key.dtype == np.uint32 and key.shape in {(2,), (4,)}
    if not (is_old or (is_new and key.shape == ())):
        shown = f"{key.dtype} {list(key.shape)}" if isinstance(key, jax.Array | np.ndarray) else repr(key)
        raise ValueError(f"key is {shown} but must be one key, as from jax.random.key(0).")


@contextlib.contextmanager
def fitting(classifier: Classifier, shape: tuple[int, ...]) -> Iterator[None]:
    """Turns an error of a classifier that takes no images of this shape `(H, W)` into a ValueError with a remedy."""
    try:
        yield
    except (TypeError, FlaxError) as error:
        if tuple(shape) == tuple(classifier.input_size):
            raise
        height, width = classifier.input_size
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"the classifier does not take images of {shape[0]}x{shape[1]} ({reason}); resize them to its input_size, "
            f"{height}x{width}."
        ) from error


def image_id(image: Any) -> int:
    """Returns a 64-bit id of an image: a hash of its shape and pixels, the same for uint8 and for float in [0, 1].

    Args:
        image: `[H, W, C]` uint8, or float in [0, 1] (hashed as if rounded to uint8).
    """
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = np.round(pixels * 255).astype(np.uint8)
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=8)
    digest.update(np.ascontiguousarray(pixels).tobytes())
    return int.from_bytes(digest.digest(), "little")


def check_images(images: Any, channels: int, name: str = "images") -> Any:
    """Returns `images` as uint8 or float32, or raises ValueError, which calls them `name`."""
    is_wide = isinstance(images, jax.Array) and images.dtype == np.float64
    array = images if isinstance(images, jax.Array) and not is_wide else np.asarray(images)
    if array.ndim != 4:
        raise ValueError(
            f"{name} have shape {tuple(array.shape)} but must be [batch, height, width, channels]; "
            "a single image goes in as image[None]."
        )
    if 0 in array.shape:
        raise ValueError(f"{name} have shape {tuple(array.shape)}, which holds no pixels; pass at least one image.")
    if array.shape[3] != channels:
        raise ValueError(
            f"{name} have {array.shape[3]} channels in their last axis but the classifier takes {channels}; "
            "convert them, or move the channels last."
        )
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return array.astype(np.float32) / np.float32(65535)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise ValueError(
            f"{name} are {array.dtype} but must be uint8, uint16, or float in [0, 1]; divide by their largest value."
        )
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} hold NaN or infinity; replace them by pixels in [0, 1].")
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(
            f"{name} range from {low:g} to {high:g} but floats must be in [0, 1]; divide by 255, or undo the "
            "normalisation, which is the classifier's part."
        )
    floats = array.astype(np.float32)
    return floats if low >= 0 and high <= 1 else floats.clip(0, 1)


def name_images(images: Any, ids: Any) -> np.ndarray:
    """Returns the halves `[B, 2]` uint32 of the ids of images; where `ids` is None, an id is a hash of the pixels."""
    if ids is None:
        return np.array([split_id(image_id(image)) for image in np.asarray(images)], np.uint32)
    ids = _check_integers("ids", ids)
    if ids.shape != (len(images),):
        raise ValueError(f"ids have shape {ids.shape} but must be [{len(images)}], one per image.")
    return np.array([split_id(int(name)) for name in ids], np.uint32)


def resolve_targets(
    targets: Any, against: Any, classifier: Classifier, images: Any, micro_batch: int
) -> tuple[Any, Any]:
    """Returns the classes to explain and the classes to contrast them with, `[B K]` int32 each; see `explain`.

    Raises:
        ValueError: they are not classes of the classifier, or do not fit the images.
    """
    count, classes = len(images), classifier.num_classes
    top = parse_top(targets)
    if isinstance(targets, str) and not (top and 1 <= top <= classes):
        raise ValueError(f"targets is {targets!r} but must be 'topK', K from 1 to {classes}, or classes.")
    if isinstance(against, str) and against != "runner-up":
        raise ValueError(f"against is {against!r} but must be 'runner-up', or classes.")
    explained = np.full((count, 1), -1, np.int32)
    if targets is not None and not top:
        explained = _check_classes("targets", targets, count, classes)
    if against is None and not top:
        return explained.reshape(-1), np.full((explained.size,), -1, np.int32)

    ranked = _rank_classes(classifier, images, micro_batch)
    if top:
        explained = ranked[:, :top]
    if against is None:
        return explained.reshape(-1), np.full((explained.size,), -1, np.int32)
    explained = np.where(explained < 0, ranked[:, :1], explained)
    if isinstance(against, str):
        others = np.where(explained == ranked[:, :1], ranked[:, 1:2], ranked[:, :1])
    else:
        others = _check_classes(
            "against", np.broadcast_to(against, (count,)) if np.ndim(against) == 0 else against, count, classes
        )
        if others.shape[1] not in (1, explained.shape[1]):
            raise ValueError(
                f"against have shape {others.shape} but must be [{count}], one per image, or {list(explained.shape)}, "
                "one per target."
            )
        others = np.broadcast_to(others, explained.shape)
    if np.any(others < 0):
        raise ValueError("against holds -1 but must name a class in each row; 'runner-up' finds one.")
    return explained.reshape(-1), others.reshape(-1)


def check_contrast(explained: np.ndarray, others: np.ndarray) -> None:
    """Raises ValueError if a class is contrasted with itself; the arguments are as `resolve_targets` returns them."""
    for row in np.flatnonzero(explained == others):
        if others[row] >= 0:
            raise ValueError(
                f"against is {int(others[row])} in row {int(row)}, the class explained itself; name another, or "
                "'runner-up'."
            )


def _rank_classes(classifier: Classifier, images: Any, micro_batch: int) -> np.ndarray:
    """Returns the classes of each whole image by falling probability, `[B, K]` int32."""
    logits = []
    for first in range(0, len(images), micro_batch):
        part = np.asarray(images[first : first + micro_batch])
        padding = 0 if classifier.is_black_box else micro_batch - len(part)  # one size, one compilation
        padded = np.pad(part, ((0, padding), (0, 0), (0, 0), (0, 0)), mode="edge")
        logits.append(np.asarray(class_logits(classifier, classifier(padded)))[: len(part)])
    return np.argsort(-np.concatenate(logits), axis=1, kind="stable").astype(np.int32)


def _check_classes(name: str, classes: Any, count: int, num_classes: int) -> np.ndarray:
    """Returns classes `[B]` or `[B, K]` as `[B, K]` int32."""
    classes = _check_integers(name, classes)
    if classes.shape[:1] != (count,) or classes.ndim > 2 or classes.size == 0:
        raise ValueError(f"{name} have shape {classes.shape} but must be [{count}], one per image, or [{count}, K].")
    invalid = classes[(classes < -1) | (classes >= num_classes)]
    if invalid.size:
        raise ValueError(
            f"{name} holds {int(invalid[0])}, which is not a class of this classifier: it has {num_classes} "
            f"(0 to {num_classes - 1})."
        )
    return classes.reshape(count, -1).astype(np.int32)


def _check_integers(name: str, array: Any) -> np.ndarray:
    array = np.asarray(array)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} are {array.dtype} but must be integers.")
    return array


def check_background(background: Any, shape: tuple[int, ...]) -> Any:
    """Returns a background as `[B, H, W, C]` float32 in [0, 1], or raises ValueError."""
    if np.shape(background) not in (shape, shape[1:]):
        raise ValueError(
            f"background has shape {np.shape(background)} but the images need {list(shape)} or {list(shape[1:])}; "
            "resize it."
        )
    array = check_images(np.reshape(background, (-1, *shape[1:])), shape[3], "background")
    return np.broadcast_to(np.asarray(to_unit_range(jnp.asarray(array))), shape)


def check_start(start: Any, count: int, height: int, width: int) -> Any:
    """Returns heat maps `[B, H, W]` float32 or masks `[B, M, H, W]` bool to start from, or raises ValueError."""
    array = np.asarray(start)
    if array.shape == (count, height, width) and np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ValueError("start holds NaN or infinity; a heat map's numbers must be finite.")
        return array.astype(np.float32)
    fits = array.ndim == 4 and array.shape[1] > 0 and array.shape == (count, array.shape[1], height, width)
    if fits and array.dtype == np.bool_:
        return array
    raise ValueError(
        f"start has shape {array.shape} and type {array.dtype} but must be a heat map [{count}, {height}, {width}] of "
        f"floats, or masks [{count}, M, {height}, {width}] of bool."
    )


def check_segments(segments: Any, count: int, height: int, width: int) -> Any:
    """Returns label maps `[B, H, W]` int32, relabelled 0, 1, ... in the order of their values, or raises ValueError."""
    array = np.asarray(segments)
    if array.shape not in {(height, width), (count, height, width)}:
        raise ValueError(
            f"segments have shape {array.shape} but the images need [{height}, {width}] or "
            f"[{count}, {height}, {width}]; resize the map with nearest-neighbour interpolation."
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"segments are {array.dtype} but must be integers, one label per pixel.")
    maps = np.broadcast_to(array, (count, height, width))
    numbered = [np.unique(labels, return_inverse=True)[1].reshape(height, width) for labels in maps]
    return np.stack(numbered).astype(np.int32)


def split_id(name: int) -> tuple[int, int]:
    """Returns the upper and the lower half of a 64-bit id."""
    name &= 0xFFFFFFFFFFFFFFFF
    return name >> 32, name & 0xFFFFFFFF
