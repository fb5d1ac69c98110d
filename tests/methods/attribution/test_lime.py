"""LIME against the `lime` package, on the same segments, samples and fill."""

import jax
import numpy as np
import pytest

from tests.methods.drawn import image_key, probabilities
from xaijax import LIME, Grid, explain
from xaijax.genetic.bit_genome import draw_halves, unpack

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(5)
METHOD = LIME(evaluations=120, segmentation=Grid(4, 4), fill="black", area=0.25)


@pytest.fixture(scope="module")
def result(toy_classifier, toy_images):
    return jax.device_get(explain(KEY, toy_classifier, toy_images, ids=np.arange(8), method=METHOD))


@pytest.mark.filterwarnings("ignore")
def test_weights_equal_the_package(toy_classifier, toy_images, result):
    lime_base = pytest.importorskip("lime.lime_base")
    for row in range(8):
        segments, target = result.segments[row], int(result.target[row])
        genomes = draw_halves(image_key(KEY, row), np.int32(16), count=118, words=4)
        bits = np.concatenate([np.ones((1, 16), int), np.asarray(unpack(genomes, 16), int)])
        response = probabilities(toy_classifier, toy_images[row], bits[:, segments], target, 0)
        distances = 1 - bits.sum(axis=1) / np.maximum(np.sqrt(bits.sum(axis=1) * 16), 1e-9)
        package = lime_base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), verbose=False)
        _, found, _, _ = package.explain_instance_with_data(bits, response[:, None], distances, 0, 16, "none")
        weights = np.array([weight for _, weight in sorted(found)])
        np.testing.assert_allclose(result.segment_score[row, :16], weights, atol=2e-6)
        assert np.all(result.segment_score[row, 16:] == 0)


def test_the_mask_keeps_the_best_segments_within_the_area(toy_classifier, toy_images, result):
    for row in range(8):
        best = np.argsort(-result.segment_score[row, :16], kind="stable")[:4]
        np.testing.assert_array_equal(result.mask[row], np.isin(result.segments[row], best))
        target = int(result.target[row])
        expected = probabilities(toy_classifier, toy_images[row], result.mask[row][None], target, 0)[0]
        np.testing.assert_allclose(result.probability[row], expected, atol=1e-5)
        np.testing.assert_allclose(result.area[row], 0.25)
        assert result.evaluations[row] == 120


def test_an_image_gets_the_same_alone(toy_classifier, toy_images, result):
    alone = jax.device_get(explain(KEY, toy_classifier, toy_images[3:4], ids=[3], method=METHOD))
    np.testing.assert_array_equal(alone.score[0], result.score[3])
    np.testing.assert_array_equal(alone.genome[0], result.genome[3])


def test_the_first_samples_do_not_depend_on_the_number():
    few, many = (draw_halves(KEY, np.int32(50), count=count, words=2) for count in (10, 40))
    np.testing.assert_array_equal(few, many[:10])


@pytest.mark.parametrize(
    "options", [{"kernel_width": 0}, {"penalty": 0}, {"area": 0}, {"area": 1.0}, {"evaluations": 7}, {"fill": "foam"}]
)
def test_bad_options_say_what_is_needed(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        LIME(**options)
