"""The Gaussian process over masks against its definition in NumPy, and the orders that follow from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.methods.two_sided import set_process

pytestmark = pytest.mark.quick_compile

USED, ROOM, FILLS, OUTPUTS, EVALUATED, KNOWN = 9, 12, 3, 4, 30, 24


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    segments = np.arange(USED).reshape(3, 3).repeat(8, axis=0).repeat(8, axis=1).astype(np.int32)
    segments[:4] = segments[8:12]  # not all of one size
    bits = np.zeros((EVALUATED, ROOM), bool)
    bits[:, :USED] = random.random((EVALUATED, USED)) < 0.5
    fills = random.integers(0, FILLS, EVALUATED).astype(np.int32)
    outputs = random.normal(size=(EVALUATED, OUTPUTS)).astype(np.float32) * 3
    return segments, bits, fills, outputs, np.arange(EVALUATED) < KNOWN


@pytest.fixture(scope="module")
def process(data):
    segments, bits, fills, outputs, known = data
    layout = set_process.segment_layout(segments, max_segments=ROOM)
    own, rivals = np.arange(OUTPUTS) == 1, np.arange(OUTPUTS) != 1
    spoilt = np.where(known[:, None], outputs, np.nan)  # what is not known is not read
    return set_process.fit(layout, bits, fills, spoilt, known, own=own, rivals=rivals, count=FILLS)


def defined_log_odds(data, masks):
    """The posterior mean, from the definition of the kernel in float64, as `[M, F]` log-odds of output 1."""
    segments, bits, fills, outputs, known = data
    sizes = np.bincount(segments.ravel(), minlength=ROOM)[:ROOM].astype(float)
    rows, columns = np.indices(segments.shape)
    centres = np.stack([np.bincount(segments.ravel(), each.ravel(), ROOM) for each in (rows, columns)], 1)
    centres = centres / np.maximum(sizes, 1)[:, None] / max(segments.shape)
    used = sizes > 0
    squared = ((centres[:, None] - centres[None]) ** 2).sum(2)
    alike = 0.5 * np.eye(ROOM) + 0.5 * np.exp(-squared / (2 * set_process.REACH**2))
    alike = alike * used[:, None] * used[None]
    weights = np.sqrt(sizes) / np.sqrt(sizes).sum()

    def base(a, b):
        linear = (a - 0.5) @ alike @ (b - 0.5).T * 4 / used.sum()
        apart = np.array([[weights[x != y].sum() for y in b] for x in a])
        return linear + set_process.AMPLITUDE * np.exp(-apart / set_process.LENGTH)

    x, f, y = bits[known].astype(float), fills[known], outputs[known].astype(float)
    y = y - y.mean(1, keepdims=True)
    mean = y.mean(0)

    def kernel(a, b, of_a, of_b):
        same = of_a[:, None] == of_b[None]
        return base(a, b) * np.where(same, 1, set_process.ACROSS) + set_process.INTERCEPT * same

    solved = np.linalg.solve(kernel(x, x, f, f) + set_process.NOISE * np.eye(len(x)), y - mean)
    found = []
    for fill in range(FILLS):
        predicted = kernel(masks, x, np.full(len(masks), fill), f) @ solved + mean
        others = np.delete(predicted, 1, axis=1)
        found.append(predicted[:, 1] - np.log(np.exp(others).sum(1)))
    return np.stack(found, axis=1)


def test_predictions_are_the_posterior_mean(data, process):
    masks = np.zeros((20, ROOM), np.float32)
    masks[:, :USED] = np.random.default_rng(1).random((20, USED)) < 0.5
    found = set_process.predict(process, masks)
    np.testing.assert_allclose(found.log_odds, defined_log_odds(data, masks.astype(float)), atol=2e-3)


def test_a_process_over_fills_predicts_the_mean_of_the_outputs(process):
    mean = set_process.over_fills(process)
    count = process.offsets.shape[0]
    coefficients = np.asarray(process.coefficients).reshape(EVALUATED, count, OUTPUTS).mean(1)
    np.testing.assert_allclose(mean.coefficients, coefficients, rtol=1e-6)
    np.testing.assert_allclose(mean.offsets, np.asarray(process.offsets).mean(0, keepdims=True), rtol=1e-6)


def worth(process, masks, removal):
    """The worth of sets `[M]`, from predictions."""
    masks = np.asarray(masks, np.float32)
    kept, removed = (set_process.predict(process, each) for each in (masks, np.asarray(process.used)[None] - masks))
    odds = [np.clip(np.asarray(side.log_odds), -set_process.CLIP, set_process.CLIP) for side in (kept, removed)]
    probability = np.asarray(kept.probability) - removal * np.asarray(removed.probability)
    return (probability + set_process.LOG_ODDS * (odds[0] - removal * odds[1])).mean(1)


@pytest.mark.parametrize("removal", [0.0, 0.5])
@pytest.mark.parametrize(("per_area", "backward"), [(False, False), (True, False), (False, True)])
def test_an_order_takes_the_segment_of_highest_worth_again_and_again(process, per_area, removal, backward):
    order = set_process.greedy_order(process, jnp.int32(USED), per_area=per_area, backward=backward, removal=removal)
    order = np.asarray(order)
    assert sorted(order) == list(range(ROOM))
    kept = np.zeros(ROOM)
    kept[:USED] = backward
    for segment in order[:USED][::-1] if backward else order[:USED]:
        choices = [s for s in range(USED) if kept[s] == backward]
        tried = np.repeat(kept[None], len(choices), 0)
        tried[np.arange(len(choices)), choices] = not backward
        gains = worth(process, tried, removal) - worth(process, kept[None], removal)
        gains = gains / np.asarray(process.layout.areas)[choices] if per_area else gains
        assert gains[choices.index(segment)] >= gains.max() - 1e-3 * max(1, abs(gains.max()))
        kept[segment] = not backward


def test_exchanges_never_lower_the_predicted_curves(process):
    random = np.random.default_rng(2)
    for _ in range(5):
        order = np.concatenate([random.permutation(USED), np.arange(USED, ROOM)]).astype(np.int32)
        swapped = set_process.swap_neighbours(process, order, jnp.int32(USED), rounds=20)
        assert sorted(np.asarray(swapped)[:USED]) == list(range(USED))
        before, after = (set_process.curve_gain(process, each, jnp.int32(USED)) for each in (order, swapped))
        assert after >= before
        again = set_process.swap_neighbours(process, swapped, jnp.int32(USED), rounds=20)
        np.testing.assert_array_equal(again, swapped)


def test_the_gain_of_an_order_is_the_area_between_its_curves(process):
    order = np.arange(ROOM, dtype=np.int32)
    masks = np.tril(np.ones((USED + 1, ROOM), np.float32), -1) * (np.arange(ROOM) < USED)
    kept, removed = (set_process.predict(process, each) for each in (masks, np.asarray(process.used)[None] - masks))
    value = np.mean(np.asarray(kept.probability) - set_process.DELETION * np.asarray(removed.probability), axis=1)
    areas = np.concatenate([[0], np.cumsum(np.asarray(process.layout.areas)[:USED])])
    found = set_process.curve_gain(process, order, jnp.int32(USED))
    np.testing.assert_allclose(found, np.trapezoid(value, areas), rtol=1e-4)


def test_the_prefixes_of_an_order():
    order = np.array([2, 0, 1, 3], np.int32)
    masks = set_process.prefixes(order, jnp.int32(3))
    np.testing.assert_array_equal(masks, [[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]])


def test_images_get_the_same_fit_alone_and_at_once(data, process):
    two = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), process)
    orders = jax.vmap(lambda each: set_process.greedy_order(each, jnp.int32(USED), per_area=True))(two)
    alone = set_process.greedy_order(process, jnp.int32(USED), per_area=True)
    np.testing.assert_array_equal(orders, jnp.stack([alone, alone]))
