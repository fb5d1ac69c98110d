"""The packed evaluation against one masked image after another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import Classifier
from xaijax.masks.segmentation import Grid
from xaijax.masks.superpixels import decode
from xaijax.micro_batches import Readout, Scenario, View, evaluate, micro_batch_size

BATCH, POPULATION = 3, 7
TARGETS = np.array([2, -1, 0], np.int32)
RANDOM = np.random.default_rng(0)
GENOMES = RANDOM.integers(0, 2**16, (BATCH, POPULATION, 1), np.uint32)  # 16 segments
NEW = RANDOM.random((BATCH, POPULATION)) < 0.6
NEW[0, 0] = False  # where a padded index would write if it were not dropped
ALL = np.ones((BATCH, POPULATION), bool)

evaluated = jax.jit(evaluate, static_argnums=1, static_argnames=("micro_batch", "readout"))


@pytest.fixture(scope="module")
def scenario(toy_images):
    images = toy_images[:BATCH]
    segments = np.asarray(Grid(rows=4, columns=4)(images[0]))
    fills = images[:, ::-1].astype(np.float32) / 255
    return Scenario(images=images, fills=fills, contexts=np.stack([segments] * BATCH))


def test_each_answer_is_that_of_its_masked_image_alone(toy_classifier, scenario):
    response = evaluated(toy_classifier, decode, scenario, GENOMES, ALL, TARGETS, micro_batch=4)
    bits = (GENOMES >> np.arange(16, dtype=np.uint32)) & 1
    for image, genome in np.ndindex(BATCH, POPULATION):
        mask = bits[image, genome][scenario.contexts[image]][..., None]
        masked = np.where(mask, scenario.images[image].astype(np.float32) / 255, scenario.fills[image])
        logits = np.asarray(toy_classifier(masked[None])[0], np.float64)
        target = TARGETS[image] if TARGETS[image] >= 0 else logits.argmax()
        probability = np.exp(logits[target]) / np.exp(logits).sum()
        assert response.predicted[image, genome] == logits.argmax()
        np.testing.assert_allclose(response.probability[image, genome], probability, rtol=1e-4)
        np.testing.assert_allclose(response.area[image, genome], mask.mean(), rtol=1e-6)


def exact_logits(params, images):
    """Sums without rounding, in any order, so that the product's kernel, which XLA picks by its size, cannot matter."""
    return images.reshape(len(images), -1) @ params


def test_any_micro_batch_gives_the_same_bits(scenario):
    images, fills = (np.round(array.astype(np.float32) / 4) / 64 for array in (scenario.images, scenario.fills))
    exact = scenario.replace(images=images, fills=fills)
    params = RANDOM.integers(-3, 4, (16 * 16 * 3, 5)).astype(np.float32)
    facts = {"num_classes": 5, "input_size": (16, 16), "activation": "sigmoid"}
    classifier = Classifier.from_function(exact_logits, params, **facts)
    first, *others = (
        evaluated(classifier, decode, exact, GENOMES, NEW, TARGETS, micro_batch=size) for size in (1, 4, 5, 32)
    )
    for other in others:
        jax.tree.map(np.testing.assert_array_equal, first, other)


def test_a_pair_gets_the_same_bits_at_any_index_and_among_any_others(toy_classifier, scenario):
    run = functools.partial(evaluated, toy_classifier, decode, micro_batch=4)
    everything = run(scenario, GENOMES, ALL, TARGETS)
    turned = jax.tree.map(lambda leaf: leaf[::-1], scenario)
    some = run(turned, GENOMES[::-1, ::-1], NEW, TARGETS[::-1])
    for one, other in zip(jax.tree.leaves(everything), jax.tree.leaves(some), strict=True):
        np.testing.assert_array_equal(np.where(NEW, one[::-1, ::-1], 0), other)


def test_rows_that_share_an_image_get_the_bits_of_rows_with_copies_of_it(toy_classifier, scenario):
    source = np.array([2, 0, 0], np.int32)
    shared = scenario.replace(source=source, contexts=scenario.contexts[source])
    copied = jax.tree.map(lambda leaf: leaf[source], scenario)
    run = functools.partial(evaluated, toy_classifier, decode, micro_batch=4)
    one, other = (run(each, GENOMES, NEW, TARGETS) for each in (shared, copied))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_only_new_pairs_are_read_and_the_others_answer_zero(toy_classifier, scenario):
    run = functools.partial(evaluated, toy_classifier, decode, scenario, micro_batch=4)
    response = run(GENOMES, NEW, TARGETS)
    everything = run(GENOMES, ALL, TARGETS)
    for some, full in zip(jax.tree.leaves(response), jax.tree.leaves(everything), strict=True):
        np.testing.assert_array_equal(some, np.where(NEW, full, 0))
    garbage = run(np.where(NEW[..., None], GENOMES, 0xFFFF), NEW, TARGETS)
    jax.tree.map(np.testing.assert_array_equal, response, garbage)


def test_a_fill_of_one_colour_and_float_images(toy_classifier, scenario):
    colour = np.full((BATCH, 1, 1, 3), 0.25, np.float32)
    spread = scenario.replace(fills=np.broadcast_to(colour, scenario.images.shape))
    floats = scenario.replace(fills=colour, images=scenario.images.astype(np.float32) / 255)
    first, second = (
        evaluated(toy_classifier, decode, each, GENOMES, ALL, TARGETS, micro_batch=4) for each in (spread, floats)
    )
    np.testing.assert_allclose(first.probability, second.probability, rtol=1e-5)


def has_probability(response, view):
    return response.probability > 0.2


WITH_INVERSE = Readout(views=(View(), View(is_inverse=True)), goes_on=has_probability)


def test_inverses_are_looked_at_where_they_are_asked_for_and_only_there(toy_classifier, scenario):
    run = functools.partial(evaluated, toy_classifier, decode, scenario, micro_batch=4)
    plain, inverted = run(GENOMES, NEW, TARGETS), run(~GENOMES, NEW, TARGETS)
    both = run(GENOMES, NEW, TARGETS, readout=WITH_INVERSE)
    mask, inverse = both.values
    jax.tree.map(np.testing.assert_array_equal, mask, plain)
    wanted = np.asarray(has_probability(plain, None)) & NEW
    assert 0 < wanted.sum() < NEW.sum()
    np.testing.assert_array_equal(both.is_seen, [NEW, wanted])
    jax.tree.map(lambda one, other: np.testing.assert_array_equal(one, np.where(wanted, other, 0)), inverse, inverted)


def test_views_follow_each_other_under_their_fills_while_they_are_asked_for(toy_classifier, scenario):
    fills = (scenario.fills, 0 * scenario.fills, 0 * scenario.fills + 1)
    views = (View(fill=2), View(fill=0), View(is_inverse=True, fill=1))
    several = scenario.replace(fills=fills)
    readout = Readout(views=views, goes_on=has_probability)
    found = evaluated(toy_classifier, decode, several, GENOMES, NEW, TARGETS, micro_batch=4, readout=readout)
    wanted = NEW
    for number, view in enumerate(views):
        genomes = ~GENOMES if view.is_inverse else GENOMES
        alone = scenario.replace(fills=fills[view.fill])
        plain = evaluated(toy_classifier, decode, alone, genomes, NEW, TARGETS, micro_batch=4)
        np.testing.assert_array_equal(found.is_seen[number], wanted)
        np.testing.assert_allclose(
            found.values[number].probability[wanted], plain.probability[wanted], rtol=1e-5, err_msg=str(view)
        )
        wanted = wanted & np.asarray(has_probability(plain, None))
    assert 0 < np.sum(found.is_seen[2]) < np.sum(NEW)


def test_inverses_fill_the_micro_batches_that_masks_leave(scenario):
    """Counts forward passes, as below: masks and inverses share them."""
    passes = []

    def forward(params, images):
        jax.debug.callback(lambda: passes.append(len(images)))
        return jnp.ones((len(images), 2)) * jnp.array([[1.0, 0.0]])

    classifier = Classifier.from_function(forward, None, num_classes=2, input_size=(16, 16))
    for count, expected in ((1, 2), (3, 2), (4, 2), (6, 3)):
        new = (np.arange(BATCH * POPULATION) < count).reshape(BATCH, POPULATION)
        first_class = np.zeros(BATCH, np.int32)
        evaluated(classifier, decode, scenario, GENOMES, new, first_class, micro_batch=4, readout=WITH_INVERSE)
        jax.effects_barrier()
        assert passes == [4] * expected, f"{count} masks and as many inverses"
        passes.clear()


def test_cost_follows_the_new_pairs(scenario):
    """Counts forward passes through a callback, which only a test may have in a compiled program."""
    passes = []

    def forward(params, images):
        jax.debug.callback(lambda: passes.append(len(images)))
        return jnp.zeros((len(images), 2))

    classifier = Classifier.from_function(forward, None, num_classes=2, input_size=(16, 16))
    for count, expected in ((0, 0), (1, 1), (4, 1), (5, 2), (BATCH * POPULATION, 6)):
        new = RANDOM.permutation(BATCH * POPULATION).reshape(BATCH, POPULATION) < count
        evaluated(classifier, decode, scenario, GENOMES, new, TARGETS, micro_batch=4)
        jax.effects_barrier()
        assert passes == [4] * expected, f"{count} new pairs"
        passes.clear()


@pytest.mark.parametrize(
    ("shape", "platform", "size"),
    [
        ((224, 224, 3), "cpu", 8),
        ((224, 224, 3), "gpu", 256),
        ((224, 224, 3), "tpu", 256),
        ((64, 64, 3), "cpu", 32),
        ((32, 32, 1), "tpu", 1024),
        ((600, 600, 3), "cpu", 4),
        ((4000, 4000, 3), "gpu", 4),
        ((300, 200, 3), "cpu", 4),
    ],
)
def test_the_micro_batch_follows_from_shape_and_platform_alone(shape, platform, size):
    assert micro_batch_size(shape, platform) == size


def test_few_pairs_get_a_smaller_micro_batch_on_an_accelerator_of_which_at_most_half_is_empty():
    photograph = (224, 224, 3)
    assert [micro_batch_size(photograph, "cpu", pairs) for pairs in (1, 24, 10_000)] == [8, 8, 8]
    assert {micro_batch_size(photograph, "gpu", pairs) for pairs in range(1, 2000)} == {16, 64, 256}
    for pairs in range(8, 2000):
        size = micro_batch_size(photograph, "tpu", pairs)
        assert -(-pairs // size) * size <= 2 * pairs
    assert [micro_batch_size(photograph, "gpu", pairs) for pairs in (24, 48, 61 * 24)] == [16, 64, 256]
    assert micro_batch_size((4000, 4000, 3), "gpu", 1) == 4


@pytest.mark.parametrize("wrong", ["genomes", "new", "targets", "images", "contexts"])
def test_arrays_that_do_not_belong_together_are_refused(toy_classifier, scenario, wrong):
    arrays = {"genomes": GENOMES, "new": ALL, "targets": TARGETS, "images": scenario.images}
    arrays["contexts"] = scenario.contexts
    arrays[wrong] = arrays[wrong][:2]
    given = scenario.replace(images=arrays["images"], contexts=arrays["contexts"])
    with pytest.raises(AssertionError, match=r"assert_(tree_shape_prefix|equal_shape_prefix)"):
        evaluated(toy_classifier, decode, given, arrays["genomes"], arrays["new"], arrays["targets"], micro_batch=4)
