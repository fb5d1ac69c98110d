"""A Gaussian process over the masks of one image: what the classifier says of any set of segments.

It predicts the logits of the classes that matter, under every fill of a search, from the masks that were evaluated, and
orders the segments so that what the first ones keep and what their removal takes are both predicted to be high.

References:
    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 4.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from xaijax.masks import superpixels

AMPLITUDE = 2.0
"""Prior variance of what segments do together, over that of what they add one by one."""

LENGTH = 0.4
"""Share of the segments' weights by which two masks differ where their likeness has fallen to 1/e."""

NOISE = 0.03
"""Variance of what the process does not explain, in units of the outputs' variance."""

ACROSS = 0.6
"""Correlation of one mask's outputs under two fills."""

INTERCEPT = 0.12
"""Prior variance of the mean of a fill."""

REACH = 0.1
"""Distance between the centres of two segments, as a share of the image's longer side, over which they act alike."""

REMOVAL = 0.5
"""Weight of the probability that is left when a set is removed, in the worth by which an order grows."""

DELETION = 1.5
"""Weight of the area under the curve of what an order removes, over that of what it keeps."""

LOG_ODDS = 0.02
"""Weight of log-odds beside probabilities in the worth of a set: they still tell where probabilities are flat."""

CLIP = 8.0
"""Largest log-odds in the worth of a set."""


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns a matrix product that no device rounds."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


@chex.dataclass(frozen=True)
class SegmentLayout:
    """What the process knows of the segments of one image beforehand; leading axes for more."""

    areas: jax.Array  # [S] float32, shares of the pixels, 0 past the last segment
    weights: jax.Array  # [S] float32, of a segment in the distance of two masks; they add up to 1
    alike: jax.Array  # [S, S] float32, prior covariance of what segments add


def segment_layout(segments: jax.Array, *, max_segments: int) -> SegmentLayout:
    """Returns the layout of a label map `[H, W]` int32 in [0, max_segments)."""
    sizes = superpixels.segment_sizes(segments, max_segments=max_segments)
    centres = superpixels.segment_centres(segments, max_segments=max_segments) / max(segments.shape)
    used = sizes > 0
    squared = jnp.sum((centres[:, None] - centres[None]) ** 2, axis=2)
    near = jnp.where(used[:, None] & used[None], jnp.exp(-squared / (2 * REACH**2)), 0)
    alone = jnp.diag(used.astype(jnp.float32))
    roots = jnp.sqrt(sizes)
    return SegmentLayout(
        areas=sizes / jnp.sum(sizes),
        weights=roots / jnp.sum(roots),
        alike=(near + alone) * (2 / jnp.sum(used, dtype=jnp.float32)),
    )


@chex.dataclass(frozen=True)
class SetProcess:
    """The process of one image after N evaluated masks, under F fills, of K outputs."""

    layout: SegmentLayout
    bits: jax.Array  # [N, S] float32, the masks
    coefficients: jax.Array  # [N, F K] float32, of the kernel with each mask, for fill f and output k at f K + k
    offsets: jax.Array  # [F, K] float32, predicted outputs without the kernel of the masks
    own: jax.Array  # [K] bool, the output of the class explained
    rivals: jax.Array  # [K] bool, the outputs of the classes that it is contrasted with

    @property
    def used(self) -> jax.Array:
        """`[S]` float32, 1 for the segments of the image."""
        return (self.layout.areas > 0).astype(jnp.float32)


def fit(
    layout: SegmentLayout,
    bits: jax.Array,
    fills: jax.Array,
    outputs: jax.Array,
    known: jax.Array,
    *,
    own: jax.Array,
    rivals: jax.Array,
    count: int,
) -> SetProcess:
    """Fits the process.

    Args:
        layout: of the segments.
        bits: `[N, S]` bool.
        fills: `[N]` int32 in [0, count), the fill of each evaluation.
        outputs: `[N, K]` float32, logits up to a constant of each row.
        known: `[N]` bool, the rows to fit.
        own: `[K]` bool, see `SetProcess`.
        rivals: `[K]` bool, likewise.
        count: F, number of fills.
    """
    x = bits.astype(jnp.float32)
    weight = known.astype(jnp.float32)
    outputs = jnp.where(known[:, None], outputs, 0)
    outputs = outputs - jnp.mean(outputs, axis=1, keepdims=True)
    mean = _product(weight, outputs) / jnp.maximum(jnp.sum(weight), 1)
    centred = (outputs - mean[None]) * weight[:, None]
    of_fill = (fills[:, None] == jnp.arange(count)[None]).astype(jnp.float32)  # [N, F]
    same = _product(of_fill, of_fill.T)
    kernel = _kernel(layout, x, x) * (ACROSS + (1 - ACROSS) * same) + INTERCEPT * same
    kernel = kernel * weight[:, None] * weight[None] + jnp.diag(jnp.where(known, NOISE, 1.0).astype(jnp.float32))
    # The kernel is in units of the outputs' variance, which cancels: predictions are linear in the outputs.
    solved = jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(kernel, lower=True), centred)
    coefficients = solved[:, None] * (ACROSS + (1 - ACROSS) * of_fill)[:, :, None]
    offsets = mean[None] + INTERCEPT * _product(of_fill.T, solved)
    return SetProcess(
        layout=layout, bits=x, coefficients=coefficients.reshape(len(x), -1), offsets=offsets, own=own, rivals=rivals
    )


def over_fills(process: SetProcess) -> SetProcess:
    """Returns the process of the outputs' mean over the fills, which is a third of the work for three of them."""
    count, outputs = process.offsets.shape
    coefficients = jnp.mean(process.coefficients.reshape(-1, count, outputs), axis=1)
    offsets = jnp.mean(process.offsets, axis=0, keepdims=True)
    return SetProcess(**{**vars(process), "coefficients": coefficients, "offsets": offsets})


def _kernel(layout: SegmentLayout, a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the prior covariance of masks `[M, S]` and `[N, S]` float32 under one fill, `[M, N]`."""
    used = (layout.areas > 0).astype(jnp.float32)[None]
    linear = _product((a - 0.5) * used, _product(layout.alike, ((b - 0.5) * used).T))
    return linear + AMPLITUDE * jnp.exp(_distance(layout, a, b) / -LENGTH)


def _distance(layout: SegmentLayout, a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns the weights of the segments by which masks `[M, S]` and `[N, S]` float32 differ, `[M, N]`."""
    weights = layout.weights
    apart = _product(a * weights[None], (1 - 2 * b).T)
    return apart + _product(b, weights)[None]


@chex.dataclass(frozen=True)
class Predicted:
    """What the classifier is expected to say of M masks under F fills."""

    log_odds: jax.Array  # [M, F] float32, of the class explained

    @property
    def probability(self) -> jax.Array:
        """`[M, F]`, see `xaijax.fitness.Response`."""
        return jax.nn.sigmoid(self.log_odds)


def predict(process: SetProcess, masks: jax.Array) -> Predicted:
    """Predicts masks `[M, S]` float32 in {0, 1}."""
    return _predicted(process, _product(_kernel(process.layout, masks, process.bits), process.coefficients))


def _predicted(process: SetProcess, sums: jax.Array) -> Predicted:
    """Turns sums over the evaluated masks `[M, F K]` into predictions."""
    outputs = sums.reshape(len(sums), *process.offsets.shape) + process.offsets[None]
    own = jnp.sum(jnp.where(process.own[None, None], outputs, 0), axis=2)
    rivals = jax.nn.logsumexp(jnp.where(process.rivals[None, None], outputs, -jnp.inf), axis=2)
    return Predicted(log_odds=own - rivals)


def _worth(kept: Predicted, removed: Predicted, removal: float) -> jax.Array:
    """Returns the worth `[M]` of sets, given the predictions of keeping and of removing them."""
    probability = kept.probability - removal * removed.probability
    kept_odds, removed_odds = (jnp.clip(side.log_odds, -CLIP, CLIP) for side in (kept, removed))
    return jnp.mean(probability + LOG_ODDS * (kept_odds - removal * removed_odds), axis=1)


def greedy_order(
    process: SetProcess, length: jax.Array, *, per_area: bool, backward: bool = False, removal: float = REMOVAL
) -> jax.Array:
    """Orders the segments by how much each adds to the worth of those before it.

    Args:
        process: of the image.
        length: `[]` int32, number of segments.
        per_area: whether gains are divided by the area of the segment.
        backward: whether the order is found from its end: what costs least to take away from the whole is last.
        removal: weight of what the removal of a set takes; 0 asks only what the set keeps.

    Returns:
        `[S]` int32, the segments in their order; those past the last one follow.
    """
    layout, x = process.layout, process.bits
    count = len(layout.areas)
    places = jnp.arange(count, dtype=jnp.int32)
    inside = process.used
    # A segment more moves the distance to an evaluated mask by its weight, away from those without it.
    moves = layout.weights[:, None] * (1 - 2 * x.T)  # [S, N]
    moves = -moves if backward else moves
    nearer = jnp.exp(moves / -LENGTH)
    further = 1 / nearer
    linear = _product(layout.alike, ((x - 0.5) * inside[None]).T)  # [S, N]
    steps = _product(linear, process.coefficients) * (-1 if backward else 1)  # [S, F K]

    def values(kept: jax.Array) -> jax.Array:
        """Returns the worth `[S]` of a set with each of the segments more, or less."""
        base = kept.astype(jnp.float32)[None]
        distance = _distance(layout, base, x)[0]
        slope = _product((base - 0.5) * inside[None], linear)  # [1, N]
        shared = _product(slope, process.coefficients)  # [1, F K]
        near = AMPLITUDE * jnp.exp(distance / -LENGTH)
        far = AMPLITUDE * jnp.exp((1 - distance) / -LENGTH)
        of_kept = _product(nearer, near[:, None] * process.coefficients) + shared + steps
        of_rest = _product(further, far[:, None] * process.coefficients) - shared - steps
        return _worth(_predicted(process, of_kept), _predicted(process, of_rest), removal)

    def body(turn: jax.Array, carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        order, kept, worth = carry
        value = values(kept)
        gain = (value - worth) / jnp.maximum(layout.areas, 1e-9) if per_area else value
        is_left = (inside > 0) & (kept if backward else ~kept)
        best = jnp.argmax(jnp.where(is_left, gain, -jnp.inf)).astype(jnp.int32)
        place = length - 1 - turn if backward else turn
        return order.at[place].set(best), kept.at[best].set(not backward), value[best]

    start = inside > 0 if backward else jnp.zeros((count,), jnp.bool_)
    masks = start.astype(jnp.float32)[None]
    worth = _worth(predict(process, masks), predict(process, inside[None] - masks), removal)[0]
    return jax.lax.fori_loop(0, length, body, (places, start, worth))[0]


def prefixes(order: jax.Array, length: jax.Array) -> jax.Array:
    """Returns the masks of the first 0, 1, ... S segments of an order, `[S + 1, S]` float32; past the last one all."""
    count = len(order)
    position = jnp.zeros((count,), jnp.int32).at[order].set(jnp.arange(count, dtype=jnp.int32))
    kept = position[None] < jnp.minimum(jnp.arange(count + 1), length)[:, None]
    return kept.astype(jnp.float32)


def curve_gain(process: SetProcess, order: jax.Array, length: jax.Array) -> jax.Array:
    """Returns the predicted area under the insertion curve of an order, less `DELETION` times that of its deletion."""
    value = _difference(process, prefixes(order, length))
    areas = jnp.where(jnp.arange(len(order)) < length, process.layout.areas[order], 0)
    return jnp.sum(areas * (value[:-1] + value[1:])) / 2


def _difference(process: SetProcess, masks: jax.Array) -> jax.Array:
    """Returns for masks `[M, S]` the difference that `curve_gain` adds up, a mean over the fills."""
    kept, removed = predict(process, masks), predict(process, process.used[None] - masks)
    return jnp.mean(kept.probability - DELETION * removed.probability, axis=1)


def swap_neighbours(process: SetProcess, order: jax.Array, length: jax.Array, *, rounds: int) -> jax.Array:
    """Exchanges neighbours in an order while the predicted areas under both curves improve.

    Args:
        process: of the image.
        order: `[S]` int32.
        length: `[]` int32, number of segments.
        rounds: at most; in each, exchanges that do not touch each other are made at once.
    """
    layout, count = process.layout, len(order)
    places = jnp.arange(count, dtype=jnp.int32)

    def is_going_on(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        turn, _, has_improved = carry
        return (turn < rounds) & has_improved

    def body(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        turn, order, _ = carry
        masks = prefixes(order, length)
        following = jnp.roll(order, -1)
        # At each place the first segments up to it, then the one that follows instead of its own.
        other = masks[:-1].at[places, following].set(1.0)
        both = _difference(process, jnp.concatenate([masks, other]))
        now, then = both[: count + 1], both[count + 1 :]
        after = jnp.roll(now, -2)[:-1]
        own, next_own = layout.areas[order], layout.areas[following]
        before_swap = own * (now[:-1] + now[1:]) + next_own * (now[1:] + after)
        after_swap = next_own * (now[:-1] + then) + own * (then + after)
        gain = jnp.where(places + 1 < length, (after_swap - before_swap) / 2, -jnp.inf)
        # Of exchanges that touch each other the best one is made, of equal ones the first.
        left, right = (jnp.stack([jnp.roll(gain, shift) for shift in shifts]) for shifts in ((1, 2), (-1, -2)))
        chosen = (gain > 1e-6) & (gain > jnp.max(left, axis=0)) & (gain >= jnp.max(right, axis=0))
        swapped = jnp.where(chosen, following, jnp.where(jnp.roll(chosen, 1), jnp.roll(order, 1), order))
        return turn + 1, swapped, jnp.any(chosen)

    start: Any = (jnp.int32(0), order, jnp.bool_(True))
    return jax.lax.while_loop(is_going_on, body, start)[1]
