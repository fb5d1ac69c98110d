"""E-LIME under several fills and from both sides, against brute force."""

import jax
import numpy as np
import pytest

from xaijax import ELIME, Grid, Status, explain

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(5)
COLOURS = {"black": 0.0, "#ffffff": 1.0, "#808080": np.float32(0x80 / 255)}


def probabilities(classifier, image, masks, target, fill):
    """Returns the probability of a class where one colour stands where the masks `[N, H, W]` are 0."""
    masked = np.where(masks[..., None], image / np.float32(255), np.float32(COLOURS[fill]))
    return np.asarray(jax.nn.softmax(classifier(masked), axis=1))[:, target]


def all_masks(segments):
    """Returns all masks of a label map but the empty and the whole one."""
    count = segments.max() + 1
    bits = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count)) & 1
    return bits.astype(bool)[:, segments]


CASES = {
    "two fills": {"fill": "black+#ffffff"},
    "three fills": {"fill": "#808080+black+#ffffff"},
    "both sides": {"fill": "black", "game": "both"},
    "both sides and fills": {"fill": "black+#808080", "game": "both"},
    "removed under two fills": {"fill": "black+#ffffff", "game": "deletion"},
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_mask_of_few_segments_is_the_smallest_of_all_that_do_what_is_asked(toy_classifier, toy_images, case):
    options = {"keep": 0.6, **CASES[case]}
    method = ELIME(evaluations=600, segmentation=Grid(2, 3), **options)
    result = explain(KEY, toy_classifier, toy_images, method=method)
    game, fills = options.get("game"), options["fill"].split("+")
    none_kept = 0
    for row, image in enumerate(toy_images):
        masks, target = all_masks(np.asarray(result.segments[row])), int(result.target[row])
        original = probabilities(toy_classifier, image, np.ones((1, *masks.shape[1:]), bool), target, "black")[0]
        kept = np.array([probabilities(toy_classifier, image, masks, target, fill) for fill in fills])
        removed = np.array([probabilities(toy_classifier, image, ~masks, target, fill) for fill in fills])
        does = np.all(kept >= 0.6 * original, axis=0)
        if game == "deletion":
            does = np.all(1 - removed >= 1 - 0.4 * original, axis=0)
        if game == "both":
            does &= np.all(removed <= 0.4 * original, axis=0)
        status = Status(int(result.status[row]))
        assert (Status.NOT_KEPT in status) == (not does.any())
        if not does.any():
            none_kept += 1
            continue
        area = masks.mean(axis=(1, 2))
        assert result.area[row] == pytest.approx(area[does].min())
        place = np.flatnonzero((masks == np.asarray(result.mask[row])).all(axis=(1, 2)))[0]
        seen = removed if game == "deletion" else kept
        np.testing.assert_allclose(result.probability_by_fill[row], seen[:, place], atol=1e-5)
        told = seen[:, place].max() if game == "deletion" else seen[:, place].min()
        if game == "both":
            told = min(told, (1 - removed[:, place]).min())
        assert result.probability[row] == pytest.approx(told, abs=1e-5)
    assert none_kept < len(toy_images)


@pytest.mark.slow
def test_masks_are_confirmed_within_the_budget_and_whatever_the_batch(toy_classifier, toy_images):
    method = ELIME(evaluations=90, segmentation=Grid(4, 4), fill="black+#808080+#ffffff", keep=0.6)
    together = explain(KEY, toy_classifier, toy_images, method=method)
    assert np.all(together.evaluations <= 90)
    assert np.all(together.evaluations > 80)
    alone = explain(KEY, toy_classifier, toy_images[:1], method=method)
    for field in ("mask", "score", "probability_by_fill", "evaluations"):
        np.testing.assert_array_equal(getattr(alone, field)[0], getattr(together, field)[0])


@pytest.mark.slow
def test_a_target_is_reached_by_a_confirmed_mask(toy_classifier, toy_images):
    method = ELIME(evaluations=200, segmentation=Grid(3, 3), fill="black+#808080", keep=0.3, target_probability=0.5)
    result = explain(KEY, toy_classifier, toy_images, method=method)
    reached = np.array([Status.REACHED in Status(int(status)) for status in result.status])
    assert reached.any()
    assert np.all(np.asarray(result.probability)[reached] >= 0.5)
    assert np.all(np.asarray(result.probability_by_fill)[reached] >= 0.5)
    assert np.all(np.asarray(result.evaluations)[reached] < 200)


@pytest.mark.slow
@pytest.mark.parametrize("game", ["preservation", "deletion"])
def test_the_fittest_mask_of_few_segments_is_that_under_the_fill_where_it_is_worth_the_least(
    toy_classifier, toy_images, game
):
    options = {"objective": "probability", "area_weight": 0.3, "game": game}
    method = ELIME(evaluations=600, segmentation=Grid(2, 3), fill="black+#ffffff", **options)
    result = explain(KEY, toy_classifier, toy_images, method=method)
    for row, image in enumerate(toy_images):
        masks, target = all_masks(np.asarray(result.segments[row])), int(result.target[row])
        seen = masks if game == "preservation" else ~masks
        kept = np.array([probabilities(toy_classifier, image, seen, target, fill) for fill in ("black", "#ffffff")])
        worth = kept.min(axis=0) if game == "preservation" else 1 - kept.max(axis=0)
        fitness = worth - 0.3 * masks.mean(axis=(1, 2))
        np.testing.assert_array_equal(result.mask[row], masks[np.argmax(fitness)])


def test_only_a_front_is_asked_for_both_sides():
    with pytest.raises(ValueError, match=r"^game is 'both' but the objective is 'probability'.*; choose 'pareto'\.$"):
        ELIME(objective="probability", game="both")
