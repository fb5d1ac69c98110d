"""Two-sided orders against the best one, and what their search promises."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import Classifier, Grid, Status, TwoSided, explain

pytestmark = pytest.mark.quick_compile

SEGMENTS, CLASSES, SIDE = 12, 5, 24
FIELDS = ("mask", "score", "probability", "area", "evaluations", "status")


def tile_logits(params, images):
    """The means of 3 x 4 tiles, through a random layer, so that segments act together."""
    count = len(images)
    tiles = images.reshape(count, 3, 8, 4, 6, 3).mean(axis=(2, 4, 5)).reshape(count, SEGMENTS)
    return jnp.tanh(tiles @ params["hidden"] + params["shift"][None]) @ params["out"]


@pytest.fixture(scope="module")
def classifier():
    random = np.random.default_rng(0)
    params = {
        "hidden": random.normal(size=(SEGMENTS, 16)).astype(np.float32),
        "shift": random.normal(size=16).astype(np.float32),
        "out": 2 * random.normal(size=(16, CLASSES)).astype(np.float32),
    }
    return Classifier.from_function(tile_logits, params, num_classes=CLASSES, input_size=(SIDE, SIDE))


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(1)
    tiles = random.integers(60, 256, (6, 3, 4, 3), np.uint8)
    return tiles.repeat(8, axis=1).repeat(6, axis=2)


def search(classifier, images, *, targets=None, key=0, **options):
    method = TwoSided(**{"segmentation": Grid(3, 4), "max_segments": 32, "evaluations": 120} | options)
    return jax.device_get(explain(jax.random.key(key), classifier, images, targets, method=method))


def probabilities(classifier, image, target):
    """Of every set of segments on black, kept: `[2^12]`."""
    sets = (np.arange(2**SEGMENTS)[:, None] >> np.arange(SEGMENTS)) & 1
    masks = sets.reshape(-1, 3, 4).repeat(8, axis=1).repeat(6, axis=2)[..., None].astype(np.float32)
    logits = np.asarray(
        classifier.apply(classifier.params, jnp.asarray(masks * image[None].astype(np.float32) / 255))[0]
    )
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return (odds / odds.sum(1, keepdims=True))[:, target]


def gains(value):
    """The best insertion less deletion that any order of equal segments has, and that of a given order."""
    whole = 2**SEGMENTS - 1
    worth = value - value[whole ^ np.arange(whole + 1)]
    best = np.full(whole + 1, -np.inf)
    best[0] = 0
    for size in range(SEGMENTS):
        for members in itertools.combinations(range(SEGMENTS), size):
            kept = sum(1 << segment for segment in members)
            for segment in set(range(SEGMENTS)) - set(members):
                more = kept | 1 << segment
                best[more] = max(best[more], best[kept] + (worth[kept] + worth[more]) / 2 / SEGMENTS)

    def of_order(order):
        sets = np.concatenate([[0], np.cumsum(1 << np.asarray(order))])
        return np.trapezoid(worth[sets], dx=1 / SEGMENTS)

    return best[whole], of_order


def test_its_order_is_nearly_the_best_of_all(classifier, images):
    found = search(classifier, images, evaluations=250, fill="black")
    shares = []
    for row, image in enumerate(images):
        best, of_order = gains(probabilities(classifier, image, found.target[row]))
        order = np.argsort(-found.segment_score[row][:SEGMENTS], kind="stable")
        shares.append(of_order(order) / best)
    assert np.min(shares) > 0.9
    assert np.mean(shares) > 0.97


def test_masks_keep_the_class_under_all_fills(classifier, images):
    found = search(classifier, images)
    is_kept = (found.status & Status.NOT_KEPT) == 0
    assert np.mean(is_kept) > 0.5
    np.testing.assert_array_equal(is_kept, found.probability >= 0.9 * found.original_probability)
    for row, image in enumerate(images):
        pixels = image.astype(np.float32) / 255
        mask = found.mask[row][..., None]
        fills = [0 * pixels, np.broadcast_to(pixels.mean(axis=(0, 1)), pixels.shape)]
        masked = np.stack([np.where(mask, pixels, fill) for fill in fills])
        probability = np.asarray(jax.nn.softmax(classifier(masked), axis=1))[:, found.target[row]]
        np.testing.assert_allclose(found.probability_by_fill[row, [0, 2]], probability, atol=1e-5)
        shown = found.front.area[row] == found.area[row]
        assert np.any(found.front.probability[row][shown] >= found.probability[row] - 1e-6)


@pytest.mark.parametrize("options", [{}, {"fill": "black"}, {"fill": "black+blur"}, {"population": 10}])
def test_it_keeps_to_its_evaluations_and_to_the_image(classifier, images, options):
    together = search(classifier, images, **options)
    assert np.all(together.evaluations <= 120)
    assert np.all(together.evaluations > 100)
    for row in (0, 4):
        alone = search(classifier, images[row : row + 1], **options)
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(alone, field)[0], getattr(together, field)[row], err_msg=field)


def test_another_seed_is_another_search(classifier, images):
    assert np.any(search(classifier, images).score != search(classifier, images, key=1).score)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_a_class_against_another(classifier, images, activation):
    facts = {"num_classes": CLASSES, "input_size": (SIDE, SIDE), "activation": activation}
    other = Classifier.from_function(tile_logits, classifier.params, **facts)
    method = TwoSided(segmentation=Grid(3, 4), max_segments=32, evaluations=80)
    targets = np.full(len(images), 2)
    found = explain(jax.random.key(0), other, images, targets, method=method, against=np.full(len(images), 3))
    assert np.all(np.isfinite(found.probability))
    np.testing.assert_array_equal(found.target, 2)
    np.testing.assert_array_equal(found.against, 3)


def test_many_classes_are_read_as_the_most_probable_ones_and_the_rest(images):
    random = np.random.default_rng(3)
    params = {
        "hidden": random.normal(size=(SEGMENTS, 16)).astype(np.float32),
        "shift": random.normal(size=16).astype(np.float32),
        "out": random.normal(size=(16, 60)).astype(np.float32),
    }
    classifier = Classifier.from_function(tile_logits, params, num_classes=60, input_size=(SIDE, SIDE))
    found = search(classifier, images, evaluations=250, fill="black")
    shares = []
    for row, image in enumerate(images):
        best, of_order = gains(probabilities(classifier, image, found.target[row]))
        shares.append(of_order(np.argsort(-found.segment_score[row][:SEGMENTS], kind="stable")) / best)
    assert np.mean(shares) > 0.9


def test_the_probability_is_the_lowest_of_those_under_each_fill(classifier, images):
    found = search(classifier, images)
    assert found.probability_by_fill.shape == (len(images), 3)
    np.testing.assert_allclose(np.nanmin(found.probability_by_fill, axis=1), found.probability, rtol=1e-6)
    few = search(classifier, images, evaluations=12)  # too few to see any mask under all three
    np.testing.assert_allclose(np.nanmin(few.probability_by_fill, axis=1), few.probability, rtol=1e-6)
    one = search(classifier, images, fill="black")
    np.testing.assert_array_equal(one.probability_by_fill[:, 0], one.probability)


def test_what_does_not_fit_is_named(classifier, images):
    with pytest.raises(ValueError, match="population is 7 but must be even and at least 2 for each of the 3 fills"):
        TwoSided(population=7)
    with pytest.raises(ValueError, match="fill 'blue' is unknown"):
        TwoSided(fill="black+blue")
    with pytest.raises(ValueError, match="has the same fill twice; name each once"):
        TwoSided(fill="black+black")
