"""What is read off the logits, against NumPy in float64."""

import jax
import numpy as np
import pytest

from xaijax import Classifier
from xaijax.fitness import (
    RESPONSE,
    Response,
    Targets,
    in_game,
    log_odds_of,
    log_odds_of_share,
    penalised_probability,
    probability_and_area,
    respond,
)

LOGITS = np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32)
TARGETS = np.array([0, 1, 2, 3, -1, -1], np.int32)
AREAS = np.linspace(0, 1, 6, dtype=np.float32)

respond_against = jax.jit(respond)
respond_to = jax.jit(lambda classifier, logits, targets, areas: respond(classifier, logits, Targets.of(targets), areas))


def classifier(activation, num_classes=4):
    return Classifier.from_function(identity, None, num_classes=num_classes, activation=activation)


def identity(params, images):
    return images


def chosen(table):
    """Returns each row's number of the explained class, the largest where the target is -1."""
    targets = np.where(TARGETS < 0, LOGITS.argmax(axis=1), TARGETS)
    return table[np.arange(len(table)), targets]


def test_softmax():
    response = respond_to(classifier("softmax"), LOGITS, TARGETS, AREAS)
    exponentials = np.exp(LOGITS.astype(np.float64))
    probability = chosen(exponentials / exponentials.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(response.probability, probability, rtol=1e-5)
    np.testing.assert_allclose(response.log_odds, np.log(probability / (1 - probability)), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(response.predicted, LOGITS.argmax(axis=1))
    np.testing.assert_array_equal(response.area, AREAS)


def test_log_odds_keep_apart_what_probabilities_round_to_one():
    logits = np.array([[60, 0, 0, 0], [40, 0, 0, 0], [-60, 0, 0, 0]], np.float32)
    response = respond_to(classifier("softmax"), logits, np.zeros(3, np.int32), np.ones(3, np.float32))
    np.testing.assert_allclose(response.log_odds, logits[:, 0] - np.log(3), rtol=1e-6)


def test_sigmoid_of_several_labels():
    response = respond_to(classifier("sigmoid"), LOGITS, TARGETS, AREAS)
    np.testing.assert_array_equal(response.log_odds, chosen(LOGITS))
    np.testing.assert_allclose(response.probability, 1 / (1 + np.exp(-chosen(LOGITS).astype(np.float64))), rtol=1e-5)
    np.testing.assert_array_equal(response.predicted, LOGITS.argmax(axis=1))


def test_sigmoid_of_one_logit_has_the_classes_no_and_yes():
    logits = np.array([[2.0], [2.0], [2.0], [-3.0]], np.float32)
    targets = np.array([1, 0, -1, -1], np.int32)
    response = respond_to(classifier("sigmoid", 1), logits, targets, AREAS[:4])
    yes = 1 / (1 + np.exp(-2.0))
    np.testing.assert_array_equal(response.predicted, [1, 1, 1, 0])
    np.testing.assert_allclose(response.probability, [yes, 1 - yes, yes, 1 / (1 + np.exp(-3.0))], rtol=1e-6)
    np.testing.assert_allclose(response.log_odds, [2, -2, 2, 3], rtol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_one_class_against_another_is_its_share_of_the_two(activation):
    against = np.array([1, -1, 0, 0, 1, 2], np.int32)
    response = respond_against(classifier(activation), LOGITS, Targets(explained=TARGETS, against=against), AREAS)
    plain = respond_to(classifier(activation), LOGITS, TARGETS, AREAS)
    logits = LOGITS.astype(np.float64)
    # What a softmax divides by does not change a share.
    probability = np.exp(logits) if activation == "softmax" else 1 / (1 + np.exp(-logits))
    ours, other = chosen(probability), probability[np.arange(6), against]
    contrasted = against >= 0
    np.testing.assert_allclose(response.probability[contrasted], (ours / (ours + other))[contrasted], rtol=1e-5)
    np.testing.assert_allclose(response.log_odds[contrasted], np.log(ours / other)[contrasted], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(response.log_odds[~contrasted], plain.log_odds[~contrasted], rtol=1e-6)


def test_logits_of_another_number_of_classes_are_refused():
    with pytest.raises(ValueError, match="returned 4 logits per image but num_classes is 5"):
        respond_to(classifier("softmax", 5), LOGITS, TARGETS, AREAS)


def test_the_deletion_game_sees_what_is_lost():
    response = respond_to(classifier("softmax"), LOGITS, TARGETS, AREAS)
    lost = in_game("deletion", response)
    np.testing.assert_allclose(lost.probability, 1 - response.probability, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(lost.area, 1 - response.area)
    assert in_game("preservation", response) is response


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_cost_their_own_row_only(activation, bad):
    logits = LOGITS.copy()
    logits[1, 3] = bad  # not the class explained
    response = respond_to(classifier(activation), logits, TARGETS, AREAS)
    np.testing.assert_array_equal(np.isnan(response.log_odds), np.arange(6) == 1)
    np.testing.assert_array_equal(np.isnan(response.probability), np.arange(6) == 1)


def test_an_archive_can_hold_responses():
    response = respond_to(classifier("softmax"), LOGITS, TARGETS, AREAS)
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), response)
    assert shapes == RESPONSE


def test_area_is_paid_for():
    response = Response(
        log_odds=np.zeros(2, np.float32), area=np.array([0.5, 1], np.float32), predicted=np.zeros(2, np.int32)
    )
    np.testing.assert_allclose(penalised_probability(response, area_weight=0.25), [0.375, 0.25])
    np.testing.assert_array_equal(penalised_probability(response, area_weight=0.0), [0.5, 0.5])


def test_two_objectives_are_the_last_axis():
    area = np.array([[0.5, 1, 0], [0.25, 0.75, 0.125]], np.float32)
    response = Response(log_odds=np.zeros((2, 3), np.float32), area=area, predicted=np.zeros((2, 3), np.int32))
    objectives = probability_and_area(response)
    np.testing.assert_array_equal(objectives[..., 0], np.full((2, 3), 0.5))
    np.testing.assert_array_equal(objectives[..., 1], -area)


@pytest.mark.parametrize("share", [0.0, 1e-7, 0.1, 0.5, 0.9, 0.999, 1.0])
def test_log_odds_of_a_share_are_those_of_float64_where_float32_underflows(share):
    log_odds = np.float32([-300, -120, -20, -3, 0, 3, 20])
    probability = np.exp(np.float64(log_odds)) / (1 + np.exp(np.float64(log_odds)))
    with np.errstate(divide="ignore"):
        expected = np.log(share * probability) - np.log1p(-share * probability)
    np.testing.assert_allclose(log_odds_of_share(log_odds, share), expected, rtol=1e-5, atol=1e-6)


def test_log_odds_of_a_probability():
    for probability in (1e-30, 0.3, 0.9):
        np.testing.assert_allclose(log_odds_of(probability), np.log(probability / (1 - probability)))
    assert 16 < log_odds_of(1.0) < 17
