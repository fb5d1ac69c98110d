"""The invariants of a batch: independence, one compilation, lowering, and what bad input gets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xaijax
from tests.conftest import CLASSES, mean_logits
from xaijax import ELIME, LIME, RISE, SLIC, BinaryMasks, Classifier, Grid, Status, explain, image_id
from xaijax.arguments import check_images
from xaijax.batch import Batch
from xaijax.execution.compiled import compiled_explain
from xaijax.execution.placement import Placement
from xaijax.execution.sharding import batch_size
from xaijax.fitness import Targets

METHOD = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="image-mean", max_segments=32)
KEY = jax.random.key(7)


def label_maps(images):
    """Grids of 2x2, 3x3, ... segments, so that the images of a batch differ in their number."""
    return np.stack([np.asarray(Grid(2 + i % 6, 2 + i % 5)(image)) for i, image in enumerate(images)])


def assert_same_rows(result, rows, expected, expected_rows):
    for field in ("genome", "mask", "target", "probability", "score", "evaluations", "history", "status"):
        actual, wanted = np.asarray(getattr(result, field)), np.asarray(getattr(expected, field))
        np.testing.assert_array_equal(actual[rows], wanted[expected_rows], err_msg=field)


OPTIONS = {
    "default": {},
    "one-point": {"objective": "probability", "crossover": "one-point", "area_weight": 0.3},
    "two-point": {"objective": "probability", "crossover": "two-point", "survival": "mu+lambda"},
    "universal": {"selection": "universal", "guided": 1.0, "game": "deletion", "patience": 3, "designed": 0.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_an_image_gets_the_same_alone_in_a_batch_and_in_that_batch_reversed(toy_classifier, toy_images, options):
    method = ELIME(evaluations=60, max_segments=64, fill="blur", **options)
    maps = label_maps(toy_images)
    batch = explain(KEY, toy_classifier, toy_images, segments=maps, method=method)
    reverse = explain(KEY, toy_classifier, toy_images[::-1], segments=maps[::-1], method=method)
    assert len(set(np.asarray(batch.segments).max(axis=(1, 2)))) > 3
    assert_same_rows(reverse, np.arange(8), batch, np.arange(8)[::-1])
    for index in (0, 3, 7):
        alone = explain(KEY, toy_classifier, toy_images[index : index + 1], segments=maps[index], method=method)
        assert_same_rows(alone, [0], batch, [index])


@pytest.mark.slow
def test_segments_from_the_device_are_the_same_alone_and_in_a_batch(toy_classifier, toy_images):
    method = ELIME(evaluations=40, segmentation=SLIC(segments=12), max_segments=32, fill="blur")
    batch = explain(KEY, toy_classifier, toy_images, method=method)
    alone = explain(KEY, toy_classifier, toy_images[5:6], method=method)
    np.testing.assert_array_equal(alone.segments[0], batch.segments[5])
    assert_same_rows(alone, [0], batch, [5])


def test_slots_without_an_image_cost_nothing_and_change_nothing(toy_classifier, toy_images):
    ids = np.arange(16, dtype=np.uint32).reshape(8, 2)
    targets = Targets.of(np.full(8, -1, np.int32))

    def explained(active):
        batch = Batch(images=toy_images, targets=targets, active=active)
        return compiled_explain(KEY, ids, toy_classifier, batch, METHOD, Placement(16))

    full, part = explained(np.ones(8, bool)), explained(np.arange(8) < 5)
    assert_same_rows(part, np.arange(5), full, np.arange(5))
    assert np.all(np.asarray(part.evaluations[5:]) == 0)


def test_a_second_batch_of_one_shape_traces_nothing(toy_classifier, toy_images):
    traces = []

    def counted(params, images):
        traces.append(images.shape)
        return mean_logits(params, images)

    classifier = Classifier.from_function(counted, toy_classifier.params, num_classes=CLASSES, input_size=(16, 16))
    explain(KEY, classifier, toy_images, method=METHOD)
    first = len(traces)
    other = jax.tree.map(lambda leaf: leaf * 2, classifier)
    explain(jax.random.key(8), other, toy_images[::-1], np.arange(8) % CLASSES, method=METHOD)
    assert first > 0
    assert len(traces) == first


def test_batches_of_several_sizes_share_a_program_and_change_nothing(toy_classifier, toy_images):
    traces = []

    def counted(params, images):
        traces.append(images.shape)
        return mean_logits(params, images)

    classifier = Classifier.from_function(counted, toy_classifier.params, num_classes=CLASSES, input_size=(16, 16))
    method = dataclasses.replace(METHOD, objective="probability", evaluations=30)
    six = explain(KEY, classifier, toy_images[:6], method=method)
    first = len(traces)
    five = explain(KEY, classifier, toy_images[:5], method=method)
    assert len(traces) == first
    assert all(len(leaf) == 5 for leaf in jax.tree.leaves(five))
    assert_same_rows(five, np.arange(5), six, np.arange(5))
    told = []
    steps = explain(KEY, classifier, toy_images[:5], "top2", method=method, report=told.append)
    assert all(len(leaf) == 10 for leaf in jax.tree.leaves(steps))
    assert {len(progress.best) for progress in told} == {10}
    assert told[0].running == 10


def test_a_batch_is_filled_up_to_few_sizes():
    sizes = [batch_size(images) for images in range(1, 101)]
    assert sorted(set(sizes)) == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]
    assert all(images <= size < 1.5 * images for images, size in enumerate(sizes, 1))
    assert [batch_size(images, devices=4) for images in (4, 5, 9, 13, 17)] == [4, 8, 12, 16, 24]


@pytest.mark.parametrize("segmentation", ["grid", "slic", "quickshift"])
def test_the_search_lowers_for_every_platform(toy_classifier, segmentation):
    classifier = xaijax.models.load("scenes-resnet")
    method = ELIME(evaluations=40, segmentation=segmentation)
    classes = jax.ShapeDtypeStruct((2,), jnp.int32)
    batch = Batch(
        images=jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.uint8),
        targets=Targets(explained=classes, against=classes),
        active=jax.ShapeDtypeStruct((2,), jnp.bool_),
    )
    arguments = (KEY, jax.ShapeDtypeStruct((2, 2), jnp.uint32), classifier, batch)
    program = jax.jit(lambda *args: compiled_explain(*args, method, Placement(16)))
    exported = jax.export.export(program, platforms=["cpu", "cuda", "tpu"])(*arguments)
    assert exported.platforms == ("cpu", "cuda", "tpu")


def test_the_result_says_what_the_classifier_says(toy_classifier, toy_images):
    result = explain(KEY, toy_classifier, toy_images, method=METHOD)
    original = np.asarray(jax.nn.softmax(toy_classifier(toy_images), axis=1))
    np.testing.assert_array_equal(result.target, original.argmax(axis=1))
    np.testing.assert_allclose(result.original_probability, original.max(axis=1), rtol=1e-5)
    mask = np.asarray(result.mask)
    pixels = toy_images / np.float32(255)
    masked = np.where(mask[..., None], pixels, pixels.mean(axis=(1, 2), keepdims=True))
    again = np.asarray(jax.nn.softmax(toy_classifier(masked.astype(np.float32)), axis=1))
    np.testing.assert_allclose(result.probability, again[np.arange(8), result.target], rtol=1e-4)
    np.testing.assert_allclose(result.area, mask.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(result.cp_score, result.probability / result.area, rtol=1e-6)
    assert np.all((mask.sum(axis=(1, 2)) > 0) & (mask.sum(axis=(1, 2)) < 256))
    assert np.all(np.asarray(result.evaluations) <= 60)


@pytest.mark.slow
def test_uint8_and_float_pixels_get_the_same(toy_classifier, toy_images):
    # The last bits of their pixels differ, and a surrogate may choose another child for less than that.
    method = dataclasses.replace(METHOD, objective="probability")
    ours = explain(KEY, toy_classifier, toy_images, method=method)
    floats = explain(KEY, toy_classifier, toy_images / np.float32(255), method=method)
    np.testing.assert_array_equal(floats.mask, ours.mask)
    np.testing.assert_allclose(floats.probability, ours.probability, rtol=1e-5)
    np.testing.assert_allclose(floats.score, ours.score, atol=1e-4)
    assert [image_id(image) for image in toy_images] == [image_id(image / 255) for image in toy_images]
    assert len({image_id(image) for image in toy_images}) == 8


def test_another_seed_and_another_id_search_elsewhere(toy_classifier, toy_images):
    one = explain(KEY, toy_classifier, toy_images, method=METHOD, ids=np.arange(8))
    seed = explain(jax.random.key(8), toy_classifier, toy_images, method=METHOD, ids=np.arange(8))
    upper = explain(KEY, toy_classifier, toy_images, method=METHOD, ids=np.arange(8) + 2**40)
    assert not np.array_equal(one.history, seed.history)
    assert not np.array_equal(one.history, upper.history)


def images_with(change):
    images = np.zeros((2, 16, 16, 3), np.float32)
    return change(images)


def set_pixel(value):
    def change(images):
        images[0, 0, 0, 0] = value
        return images

    return change


BAD_IMAGES = {
    "rank": (lambda images: images[0], r"image\[None\]"),
    "channels": (lambda images: images[..., :1], "1 channels.*takes 3"),
    "empty": (lambda images: images[:0], "no pixels"),
    "integers": (lambda images: images.astype(np.int32), "int32 but must be uint8"),
    "too high": (set_pixel(7.0), "divide by 255"),
    "negative": (set_pixel(-1.0), "undo the normalisation"),
    "NaN": (set_pixel(np.nan), "NaN"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bad_images_get_a_sentence(toy_classifier, name):
    change, message = BAD_IMAGES[name]
    with pytest.raises(ValueError, match=message):
        explain(KEY, toy_classifier, images_with(change), method=METHOD)


HEAT = np.zeros((2, 16, 16))
BAD_ARGUMENTS = {
    "target": ({"targets": [0, 5]}, "targets holds 5, which is not a class of this classifier: it has 5"),
    "targets' shape": ({"targets": [0]}, "one per image"),
    "targets' type": ({"targets": [0.5, 1.0]}, "must be integers"),
    "segments' size": ({"segments": np.zeros((8, 8), int)}, "nearest-neighbour"),
    "segments' type": ({"segments": np.zeros((16, 16))}, "must be integers"),
    "targets' rank": ({"targets": "best"}, "'topK', K from 1 to 5"),
    "too many targets": ({"targets": "top6"}, "'topK', K from 1 to 5"),
    "against's name": ({"against": "second"}, "'runner-up', or classes"),
    "against itself": ({"targets": [1, 2], "against": [0, 2]}, "2 in row 1, the class explained itself"),
    "against nothing": ({"targets": [1, 2], "against": -1}, "'runner-up' finds one"),
    "ids": ({"ids": [1]}, "one per image"),
    "background's size": ({"background": np.zeros((8, 8, 3))}, "resize it"),
    "background's range": ({"background": np.full((16, 16, 3), 9.0)}, "divide by 255"),
    "start's shape": ({"start": np.zeros((16, 16))}, r"a heat map \[2, 16, 16\]"),
    "background's name": ({"background": np.full((16, 16, 3), -1.0)}, "^background range"),
    "start's type": ({"start": np.zeros((2, 3, 16, 16))}, "of bool"),
    "start's values": ({"start": np.full((2, 16, 16), np.nan)}, "NaN or infinity"),
    "against's shape": ({"targets": [1, 2], "against": [[0, 3], [0, 3]]}, "one per target"),
    "too many starts": ({"start": np.ones((2, 99, 16, 16), bool)}, "has room for"),
    "start of a method that does not search": ({"method": LIME(evaluations=20), "start": HEAT}, "has no start"),
    "segments of a method on pixels": ({"method": RISE(evaluations=20), "segments": HEAT.astype(int)}, "takes no seg"),
    "repeats": ({"repeats": 0}, "at least 1"),
    "report of a method that does not search": ({"method": LIME(evaluations=20), "report": print}, "choose ELIME"),
    "micro-batch": ({"micro_batch": 0}, "at least 1"),
}


@pytest.mark.parametrize(
    "key", [0, None, np.zeros(3, np.uint32), jax.random.split(KEY)], ids=["int", "None", "words", "keys"]
)
def test_what_is_no_key_gets_a_sentence(toy_classifier, toy_images, key):
    with pytest.raises(ValueError, match=r"^key is .* but must be one key, as from jax\.random\.key\(0\)\.$"):
        explain(key, toy_classifier, toy_images, method=METHOD)


@pytest.mark.parametrize("key", [jax.random.key(4, impl="rbg"), np.arange(4, dtype=np.uint32)], ids=["rbg", "words"])
def test_rows_do_not_depend_on_their_place_whatever_the_key(toy_classifier, toy_images, key):
    there = explain(key, toy_classifier, toy_images[:4], method=METHOD)
    back = explain(key, toy_classifier, toy_images[3::-1], method=METHOD)
    assert_same_rows(there, np.arange(4), back, np.arange(4)[::-1])


@pytest.mark.slow
@pytest.mark.parametrize("method", [METHOD, BinaryMasks(evaluations=60), RISE(evaluations=20)])
def test_with_64_bits_switched_on_the_result_is_the_same(toy_classifier, toy_images, method):
    expected = explain(KEY, toy_classifier, toy_images[:2], method=method)
    with jax.enable_x64(True):
        images = jnp.asarray(toy_images[:2] / 255)
        assert images.dtype == np.float64
        result = explain(KEY, toy_classifier, images, method=method)
        again = explain(KEY, toy_classifier, toy_images[:2], method=method)
    assert result.score.dtype == np.float32
    np.testing.assert_array_equal(again.mask, expected.mask)
    np.testing.assert_array_equal(again.score, expected.score)


@pytest.mark.slow
def test_a_class_whose_probability_underflows_is_not_kept_by_any_segment():
    def logits(params, images):
        kept = jnp.mean(images, axis=(1, 2, 3))
        return jnp.stack([300 * (kept - 1), jnp.full_like(kept, 0.0), jnp.full_like(kept, 150.0)], axis=1)

    classifier = Classifier.from_function(logits, None, num_classes=3, input_size=(16, 16))
    images = np.full((1, 16, 16, 3), 255, np.uint8)
    method = ELIME(evaluations=120, segmentation=Grid(4, 4), fill="black", max_segments=32)
    result = explain(KEY, classifier, images, [0], method=method)
    assert result.original_probability[0] == 0
    assert Status.NOT_KEPT in Status(int(result.status[0]))
    assert result.area[0] > 0.75, "the mask that comes nearest, not the smallest of those whose probability is 0"


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        METHOD,
        dataclasses.replace(METHOD, fill="black+#808080", game="both"),
        BinaryMasks(evaluations=90),
        LIME(evaluations=40, segmentation=Grid(4, 4)),
    ],
    ids=["elime", "both sides of two fills", "binary-masks", "lime"],
)
def test_classes_of_an_image_share_passes_and_get_what_each_gets_alone(toy_classifier, toy_images, method):
    calls = []

    def counted(params, images):
        jax.debug.callback(lambda: calls.append(len(images)))
        return mean_logits(params, images)

    def explained(targets):
        calls.clear()
        result = jax.block_until_ready(explain(KEY, classifier, toy_images[:3], targets, method=method, micro_batch=4))
        jax.effects_barrier()
        return result, sum(calls)

    classifier = Classifier.from_function(counted, toy_classifier.params, num_classes=CLASSES, input_size=(16, 16))
    many, passes = explained(np.tile([0, 2, 4], (3, 1)))
    alone = 0
    for place, target in enumerate([0, 2, 4]):
        one, spent = explained(np.full(3, target))
        assert_same_rows(many, np.arange(3) * 3 + place, one, np.arange(3))
        alone += spent
    assert passes < (0.4 if isinstance(method, LIME) else 0.95) * alone


def test_images_that_a_classifier_does_not_take_get_a_sentence():
    def flat(params, images):
        return images.reshape(len(images), 8 * 8 * 3) @ params

    classifier = Classifier.from_function(flat, jnp.ones((192, 4)), num_classes=4, input_size=(8, 8))
    message = r"^the classifier does not take images of 16x16 \(.*\); resize them to its input_size, 8x8\.$"
    with pytest.raises(ValueError, match=message):
        explain(KEY, classifier, np.zeros((1, 16, 16, 3), np.uint8), method=METHOD)


def test_sixteen_bits_and_floats_a_hair_outside_their_range_are_taken(toy_images):
    images = np.asarray(toy_images)
    np.testing.assert_allclose(check_images(images.astype(np.uint16) * 257, 3), images / np.float32(255), atol=1e-7)
    almost = images.astype(np.float64) / 255 * (1 + 1e-7) - 5e-8
    taken = check_images(almost, 3)
    assert taken.min() >= 0
    assert taken.max() <= 1
    np.testing.assert_allclose(taken, almost, atol=1e-6)


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_get_a_sentence(toy_classifier, name):
    arguments, message = BAD_ARGUMENTS[name]
    with pytest.raises(ValueError, match=message):
        explain(KEY, toy_classifier, np.zeros((2, 16, 16, 3), np.uint8), **{"method": METHOD, **arguments})


class Own:
    """A method of a user's own, which states nothing about what it takes."""

    def explain(self, keys, classifier, batch, *, micro_batch):
        return METHOD.explain(keys, classifier, batch, micro_batch=micro_batch)


class OwnWithStart(Own):
    takes_start = True
    takes_segments = False


@pytest.mark.slow
def test_a_method_of_ones_own_takes_what_it_states(toy_classifier, toy_images):
    maps, heat = np.asarray(Grid(3, 3)(toy_images[0])), np.linspace(0, 1, 8 * 256).reshape(8, 16, 16)
    result = explain(KEY, toy_classifier, toy_images, segments=maps, method=Own())
    np.testing.assert_array_equal(result.segments, np.broadcast_to(maps, (8, 16, 16)))
    with pytest.raises(ValueError, match="Own does not search over segments, so it has no start"):
        explain(KEY, toy_classifier, toy_images, start=heat, method=Own())
    with pytest.raises(ValueError, match="Own does not search in generations"):
        explain(KEY, toy_classifier, toy_images, report=print, method=Own())
    started = explain(KEY, toy_classifier, toy_images, start=heat, method=OwnWithStart())
    assert np.all(np.isfinite(started.probability))
    with pytest.raises(ValueError, match="OwnWithStart works on pixels and takes no segments"):
        explain(KEY, toy_classifier, toy_images, segments=maps, method=OwnWithStart())


@pytest.mark.slow
def test_a_classifier_that_returns_nan_fails_only_its_image(toy_classifier, toy_images):
    def sometimes_nan(params, images):
        logits = mean_logits(params, images)
        return jnp.where(images[:, :1, 0, 0] > 0.999, jnp.nan, logits)

    classifier = Classifier.from_function(sometimes_nan, toy_classifier.params, num_classes=CLASSES)
    images = np.minimum(toy_images, 250)
    fine = explain(KEY, classifier, images, method=METHOD)
    broken = images.copy()
    broken[2, 0, 0] = 255
    result = explain(KEY, classifier, broken, method=METHOD)
    others = np.delete(np.arange(8), 2)
    assert_same_rows(result, others, fine, others)
    assert Status(int(result.status[2])).is_failure
    assert "NaN" in result.status_message(2)
    assert np.isnan(result.probability[2])
    assert not np.any(result.mask[2])
