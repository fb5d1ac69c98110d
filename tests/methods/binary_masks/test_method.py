"""Evolving Binary Masks: what its results hold to, its invariants, its bounds, and what bad options get."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xaijax
from tests.conftest import CLASSES
from tests.test_explain import assert_same_rows
from xaijax import BinaryMasks, Classifier, Stage, Status, explain
from xaijax.batch import Batch
from xaijax.execution.compiled import compiled_explain
from xaijax.execution.placement import Placement
from xaijax.fitness import Targets
from xaijax.genetic.square_genome import unpack_squares
from xaijax.methods.binary_masks.constraints import normalised_confidence
from xaijax.methods.binary_masks.stages import FINE, GROSS
from xaijax.scenes.generator import generate

KEY = jax.random.key(5)
SMALL = {"evaluations": 120, "population": 10}
# Of 16x16 pixels: radii 2, 3 and 4, then 0 and 1.
METHOD = BinaryMasks(**SMALL, stages=(Stage(2, (30, 45, 60)), Stage(8, (3, 14), share=2.0)), fill="image-mean")


def statuses(result):
    return [Status(int(code)) for code in result.status]


def responses(classifier, images, masks):
    """Returns the probabilities `[B, K]` of images `[B, H, W, C]` uint8 under masks, the image mean elsewhere."""
    pixels = images / np.float32(255)
    masked = np.where(masks[..., None], pixels, pixels.mean(axis=(1, 2), keepdims=True)).astype(np.float32)
    return np.asarray(jax.nn.softmax(classifier(masked), axis=1))


@pytest.fixture(scope="module")
def found(toy_classifier, toy_images):
    return jax.device_get(explain(KEY, toy_classifier, toy_images, method=METHOD))


def test_the_result_holds_to_its_status(toy_classifier, toy_images, found):
    kept = responses(toy_classifier, toy_images, found.mask)
    left = responses(toy_classifier, toy_images, ~found.mask)
    for row, status in enumerate(statuses(found)):
        target = found.target[row]
        np.testing.assert_allclose(found.probability[row], kept[row, target], rtol=1e-4)
        keeps = kept[row].argmax() == target and kept[row, target] >= 0.5 * found.original_probability[row] - 1e-6
        assert keeps == (Status.NOT_KEPT not in status)
        if keeps:
            assert (left[row].argmax() == target) == (Status.STILL_SEEN in status)
        assert Status.BY_PROBABILITY in status
    assert sum(Status.NOT_KEPT in status for status in statuses(found)) <= 1
    np.testing.assert_allclose(found.area, found.mask.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.cp_score, found.probability / found.area, rtol=1e-6)
    assert np.all(found.evaluations <= 120)
    assert np.all(found.evaluations > 110)
    assert np.all(np.isfinite(found.score))


@pytest.mark.slow
def test_an_inverse_costs_an_evaluation_where_the_class_is_kept_and_only_there(toy_classifier, toy_images):
    method = BinaryMasks(**SMALL, stages=METHOD.stages, fill="image-mean", negative_reinforcement=False)
    batch = Batch(
        images=jnp.asarray(toy_images), targets=Targets.of(jnp.full(8, -1, jnp.int32)), active=jnp.ones(8, bool)
    )
    keys = jax.random.split(KEY, 8)

    @jax.jit
    def states(classifier, batch):
        def search(method):
            begun = method.begin(keys, classifier, batch)
            return method.advance(begun, classifier, batch, micro_batch=16).states

        return search(METHOD), search(method)

    with_inverses, without = jax.device_get(states(toy_classifier, batch))
    np.testing.assert_array_equal(without.spent, without.archive.count)
    archive = with_inverses.archive
    known = np.arange(120) < archive.count[:, None]
    wanted = known & archive.values.mask.is_kept & (archive.values.mask.response.area < 1)
    np.testing.assert_array_equal(archive.values.is_inverted & known, wanted)
    np.testing.assert_array_equal(with_inverses.spent, archive.count + wanted.sum(axis=1))
    assert 0 < wanted.sum() < known.sum()
    genomes = [tuple(genome) for genome in archive.genomes[0][: archive.count[0]]]
    assert len(set(genomes)) == len(genomes)


def test_a_fine_mask_lies_within_the_gross_one(found):
    squares = np.stack([np.asarray(part) for part in unpack_squares(jnp.asarray(found.genome[:, 1:]))])
    for row in range(8):
        if found.genome[row, 0] != 1:
            continue
        union = np.zeros((16, 16), bool)
        for y, x, radius in squares[:, row, :8].T:
            union[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1] = True
        assert {*squares[2, row, :8]} <= {0, 1}
        assert np.all(union | ~found.mask[row])
    assert np.sum(found.genome[:, 0] == 1) >= 4


def test_an_image_gets_the_same_alone_in_a_batch_and_in_that_batch_reversed(toy_classifier, toy_images, found):
    reverse = explain(KEY, toy_classifier, toy_images[::-1], method=METHOD)
    assert_same_rows(reverse, np.arange(8), found, np.arange(8)[::-1])
    alone = explain(KEY, toy_classifier, toy_images[3:4], method=METHOD)
    assert_same_rows(alone, [0], found, [3])


@pytest.mark.slow
def test_a_black_box_with_the_same_answers_gets_the_same_genomes(toy_classifier, toy_images, found):
    box = Classifier.from_black_box(lambda images: toy_classifier(images), num_classes=CLASSES, input_size=(16, 16))
    result = explain(KEY, box, toy_images, method=METHOD)
    np.testing.assert_array_equal(result.genome, found.genome)
    np.testing.assert_array_equal(result.evaluations, found.evaluations)
    np.testing.assert_allclose(result.score, found.score, atol=1e-5)


@pytest.mark.slow
def test_with_taps_scenes_keep_their_class_and_their_inverses_lose_it():
    classifier = xaijax.models.load("scenes-resnet")
    images = jax.device_get(generate(jax.random.split(jax.random.key(3), 6))).image
    result = jax.device_get(explain(KEY, classifier, images, method=BinaryMasks(evaluations=400)))
    for status in statuses(result):
        assert Status.BY_PROBABILITY not in status
        assert Status.NOT_KEPT not in status
    assert sum(Status.STILL_SEEN in status for status in statuses(result)) <= 1
    assert np.mean(result.area) < 0.35
    assert np.all(np.asarray(result.evaluations) <= 400)


def only_the_whole(params, images):
    """Names class 0 for all-white images alone."""
    is_white = jnp.min(images, axis=(1, 2, 3)) > 0.99
    return jnp.stack([jnp.where(is_white, 5.0, -5.0), jnp.zeros(len(images))], axis=1)


@pytest.mark.slow
def test_where_no_mask_keeps_the_class_the_search_ends_within_its_bound():
    classifier = Classifier.from_function(only_the_whole, None, num_classes=2, input_size=(16, 16))
    white = np.full((2, 16, 16, 3), 255, np.uint8)
    stages = (Stage(2, (30, 45), generations=2), Stage(4, (3, 14), generations=3))
    method = BinaryMasks(stages=stages, population=4, evaluations=200, fill="black", restarts=2)
    result = explain(KEY, classifier, white, method=method)
    assert np.all(np.asarray(result.generations) == 3 * (2 + 3))
    assert all(Status.NOT_KEPT in status for status in statuses(result))
    spent = explain(KEY, classifier, white, method=BinaryMasks(**SMALL, stages=METHOD.stages, fill="black"))
    assert all(Status.NOT_KEPT in status for status in statuses(spent))
    assert np.all(np.asarray(spent.evaluations) <= 120)
    assert np.all((np.asarray(spent.area) > 0) & (np.asarray(spent.area) < 1))


def mostly_white(params, images):
    """Names class 0 where six tenths of the image are white."""
    white = jnp.mean(images, axis=(1, 2, 3))
    return jnp.stack([100 * (white - 0.6), jnp.zeros(len(images))], axis=1)


@pytest.mark.slow
def test_squares_grow_where_small_ones_cannot_keep_the_class():
    classifier = Classifier.from_function(mostly_white, None, num_classes=2, input_size=(16, 16))
    white = np.full((2, 16, 16, 3), 255, np.uint8)
    options = {"stages": (Stage(4, (40,), generations=4),), "population": 8, "evaluations": 400, "fill": "black"}
    grown, stayed = (
        explain(KEY, classifier, white, method=BinaryMasks(**options, widening=widening)) for widening in (0.5, 0.0)
    )
    # Four squares of 5 by 5 pixels cover at most 100 of 256, four of 9 by 9 all of them.
    assert np.all(np.asarray(grown.area) >= 0.6)
    assert not any(Status.NOT_KEPT in status for status in statuses(grown))
    assert np.all(np.asarray(stayed.area) <= 100 / 256)
    assert all(Status.NOT_KEPT in status for status in statuses(stayed))


def brightness(params, images):
    bright = jnp.mean(images, axis=(1, 2, 3))
    return jnp.stack([bright, -bright], axis=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "stages", "fails"),
    [
        ((1, 1), (GROSS, FINE), True),
        ((2, 3), (GROSS, FINE), False),
        ((6, 9), (Stage(3, (2000,)),), True),
        ((6, 9), (Stage(3, (2000,)), FINE), False),
        ((24, 10), (Stage(2, (60, 20)), Stage(3, (10,)), Stage(2, (2, 0))), False),
    ],
)
def test_odd_sizes_end_with_a_status(shape, stages, fails):
    classifier = Classifier.from_function(brightness, None, num_classes=2, input_size=shape)
    images = np.random.default_rng(0).integers(50, 255, (2, *shape, 3)).astype(np.uint8)
    method = BinaryMasks(evaluations=60, stages=stages, fill="black")
    result = explain(KEY, classifier, images, method=method)
    for row, status in enumerate(statuses(result)):
        assert status.is_failure == fails, status.message
        assert (Status.NO_MASK in status) == fails
        assert bool(np.isnan(result.area[row])) == fails
        assert np.asarray(result.mask[row]).any() != fails


def test_the_search_lowers_for_every_platform():
    classifier = xaijax.models.load("scenes-resnet")
    classes = jax.ShapeDtypeStruct((2,), jnp.int32)
    batch = Batch(
        images=jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.uint8),
        targets=Targets(explained=classes, against=classes),
        active=jax.ShapeDtypeStruct((2,), jnp.bool_),
    )
    program = jax.jit(lambda *args: compiled_explain(*args, BinaryMasks(), Placement(16)))
    arguments = (KEY, jax.ShapeDtypeStruct((2, 2), jnp.uint32), classifier, batch)
    exported = jax.export.export(program, platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_normalised_confidence_is_a_softmax_over_scaled_logits():
    logits = np.array([[1.0, 3.0, 2.0], [-5.0, 0.0, 5.0], [2.0, 2.0, 2.0]], np.float32)
    expected = [1 / (1 + np.exp(-10) + np.exp(-20)), np.exp(-20) / (1 + np.exp(-10) + np.exp(-20)), 1 / 3]
    told = normalised_confidence(jnp.asarray(logits), jnp.array([1, 0, 2]))
    np.testing.assert_allclose(told, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stages": ()}, "stages is .* one or more"),
        ({"keep": 1.5}, "keep is 1.5 but must be 0 to 1"),
        ({"edge": "wrapped"}, "'clamped' or 'reflected'"),
        ({"mutation": "bit-flip"}, "'redraw' or a function"),
        ({"fitness": "distance"}, "'feasible' or a function"),
        ({"score": "map"}, "'evidence' or 'matrix'"),
        ({"redrawn": 0}, "at least 1"),
        ({"restarts": -1}, "at least 0"),
        ({"widening": -0.5}, "at least 0"),
        ({"fill": "segment-mean"}, "needs segments"),
    ],
)
def test_bad_options_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        BinaryMasks(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"squares": 0, "radii": (1,)}, "squares is 0"),
        ({"squares": 1, "radii": ()}, "radii is"),
        ({"squares": 1, "radii": (-1,)}, "radii is"),
        ({"squares": 1, "radii": (1,), "share": 0.0}, "share is"),
        ({"squares": 1, "radii": (1,), "generations": 0}, "generations is"),
    ],
)
def test_bad_stages_get_a_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        Stage(**options)


def test_strange_taps_and_images_too_large_get_a_sentence(toy_classifier, toy_images):
    with pytest.raises(ValueError, match="taps names block7, but the classifier's taps are none"):
        explain(KEY, toy_classifier, toy_images, method=BinaryMasks(taps=("block7",)))
    with pytest.raises(ValueError, match="make the images smaller"):
        explain(KEY, toy_classifier, np.zeros((1, 2052, 4, 3), np.uint8), method=METHOD)
    with pytest.raises(ValueError, match="does not search over segments"):
        explain(KEY, toy_classifier, toy_images, method=METHOD, start=np.zeros((8, 16, 16)))


@pytest.mark.slow
def test_under_several_fills_a_mask_does_what_is_asked_under_each(toy_classifier, toy_images):
    colours = {"black": 0.0, "image-mean": None, "#ffffff": 1.0}
    method = dataclasses.replace(METHOD, fill="+".join(colours), evaluations=300)
    found = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))

    def under(colour, row, mask):
        pixels = toy_images[row] / np.float32(255)
        fill = pixels.mean(axis=(0, 1), keepdims=True) if colour is None else np.float32(colour)
        masked = np.where(mask[..., None], pixels, fill).astype(np.float32)
        return np.asarray(jax.nn.softmax(toy_classifier(masked[None]), axis=1))[0]

    achieved = []
    for row, status in enumerate(statuses(found)):
        target = found.target[row]
        kept, left = (
            np.array([under(colour, row, mask) for colour in colours.values()])
            for mask in (found.mask[row], ~found.mask[row])
        )
        keeps = np.all(
            (kept.argmax(axis=1) == target) & (kept[:, target] >= 0.5 * found.original_probability[row] - 1e-6)
        )
        assert keeps == (Status.NOT_KEPT not in status)
        if keeps:
            achieved.append(row)
            np.testing.assert_allclose(found.probability_by_fill[row], kept[:, target], atol=1e-5)
            np.testing.assert_allclose(found.probability[row], kept[:, target].min(), atol=1e-5)
            assert np.any(left.argmax(axis=1) == target) == (Status.STILL_SEEN in status)
    assert len(achieved) >= 2
    assert np.all(found.evaluations <= 300)
    alone = jax.device_get(explain(KEY, toy_classifier, toy_images[:1], method=method))
    np.testing.assert_array_equal(alone.mask[0], found.mask[0])
