"""What can be asked beside the predicted class: several classes, one against another, and what a mask takes away."""

import dataclasses

import jax
import numpy as np
import pytest

from xaijax import ELIME, LIME, BinaryMasks, Grid, Occlusion, Status, TwoSided, explain

pytestmark = pytest.mark.quick_compile

METHOD = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="image-mean", max_segments=32)
KEY = jax.random.key(7)
FIELDS = ("genome", "mask", "target", "against", "probability", "score", "evaluations", "history", "status")


def assert_same(result, rows, expected, expected_rows):
    for field in FIELDS:
        actual, wanted = np.asarray(getattr(result, field)), np.asarray(getattr(expected, field))
        np.testing.assert_array_equal(actual[rows], wanted[expected_rows], err_msg=field)


def softmax(classifier, images):
    return np.asarray(jax.nn.softmax(classifier(images), axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("method", [METHOD, LIME(evaluations=40, segmentation=Grid(4, 4)), Occlusion(evaluations=20)])
def test_several_classes_of_an_image_are_rows_that_equal_runs_of_their_own(toy_classifier, toy_images, method):
    images = toy_images[:3]
    both = explain(KEY, toy_classifier, images, "top2", method=method)
    ranked = np.argsort(-softmax(toy_classifier, images), axis=1)
    np.testing.assert_array_equal(np.asarray(both.target).reshape(3, 2), ranked[:, :2])
    np.testing.assert_array_equal(both.image_index, [0, 0, 1, 1, 2, 2])
    for index in range(2):
        alone = explain(KEY, toy_classifier, images, ranked[:, index], method=method)
        assert_same(both, np.arange(3) * 2 + index, alone, np.arange(3))
        np.testing.assert_array_equal(alone.image_index, np.arange(3))
    listed = explain(KEY, toy_classifier, images, ranked[:, :2], method=method)
    assert_same(listed, np.arange(6), both, np.arange(6))


@pytest.mark.slow
def test_one_class_against_another_explains_their_difference(toy_classifier, toy_images):
    ranked = np.argsort(-softmax(toy_classifier, toy_images), axis=1)
    result = explain(KEY, toy_classifier, toy_images, against="runner-up", method=METHOD)
    np.testing.assert_array_equal(result.target, ranked[:, 0])
    np.testing.assert_array_equal(result.against, ranked[:, 1])
    rows = np.arange(8)
    whole = softmax(toy_classifier, toy_images)
    share = whole[rows, ranked[:, 0]] / (whole[rows, ranked[:, 0]] + whole[rows, ranked[:, 1]])
    np.testing.assert_allclose(result.original_probability, share, rtol=1e-5)
    second = explain(KEY, toy_classifier, toy_images, ranked[:, 1], against="runner-up", method=METHOD)
    np.testing.assert_array_equal(second.against, ranked[:, 0])
    np.testing.assert_allclose(second.original_probability, 1 - share, rtol=1e-4, atol=1e-6)
    named = explain(KEY, toy_classifier, toy_images, against=ranked[:, 1], method=METHOD)
    assert_same(named, rows, result, rows)
    plain = explain(KEY, toy_classifier, toy_images, method=METHOD)
    assert np.all(np.asarray(plain.against) == -1)
    assert not np.allclose(plain.score, result.score)


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["probability", "pareto"])
def test_the_deletion_game_finds_what_hurts_most_when_it_goes(toy_classifier, toy_images, objective):
    settings = {"segmentation": Grid(2, 4), "fill": "black", "max_segments": 32, "evaluations": 300}
    aim = {"area_weight": 0.3} if objective == "probability" else {"area_weight": 0.0, "keep": 0.3}
    method = ELIME(game="deletion", objective=objective, **aim, **settings)
    result = explain(KEY, toy_classifier, toy_images, method=method)
    for row in range(8):
        segments, target = np.asarray(result.segments[row]), int(result.target[row])
        bits = (np.arange(1, 2**8 - 1)[:, None] >> np.arange(8)) & 1
        removed = bits.astype(bool)[:, segments]
        left = np.where(removed[..., None], np.float32(0), toy_images[row] / np.float32(255))
        probability = softmax(toy_classifier, left)[:, target]
        area = removed.mean(axis=(1, 2))
        found = np.flatnonzero((removed == np.asarray(result.mask[row])).all(axis=(1, 2)))[0]
        np.testing.assert_allclose(result.probability[row], probability[found], rtol=1e-4)
        np.testing.assert_allclose(result.area[row], area[found], rtol=1e-6)
        if objective == "probability":
            assert found == np.argmin(probability + 0.3 * area)
        else:
            enough = probability <= 0.7 * float(result.original_probability[row])
            assert enough.any() == (Status.NOT_KEPT not in Status(int(result.status[row])))
            smallest = area[enough].min() if enough.any() else area[np.argmin(probability)]
            np.testing.assert_allclose(area[found], smallest, rtol=1e-6)


@pytest.mark.slow
def test_both_games_tell_the_same_sign_of_a_segment(toy_classifier, toy_images):
    settings = {"segmentation": Grid(3, 3), "fill": "black", "evaluations": 200}
    kept = explain(KEY, toy_classifier, toy_images, method=ELIME(**settings))
    removed = explain(KEY, toy_classifier, toy_images, method=ELIME(game="deletion", **settings))
    scores = [np.asarray(result.segment_score)[:, :9].ravel() for result in (kept, removed)]
    assert np.corrcoef(*scores)[0, 1] > 0.9


@pytest.mark.slow
def test_a_background_stands_where_the_mask_is_not(toy_classifier, toy_images):
    background = toy_images[::-1]
    result = explain(KEY, toy_classifier, toy_images, background=background, method=METHOD)
    mask = np.asarray(result.mask)[..., None]
    masked = np.where(mask, toy_images, background) / np.float32(255)
    again = softmax(toy_classifier, masked.astype(np.float32))[np.arange(8), result.target]
    np.testing.assert_allclose(result.probability, again, rtol=1e-4)
    one = explain(KEY, toy_classifier, toy_images[:2], background=np.zeros((16, 16, 3)), method=METHOD)
    black = ELIME(evaluations=60, segmentation=Grid(4, 4), fill="black", max_segments=32)
    assert_same(one, [0, 1], explain(KEY, toy_classifier, toy_images[:2], method=black), [0, 1])


@pytest.mark.slow
@pytest.mark.parametrize("method", [METHOD, BinaryMasks(evaluations=60), TwoSided(segmentation=Grid(4, 4))])
def test_a_background_takes_the_place_of_all_fills(toy_classifier, toy_images, method):
    background = toy_images[::-1] // 2
    one, many = (
        explain(KEY, toy_classifier, toy_images, background=background, method=dataclasses.replace(method, fill=fill))
        for fill in ("blur", "black+blur+image-mean")
    )
    assert_same(many, np.arange(8), one, np.arange(8))
