"""The hot path: new (image, genome) pairs, packed into micro-batches, masked, and run through the classifier."""

import dataclasses
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.classifier import Classifier, to_unit_range
from xaijax.fitness import RESPONSE, Response, Targets, respond
from xaijax.sequential import accompany, row_taker


@chex.dataclass(frozen=True)
class FilledMask:
    """A mask and the fill that it is evaluated with; leading axes for more."""

    mask: jax.Array  # [H, W] bool
    fill: jax.Array  # [] int32, its place among `Scenario.fills`


Decode = Callable[[Any, jax.Array], Any]
"""`decode(context, genome) -> mask [H, W]`, for one genome of one image: bool, or float32 in [0, 1] to blend. Where a
scenario has several fills, a `FilledMask`."""


@chex.dataclass(frozen=True)
class Scenario:
    """What the masked images of a batch are made of."""

    images: jax.Array  # [B, H, W, C] uint8, or float in [0, 1]
    fills: Any  # [B, h, w, C] float32, what stands where a mask is 0; h and w are 1 or H and W; or a tuple of several
    contexts: Any  # pytree of [R, ...], what `decode` needs to know of a row
    references: Any = ()  # pytree of [B, ...], what activations are compared with
    baselines: Any = ()  # pytree of [R, ...], what responses are compared with
    source: jax.Array | None = None  # [R] int32, the image of each row; None for one row per image, in their order

    def of_rows(self, rows: jax.Array) -> "Scenario":
        """Gathers what belongs to rows `[N]` int32; the result has one image per row."""
        return self.taker()(rows)

    def taker(self) -> Callable[[jax.Array], "Scenario"]:
        """Returns a function that does what `of_rows` does, for many calls."""
        of_images, of_rows = (self.images, self.fills, self.references), (self.contexts, self.baselines)
        take_images, take_rows = row_taker(of_images), row_taker(of_rows)

        def taken(rows: jax.Array) -> Scenario:
            images, fills, references = take_images(rows if self.source is None else self.source[rows])
            contexts, baselines = take_rows(rows)
            return Scenario(images=images, fills=fills, contexts=contexts, references=references, baselines=baselines)

        return taken

    def accompanied(self) -> "Scenario":
        """Returns the scenario with a second image and row of zeros where there is only one; see `accompany`."""
        images, fills, references = accompany((self.images, self.fills, self.references))
        of_rows = (self.contexts, self.baselines, self.source)
        contexts, baselines, source = accompany(of_rows) if jax.tree.leaves(of_rows) else of_rows
        return Scenario(
            images=images, fills=fills, contexts=contexts, references=references, baselines=baselines, source=source
        )


def read_response(
    classifier: Classifier, logits: jax.Array, activations: Any, scenario: Scenario, targets: Targets, areas: jax.Array
) -> Response:
    """Reads the response to masked images `[N]` off their logits; see `xaijax.fitness.respond`."""
    return respond(classifier, logits, targets, areas)


@dataclasses.dataclass(frozen=True)
class View:
    """One of the ways in which a mask is looked at; hashable.

    Attributes:
        is_inverse: whether the inverse of the mask is looked at.
        fill: number of the fill among several of a scenario.
    """

    is_inverse: bool = False
    fill: int = 0


def never(values: Any, view: jax.Array) -> jax.Array:
    """Returns False for every mask: none is looked at again."""
    return jnp.zeros(view.shape, jnp.bool_)


@dataclasses.dataclass(frozen=True)
class Readout:
    """What is read off a forward pass on a masked image; hashable.

    Attributes:
        read: called as `read_response` is, with what the forward pass gave for masked images `[N]`; returns a pytree
            of `[N, ...]`.
        values: pytree of `jax.ShapeDtypeStruct`, the shapes of what it returns for one of them.
        taps: the activations that it reads.
        views: V, the ways in which a mask is looked at, one after the other.
        goes_on: `goes_on(values, view)` maps what was read of masks `[N]`, each in the view of this number, to `[N]`
            bool: those that are looked at in their next view too.
    """

    read: Callable[..., Any] = read_response
    values: Any = RESPONSE
    taps: tuple[str, ...] = ()
    views: tuple[View, ...] = (View(),)
    goes_on: Callable[[Any, jax.Array], jax.Array] = never

    def follows(self, values: Any, view: jax.Array) -> jax.Array:
        """Returns which of masks `[N]`, each seen in the view of this number, are looked at in another."""
        return self.goes_on(values, view) & (view < len(self.views) - 1)


RESPONSE_READOUT = Readout()
"""The readout of a method that needs no more than the response."""


@chex.dataclass(frozen=True)
class Views:
    """What is read of a mask in V views; leading axes for more."""

    values: tuple[Any, ...]  # V, see `Readout.read`; zeros where it was not looked at
    is_seen: tuple[jax.Array, ...]  # V, [] bool, whether it was


LADDER = (1, 4, 16)
"""Parts of the largest micro-batch among which an accelerator's is chosen."""


def micro_batch_size(image_shape: tuple[int, ...], platform: str, pairs: int | None = None) -> int:
    """Returns how many masked images one forward pass takes.

    A rule on shapes, counts and the platform, never a timing, so that the same command gives the same size. On CPU as
    many as hold the pixels of 8 images of 224x224, at most 32, so that a search of one image fills them; elsewhere of
    256 images, at most 1,024. A power of two, at least 4.

    On CPU the number of images does not count, as XLA chooses its matrix kernels by size and an image's last bits would
    depend on its neighbours. Elsewhere it is the largest step of a `LADDER` of which no more than half is empty.

    Args:
        image_shape: `(H, W, C)`.
        platform: "cpu", "gpu" or "tpu".
        pairs: masked images that a device evaluates at a time; None for many.
    """
    images, most = (8, 32) if platform == "cpu" else (256, 1024)
    limit = images * 224 * 224 / (image_shape[0] * image_shape[1])
    largest = 1 << (int(max(4, min(limit, most))).bit_length() - 1)
    if pairs is None or platform == "cpu":
        return largest
    steps = [max(4, largest // part) for part in LADDER]
    return next((step for step in steps if 2 * pairs >= -(-pairs // step) * step), steps[-1])


def evaluate(
    classifier: Classifier,
    decode: Decode,
    scenario: Scenario,
    genomes: Any,
    new: jax.Array,
    targets: Targets | jax.Array,
    *,
    micro_batch: int,
    readout: Readout = RESPONSE_READOUT,
) -> Any:
    """Evaluates the new genomes of a batch of images.

    The pairs that are new are queued, and as many micro-batches as they fill are run; masked images exist for one
    micro-batch at a time. A mask that is to be looked at in another view is queued again. What several classes of one
    image ask for is looked at once: see `shared_pairs`.

    Args:
        classifier: any.
        decode: genome to mask.
        scenario: of the batch.
        genomes: pytree of `[R, P, ...]`.
        new: `[R, P]` bool, the pairs to evaluate.
        targets: `[R]`, the classes explained: `Targets`, or int32 classes, -1 for the predicted one.
        micro_batch: pairs per forward pass.
        readout: what to read off a forward pass.

    Returns:
        What was read, a pytree of `[R, P]` (`Response` by default), zeros where not new; `Views` of it where the
        readout has several.
    """
    chex.assert_rank(new, 2)
    rows, population = new.shape
    if not isinstance(targets, Targets):
        targets = Targets.of(targets)
    images = scenario.images if scenario.source is None else scenario.source
    of_images = [scenario.images, *jax.tree.leaves(scenario.fills)]
    chex.assert_rank(of_images, 4)
    chex.assert_equal_shape_prefix(of_images, 1)
    chex.assert_tree_shape_prefix((images, targets, scenario.contexts, scenario.baselines), (rows,))
    chex.assert_tree_shape_prefix(genomes, (rows, population))
    take = scenario.accompanied().taker()
    pairs = rows * population
    views = len(readout.views)
    entries = views * pairs  # of what is read: of all masks in the first view, then in the next
    each = rows // len(scenario.images)
    shared = shared_pairs(scenario, genomes, new)
    is_wanted = jnp.any(shared.reshape(-1, each, population), axis=1)  # of each image's first row, by another one
    asked = new & ~shared if each > 1 else new
    # The queue lists the entries to fill; past its end stand entries that are dropped on writing.
    queue = jnp.sort(jnp.where(asked.reshape(-1), jnp.arange(pairs, dtype=jnp.int32), entries))
    queue = jnp.pad(queue, (0, entries - pairs + micro_batch), constant_values=entries)
    flat = jax.tree.map(lambda leaf: leaf.reshape(pairs, *leaf.shape[2:]), genomes)

    def step(carry: tuple[jax.Array, jax.Array, jax.Array, Any]) -> tuple[jax.Array, jax.Array, jax.Array, Any]:
        start, count, queue, responses = carry
        entry = jax.lax.dynamic_slice(queue, (start,), (micro_batch,))
        view = jnp.minimum(entry // pairs, views - 1)
        pair = jnp.minimum(entry - view * pairs, pairs - 1)
        row = pair // population
        shown = take(row)
        of_pair = jax.tree.map(lambda leaf: leaf[pair], flat)
        masked, areas = masked_images(decode, shown, of_pair, readout.views, view)
        with jax.named_scope("forward"):
            logits, activations = classifier.apply(classifier.params, masked, readout.taps)

        def read(entry: jax.Array, row: jax.Array, shown: Scenario, filled: tuple[jax.Array, jax.Array, Any]) -> Any:
            """Fills entries with what their rows read; of those that are to be looked at again, the next are queued."""
            count, queue, responses = filled
            requested = jax.tree.map(lambda leaf: leaf[row], targets)
            response = readout.read(classifier, logits, activations, shown, requested, areas)
            responses = jax.tree.map(lambda old, value: old.at[entry].set(value, mode="drop"), responses, response)
            if views > 1:
                follows = readout.follows(response, view) & (entry < entries)
                end = jnp.where(follows, count + jnp.cumsum(follows, dtype=jnp.int32) - 1, len(queue))
                queue = queue.at[end].set(entry + pairs, mode="drop")
                count = count + jnp.sum(follows, dtype=jnp.int32)
            return count, queue, responses

        filled = read(entry, row, shown, (count, queue, responses))
        if each > 1:
            place = pair % population
            is_first = (row % each == 0) & (entry < pairs) & is_wanted[row // each, place]

            def read_other(number: jax.Array, filled: tuple[jax.Array, jax.Array, Any]) -> Any:
                other = jnp.minimum(row + number, rows - 1)
                same = is_first & shared[other, place]
                baselines = jax.tree.map(lambda leaf: leaf[other], scenario.baselines)
                asking = dataclasses.replace(shown, baselines=baselines)
                return read(jnp.where(same, entry + number * population, entries), other, asking, filled)

            filled = jax.lax.fori_loop(1, jnp.where(jnp.any(is_first), each, 1), read_other, filled)
        return jnp.minimum(start + micro_batch, count), *filled

    nothing = jax.tree.map(lambda value: jnp.zeros((entries, *value.shape), value.dtype), readout.values)
    first = (jnp.int32(0), jnp.sum(asked, dtype=jnp.int32), queue, nothing)
    with jax.named_scope("micro-batches"):
        _, _, _, responses = jax.lax.while_loop(lambda carry: carry[0] < carry[1], step, first)
    if views == 1:
        return jax.tree.map(lambda response: response.reshape(rows, population, *response.shape[1:]), responses)
    values = [
        jax.tree.map(lambda leaf, view=view: leaf.reshape(views, rows, population, *leaf.shape[1:])[view], responses)
        for view in range(views)
    ]
    is_seen = [new]
    for view, of_view in enumerate(values[:-1]):
        is_seen.append(is_seen[-1] & readout.follows(of_view, jnp.full(new.shape, view, jnp.int32)))
    return Views(values=tuple(values), is_seen=tuple(is_seen))


def shared_pairs(scenario: Scenario, genomes: Any, new: jax.Array) -> jax.Array:
    """Returns the pairs for which the first row of their image asks as well: the same mask, at the same place.

    The classes of one image ask for the same masks until what their searches have seen differs: one forward pass tells
    all of them.

    Args:
        scenario: of R rows of B images, those of an image one after the other.
        genomes: pytree of `[R, P, ...]`.
        new: `[R, P]` bool, the pairs to evaluate.

    Returns:
        `[R, P]` bool.
    """
    each = len(new) // len(scenario.images)

    def is_as_first(leaf: jax.Array, axes: int) -> jax.Array:
        """Returns of an array `[R, ...]` whether what lies behind its first `axes` axes is as in the first row."""
        of_images = leaf.reshape(-1, each, *leaf.shape[1:])
        same = (of_images == of_images[:, :1]).reshape(leaf.shape)
        return jnp.all(same, axis=tuple(range(axes, leaf.ndim)))

    shared = new & (jnp.arange(len(new)) % each != 0)[:, None]
    shared &= jnp.repeat(new[::each], each, axis=0)
    for leaf in jax.tree.leaves(scenario.contexts):
        shared &= is_as_first(leaf, 1)[:, None]
    for leaf in jax.tree.leaves(genomes):
        shared &= is_as_first(leaf, 2)
    return shared


def masked_images(
    decode: Decode, scenario: Scenario, genomes: Any, views: tuple[View, ...], view: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Masks images.

    Args:
        decode: genome to mask.
        scenario: of N rows, with one image per row.
        genomes: pytree of `[N, ...]`.
        views: of the readout.
        view: `[N]` int32, the number of the view of each.

    Returns:
        The masked images `[N, H, W, C]` float32 in [0, 1], and the areas `[N]` float32 that they keep.
    """
    with jax.named_scope("decode"):
        decoded: Any = jax.vmap(decode)(scenario.contexts, genomes)
        is_filled = isinstance(decoded, FilledMask)
        masks = decoded.mask if is_filled else decoded
        if any(each.is_inverse for each in views):
            masks = masks ^ _of_view([each.is_inverse for each in views], view)[:, None, None]
    with jax.named_scope("fill"):
        fills = scenario.fills
        if isinstance(fills, tuple):
            number = decoded.fill if is_filled else _of_view([each.fill for each in views], view)
            fills = _chosen(fills, number)
        masked = blend(masks[..., None], to_unit_range(scenario.images), fills)
    return masked, jnp.mean(masks, axis=(1, 2), dtype=jnp.float32)


def _of_view(of_each: list[Any], view: jax.Array) -> jax.Array:
    """Returns what holds of the views `[N]` int32, given what holds of each."""
    chosen = jnp.full(view.shape, of_each[0])
    for number, value in enumerate(of_each[1:], 1):
        chosen = jnp.where(view == number, value, chosen)
    return chosen


def _chosen(fills: tuple[jax.Array, ...], which: jax.Array) -> jax.Array:
    """Returns of several fills `[N, h, w, C]` the one that each of N masks asks for."""
    chosen = fills[0]
    for number, fill in enumerate(fills[1:], 1):
        chosen = jnp.where((which == number)[:, None, None, None], fill, chosen)
    return chosen


def blend(masks: jax.Array, pixels: jax.Array, fills: jax.Array) -> jax.Array:
    """Returns `pixels` where `masks` is 1 (or True) and `fills` where it is 0, mixed in between; all finite."""
    if masks.dtype == jnp.bool_:
        # As exact as a select, and XLA vectorises it where it fuses it with what comes before a convolution.
        return pixels * masks.astype(jnp.float32) + fills * (~masks).astype(jnp.float32)
    return fills + masks * (pixels - fills)
