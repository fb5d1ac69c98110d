"""`explain`: images in, explanations out."""

import dataclasses
from typing import Any

import jax

from xaijax.arguments import (
    check_background,
    check_contrast,
    check_images,
    check_key,
    check_segments,
    check_start,
    fitting,
    name_images,
    resolve_targets,
)
from xaijax.batch import make_batch
from xaijax.classifier import Classifier
from xaijax.execution.compiled import Method, explain_batch
from xaijax.execution.host_loop import Report, search_in_steps
from xaijax.execution.placement import Placement, pairs_at_a_time, platform_of
from xaijax.execution.program_store import call_compiled
from xaijax.execution.repeats import join_repeats
from xaijax.execution.sharding import batch_size, count_devices, pad_images
from xaijax.explanation import Explanation
from xaijax.fitness import Targets
from xaijax.masks.fills import split_fill
from xaijax.methods.elime.method import ELIME
from xaijax.micro_batches import micro_batch_size


def explain(
    key: jax.Array,
    classifier: Classifier,
    images: Any,
    targets: Any = None,
    *,
    against: Any = None,
    ids: Any = None,
    segments: Any = None,
    background: Any = None,
    start: Any = None,
    method: Method | None = None,
    repeats: int = 1,
    report: Report | None = None,
    micro_batch: int | None = None,
) -> Explanation:
    """Explains what a classifier sees in images.

    An explanation depends on the image, its class, the settings, the key and the image's id, never on the other images.
    Where the process has several devices, each explains a part of the images.

    The search is compiled once for each set of options, function of a classifier, image shape and batch size. Sizes
    share programs: a device's part is filled up to 2^k or 3 * 2^k images by slots that stay empty. Programs that were
    not used for long are dropped when there are too many (`xaijax.execution.program_store`), and compiled again when
    they are needed.

    Args:
        key: one key for the run, as from `jax.random.key(0)`.
        classifier: see `Classifier`. A black box (`Classifier.from_black_box`) is called from the host.
        images: `[B, H, W, C]` uint8, or float in [0, 1].
        targets: `[B]` integers, the classes to explain; None, or -1 in a row, explains the predicted class. `[B, K]`
            integers, or "top3" for the three most probable classes (any number), give K rows per image.
        against: the class that the target is contrasted with, in place of all others: an integer, `[B]` integers, or
            "runner-up" for the most probable class beside the target. The probability is then the target's share of
            the two.
        ids: `[B]` integers of up to 64 bits that name the images; None names them by their pixels (`image_id`).
        segments: `[B, H, W]` or `[H, W]` integers of any values, one label map per image or one for all, in place of
            the method's own segmentation.
        background: `[B, H, W, C]` or `[H, W, C]`, as `images`: what stands where a mask is 0, in place of the method's
            fill, or of all its fills.
        start: where a search over segments starts: `[B, H, W]` finite numbers, a heat map whose hottest segments are
            kept by nested masks in half of the first population, or `[B, M, H, W]` bool, masks to start from. Without
            effect on an image of so few segments that all masks are evaluated.
        method: how to explain; None is `ELIME()`.
        repeats: seeds per row, all in one batch; with more than one, the result is that of the first seed, with the
            `Stability` over all.
        report: called with a `Progress` after every generation; with None the whole search is one compiled program.
        micro_batch: masked images per forward pass, at least 1; None takes that of `micro_batch_size`. At one size a
            result is the same to the bit on CPU; at another, the classifier's last bits may differ, and with them the
            search.

    Returns:
        An `Explanation` of B rows, or of B K, in the order of the images.

    Raises:
        ValueError: an argument does not fit; the message says which and how it can be mended.
    """
    method = ELIME() if method is None else method
    if background is not None:
        method = _of_one_fill(method)
    check_key(key)
    images = check_images(images, classifier.channels)
    count, *shape = images.shape
    # All is computed in 32 bits, also where JAX has 64 bits switched on.
    with jax.enable_x64(False), fitting(classifier, tuple(shape[:2])):
        if repeats < 1:
            raise ValueError(f"repeats is {repeats} but must be at least 1.")
        if micro_batch is not None and micro_batch < 1:
            raise ValueError(f"micro_batch is {micro_batch} but must be at least 1.")
        devices = 1 if classifier.is_black_box else count_devices(count)
        platform = platform_of(images)
        passes = micro_batch or micro_batch_size(tuple(shape), platform, -(-count // devices))
        explained, others = resolve_targets(targets, against, classifier, images, passes)
        check_contrast(explained, others)
        if start is not None and not getattr(method, "takes_start", False):
            raise ValueError(
                f"{type(method).__name__} does not search over segments, so it has no start; leave it out, or choose "
                "ELIME."
            )
        if segments is not None and not getattr(method, "takes_segments", True):
            raise ValueError(f"{type(method).__name__} works on pixels and takes no segments; leave them out.")
        words, batch = make_batch(
            name_images(images, ids),
            images,
            Targets(explained=explained, against=others),
            repeats=repeats,
            labels=None if segments is None else check_segments(segments, count, *shape[:2]),
            background=None if background is None else check_background(background, images.shape),
            start=None if start is None else check_start(start, count, *shape[:2]),
        )
        if micro_batch is None:
            pairs = pairs_at_a_time(method, -(-len(explained) * repeats // devices))
            micro_batch = micro_batch_size(tuple(shape), platform, pairs)
        padded, batch = pad_images(words, batch, batch_size(count, devices))
        placement = Placement(micro_batch, devices, platform_of(batch.images) != "cpu")
        if report is not None or classifier.is_black_box:
            result = search_in_steps(key, padded, classifier, batch, method, placement, report, rows=len(words))
        else:
            result = call_compiled(explain_batch, (key, padded, classifier, batch), (method, placement))
        if repeats > 1 and devices > 1:
            # Of many operations in flight over several CPU devices, some may wait for each other for ever.
            result = jax.device_put(jax.device_get(result))
        if len(padded) > len(words):
            result = jax.tree.map(lambda leaf: leaf[: len(words)], result)
        return join_repeats(result, repeats) if repeats > 1 else result


def _of_one_fill(method: Method) -> Method:
    """Returns a method of several fills as one of a single fill, in whose place a background may stand."""
    first, *others = split_fill(getattr(method, "fill", ""))
    return dataclasses.replace(method, fill=first) if others else method  # type: ignore[type-var]
