"""E-LIME against brute force, its statuses, and what bad options get."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax import ELIME, Grid, Status, explain
from xaijax.batch import image_keys, make_batch
from xaijax.fitness import Response, Targets
from xaijax.genetic.bit_genome import unpack
from xaijax.genetic.crossover import two_point, uniform
from xaijax.genetic.encoding import BITS
from xaijax.genetic.mutation import bit_flip
from xaijax.genetic.pareto import crowded_preference
from xaijax.genetic.pareto import front_hypervolume as covered
from xaijax.genetic.selection import tournament
from xaijax.genetic.state import first
from xaijax.genetic.survival import by_fitness, generational
from xaijax.masks.fills import split_fill
from xaijax.methods.elime.method import PLAIN_GA
from xaijax.methods.elime.nested_masks import nested_masks
from xaijax.methods.elime.preselection import expected_quality
from xaijax.methods.evolving import EvolvingMethod
from xaijax.metrics import hypervolume

pytestmark = pytest.mark.quick_compile

KEY = jax.random.key(3)
SINGLE = {"objective": "probability"}


def brute_force(classifier, image, segments, target, area_weight):
    """Returns the fitness of every mask but the empty and the whole one, black standing where it is 0."""
    count = segments.max() + 1
    bits = (np.arange(1, 2**count - 1)[:, None] >> np.arange(count)) & 1
    masks = bits.astype(bool)[:, segments]
    masked = np.where(masks[..., None], image / np.float32(255), np.float32(0))
    probability = np.asarray(jax.nn.softmax(classifier(masked), axis=1))[:, target]
    return masks, probability - area_weight * masks.mean(axis=(1, 2))


@pytest.mark.slow
@pytest.mark.parametrize("area_weight", [0.0, 0.4])
def test_few_segments_are_enumerated(toy_classifier, toy_images, area_weight):
    method = ELIME(evaluations=300, segmentation=Grid(2, 4), fill="black", area_weight=area_weight, **SINGLE)
    result = explain(KEY, toy_classifier, toy_images[:3], method=method)
    for row in range(3):
        masks, fitness = brute_force(
            toy_classifier, toy_images[row], np.asarray(result.segments[row]), int(result.target[row]), area_weight
        )
        np.testing.assert_array_equal(result.mask[row], masks[np.argmax(fitness)])
        assert Status.EXHAUSTED in Status(int(result.status[row]))
        assert result.evaluations[row] == 2**8 - 1


@pytest.mark.slow
def test_evolution_comes_close_to_the_best_of_all_masks(toy_classifier, toy_images):
    method = ELIME(evaluations=200, segmentation=Grid(3, 4), fill="black", area_weight=0.2, **SINGLE)
    result = explain(KEY, toy_classifier, toy_images, method=method, repeats=6)
    found = np.asarray(result.stability.probability - 0.2 * result.stability.area)
    better = []
    for row in range(8):
        _, fitness = brute_force(
            toy_classifier, toy_images[row], np.asarray(result.segments[row]), int(result.target[row]), 0.2
        )
        better.append([np.mean(fitness > one + 1e-6) for one in found[row]])
    # 200 of the 4,094 masks at random would leave 0.005 of them above the best.
    assert np.mean(better) < 0.0015
    assert np.mean(np.equal(better, 0)) > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["pareto", "probability"])
def test_the_score_follows_what_each_segment_does(toy_classifier, toy_images, objective):
    method = ELIME(evaluations=250, segmentation=Grid(4, 4), fill="black", objective=objective)
    result = explain(KEY, toy_classifier, toy_images, method=method)
    assert np.all(np.asarray(result.segment_score)[:, 16:] == 0)
    for row in range(8):
        segments, target = np.asarray(result.segments[row]), int(result.target[row])
        random = np.random.default_rng(row)
        bits = random.random((2000, 16)) < 0.5
        masked = np.where(bits[:, segments][..., None], toy_images[row] / np.float32(255), np.float32(0))
        logits = np.asarray(toy_classifier(masked), np.float64)
        log_odds = logits[:, target] - np.log(np.exp(np.delete(logits, target, axis=1)).sum(axis=1))
        effect = [log_odds[bits[:, s]].mean() - log_odds[~bits[:, s]].mean() for s in range(16)]
        assert np.corrcoef(effect, np.asarray(result.segment_score)[row, :16])[0, 1] > 0.8


@pytest.mark.slow
def test_one_segment_is_a_failure_with_a_remedy(toy_classifier, toy_images):
    segments = np.stack([np.zeros((16, 16), int), np.asarray(Grid(4, 4)(toy_images[0]))])
    result = explain(KEY, toy_classifier, toy_images[:2], segments=segments, method=ELIME(evaluations=30))
    assert Status(int(result.status[0])).is_failure
    assert "finer segmentation" in Status(int(result.status[0])).message
    assert result.evaluations[0] == 0
    assert not Status(int(result.status[1])).is_failure


@pytest.mark.slow
def test_a_map_with_gaps_and_too_many_segments_is_merged_and_said(toy_classifier, toy_images):
    segments = 1000 - 7 * np.asarray(Grid(6, 6)(toy_images[0]))
    method = ELIME(evaluations=40, max_segments=20)
    result = explain(KEY, toy_classifier, toy_images[:1], segments=segments, method=method)
    assert Status.MERGED in Status(int(result.status[0]))
    assert set(np.unique(result.segments)) == set(range(20))


def test_a_constant_image_says_that_nothing_beats_the_whole(toy_classifier):
    image = np.full((1, 16, 16, 3), 90, np.uint8)
    method = ELIME(evaluations=40, segmentation=Grid(4, 4), fill="black", **SINGLE)
    target = int(np.argmax(toy_classifier(image)[0]))
    result = explain(KEY, toy_classifier, image, method=method)
    better = float(result.probability[0]) >= float(result.original_probability[0])
    assert (Status.WEAKER in Status(int(result.status[0]))) == (not better)
    assert int(result.target[0]) == target


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["black", "#ff8000", "dataset-mean", "image-mean", "segment-mean", "blur"])
def test_every_fill_explains(toy_classifier, toy_images, fill):
    result = explain(KEY, toy_classifier, toy_images[:2], method=ELIME(evaluations=20, segmentation="grid", fill=fill))
    assert np.all(np.isfinite(result.probability))


BAD_OPTIONS = {
    "fill": ({"fill": "red"}, "choose one of black"),
    "segmentation": ({"segmentation": "voronoi"}, "choose one of quickshift"),
    "objective": ({"objective": "fame"}, "objective"),
    "crossover": ({"crossover": "three-point"}, "one of uniform"),
    "evaluations": ({"evaluations": 3}, "at least 4"),
    "population": ({"population": 1}, "at least 2"),
    "budget below the population": ({"population": 50, "evaluations": 50}, r"below evaluations \(50\)"),
    "generations": ({"generations": 0}, "at least 1"),
    "max_segments": ({"max_segments": 1}, "at least 2"),
    "area_weight": ({"area_weight": -0.1, **SINGLE}, "at least 0"),
    "area_weight of a front": ({"area_weight": 0.1}, "objective='probability'"),
    "designed": ({"designed": 1.1}, "0 to 1"),
    "guided": ({"guided": -0.1}, "0 to 1"),
    "keep": ({"keep": 0.0}, "above 0"),
    "keep above 1": ({"keep": 1.1}, "at most 1"),
    "game": ({"game": "chess"}, "'preservation' or 'deletion'"),
    "mutation": ({"mutation": "swap"}, "'bit-flip' or a function"),
    "tournament_size": ({"tournament_size": 0}, "at least 1"),
    "flips": ({"flips": 0.0}, "above 0"),
    "elites": ({"elites": 25}, "0 to the population"),
    "elites below 0": ({"elites": -1}, "0 to the population"),
    "patience": ({"patience": 0}, "at least 1"),
    "keep without a front": ({**SINGLE, "keep": 0.5}, "has no effect, as the objective 'probability'"),
    "size of no tournament": ({"selection": "universal", "tournament_size": 2}, "as selection is 'universal'"),
    "pressure on a tournament": ({"pressure": 1.5}, "has no effect, as selection is 'tournament'"),
    "elites of all": ({"survival": "mu+lambda", "elites": 7}, "has no effect, as survival 'mu\\+lambda'"),
    "stop": ({"stop": "early"}, "'spent' or 'converged'"),
    "brood": ({"brood": 0}, "at least 1"),
    "pressure": ({"pressure": 2.5}, "1 to 2"),
    "pressure below 1": ({"pressure": 0.5}, "1 to 2"),
    "target_probability": ({"target_probability": 0.0}, "above 0 and at most 1"),
    "target_probability above 1": ({"target_probability": 1.1}, "above 0 and at most 1"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_bad_options_get_a_sentence(name):
    options, message = BAD_OPTIONS[name]
    with pytest.raises(ValueError, match=message):
        ELIME(**options)


OPTIONS_AT_THEIR_BOUNDS = [
    {"evaluations": 4, "population": 2},
    {"evaluations": 50, "population": 49},
    {"generations": 1},
    {"max_segments": 2},
    {"designed": 0.0, "guided": 0.0},
    {"designed": 1.0, "guided": 1.0},
    {"keep": 1.0},
    {"keep": 1e-6, "flips": 1e-6},
    {"target_probability": 1.0},
    {"target_probability": 1e-6},
    {"tournament_size": 1},
    {"pressure": 1.0, "selection": "universal"},
    {"pressure": 2.0, "selection": "universal"},
    {"population": 20, "elites": 20},
    {"elites": 0, "patience": 1, "brood": 1},
    {"area_weight": 0.0},
    {"area_weight": 1e-6, **SINGLE},
]


@pytest.mark.parametrize("options", OPTIONS_AT_THEIR_BOUNDS, ids=str)
def test_options_at_their_bounds_are_taken(options):
    method = ELIME(**options)
    assert {name: getattr(method, name) for name in options} == options
    assert method.settings.generations >= 1


@pytest.mark.parametrize("method", [ELIME(), EvolvingMethod()], ids=["ELIME", "EvolvingMethod"])
def test_options_cannot_be_changed(method):
    with pytest.raises(dataclasses.FrozenInstanceError):
        method.evaluations = 100


def test_the_front_of_few_segments_is_that_of_all_masks(toy_classifier, toy_images):
    method = ELIME(evaluations=300, segmentation=Grid(2, 4), fill="black", objective="pareto", keep=0.8)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))
    assert result.front.area.shape == (8, 64)
    for row in range(8):
        segments, target = result.segments[row], int(result.target[row])
        masks, probability = brute_force(toy_classifier, toy_images[row], segments, target, 0.0)
        area = masks.mean(axis=(1, 2))
        # Of each area the most probable mask, where it beats all smaller ones.
        best = {a: probability[area == a].max() for a in np.unique(area)}
        front = [a for a in sorted(best) if all(best[a] > best[b] for b in best if b < a)]
        count = len(front)
        np.testing.assert_allclose(result.front.area[row, :count], front)
        np.testing.assert_allclose(result.front.probability[row, :count], [best[a] for a in front], atol=1e-5)
        assert np.all(np.isnan(result.front.area[row, count:]))
        enough = [a for a in front if best[a] >= 0.8 * result.original_probability[row]]
        kept = Status.NOT_KEPT not in Status(int(result.status[row]))
        assert kept == bool(enough)
        np.testing.assert_allclose(result.area[row], min(enough) if enough else front[-1])


@pytest.mark.slow
def test_nsga_comes_close_to_the_best_front(toy_classifier, toy_images):
    method = ELIME(evaluations=250, segmentation=Grid(3, 4), fill="black", objective="pareto")
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))
    for row in range(8):
        masks, probability = brute_force(
            toy_classifier, toy_images[row], result.segments[row], int(result.target[row]), 0.0
        )
        best = hypervolume(probability, masks.mean(axis=(1, 2)))
        assert hypervolume(result.front.probability[row], result.front.area[row]) > 0.97 * best
        last = result.history[row][~np.isnan(result.history[row])][-1]
        assert 0.9 * best < last <= best + 1e-5


def swap_ends(key, genomes, length):
    """A mutation of a user's own: exchanges the first and the last gene of some genomes."""
    last = (length - 1).astype(jnp.uint32)
    differ = (genomes ^ (genomes >> last)) & (jax.random.uniform(key, (len(genomes), 1)) < 0.5).astype(jnp.uint32)
    return genomes ^ (differ | (differ << last)).astype(jnp.uint32)


def fittest_two(key, fitness, *, count):
    """A selection of a user's own."""
    return jnp.resize(jax.lax.top_k(fitness, 2)[1], (count,))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"mutation": swap_ends}, {"selection": fittest_two}, {"crossover": two_point}])
def test_operators_of_ones_own_stand_in_the_same_place(toy_classifier, toy_images, options):
    method = ELIME(evaluations=60, segmentation=Grid(3, 4), max_segments=32, **SINGLE, **options)
    named = ELIME(evaluations=60, segmentation=Grid(3, 4), max_segments=32, crossover="two-point", **SINGLE)
    result = explain(KEY, toy_classifier, toy_images[:3], method=method)
    assert np.all(np.asarray(result.evaluations) > 30)  # children were bred, though a weak mutation finds few new ones
    expected = explain(KEY, toy_classifier, toy_images[:3], method=named)
    same = np.array_equal(result.history, expected.history, equal_nan=True)
    assert same == ("crossover" in options)


@pytest.mark.slow
def test_the_designed_share_is_what_designed_masks_evaluate(toy_classifier, toy_images):
    settings = {"evaluations": 61, "generations": 5, "segmentation": Grid(4, 4), "max_segments": 32}
    design = ELIME(designed=1.0, population=12, guided=0.0, **settings)
    assert design.settings.designed == 5
    result = explain(KEY, toy_classifier, toy_images, method=design)
    again = explain(KEY, toy_classifier, toy_images, method=ELIME(designed=1.0, population=12, guided=1.0, **settings))
    np.testing.assert_array_equal(result.score, again.score)  # no child was bred, so how they are is all the same


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"selection": "universal"}, {"survival": "mu+lambda"}])
def test_other_operators_search_too(toy_classifier, toy_images, options):
    method = ELIME(evaluations=200, segmentation=Grid(3, 4), fill="black", area_weight=0.2, **SINGLE, **options)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images[:3], method=method))
    for row in range(3):
        _, fitness = brute_force(toy_classifier, toy_images[row], result.segments[row], int(result.target[row]), 0.2)
        assert np.mean(fitness > float(result.probability[row] - 0.2 * result.area[row]) + 1e-6) < 0.005


@pytest.mark.slow
def test_patience_and_a_target_end_the_search(toy_classifier, toy_images):
    options = {"evaluations": 240, "segmentation": Grid(3, 4), "fill": "black", **SINGLE}
    patient = ELIME(patience=2, **options)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=patient))
    stalled = [row for row in range(8) if Status.STALLED in Status(int(result.status[row]))]
    assert stalled
    for row in stalled:
        history = result.history[row][: result.generations[row]]
        assert np.isnan(result.history[row][result.generations[row] :]).all()
        gains = np.flatnonzero(np.diff(np.maximum.accumulate(history)) > 0)
        assert len(history) - 1 - (gains[-1] + 1 if len(gains) else 0) == 2, "it ends two generations after a gain"
        assert result.evaluations[row] < 240
    reached = ELIME(target_probability=0.5, **options)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=reached))
    for row in range(8):
        if Status.REACHED in Status(int(result.status[row])):
            assert result.probability[row] >= 0.5
            assert result.evaluations[row] < 240
        else:
            assert result.probability[row] < 0.5
    assert any(Status.REACHED in Status(int(status)) for status in result.status)


@pytest.mark.slow
def test_a_front_that_reached_its_target_is_picked_from_there(toy_classifier, toy_images):
    method = ELIME(evaluations=240, segmentation=Grid(3, 4), fill="black", keep=0.2, target_probability=0.8)
    result = jax.device_get(explain(KEY, toy_classifier, toy_images, method=method))
    reached = [Status.REACHED in Status(int(status)) for status in result.status]
    assert any(reached)
    assert np.all(result.probability[reached] >= 0.8)


def test_a_number_of_generations_leaves_room_for_children():
    assert ELIME(evaluations=240, population=24, generations=4).settings.designed == 2


def told(option):
    """Returns an option of a search so that it can be compared: a function with the options bound to it."""
    return (option.func, option.keywords) if hasattr(option, "func") else option


# Of 240 evaluations: a population of 2 round(0.75 sqrt(240)) and twice the generations that 239 masks fill.
SHARED = {
    "evaluations": 240,
    "population": 24,
    "generations": 20,
    "words": 4,
    "encoding": BITS,
    "selection": (tournament, {"size": 3}),
    "survival": generational,
    "crossover": uniform,
    "mutation": (bit_flip, {"flips": 1.0}),
    "patience": None,
    "least_gain": None,
    "goal": None,
    "passes": None,
    "most_passes": 1,
    "foldover": False,
    "retries": 3,
}
OF_OBJECTIVE = {
    "pareto": {
        "elites": 24,  # all parents may survive, as NSGA-II has it
        "designed": 4,  # 100 evaluations
        "guide": (nested_masks, {"count": 12, "removed": False}),
        "preselection": (expected_quality, {"game": "preservation"}),
        "brood": 8,
        "preference": crowded_preference,
        "quality": (covered, {"reference": (0.0, -1.0)}),
    },
    "probability": {
        "elites": 6,
        "designed": 1,
        "guide": None,
        "preselection": None,
        "brood": 1,
        "preference": by_fitness,
        "quality": first,
    },
}


@pytest.mark.parametrize("objective", OF_OBJECTIVE)
def test_the_search_of_the_default_options(objective):
    settings = ELIME(objective=objective, fill="black").settings
    expected = SHARED | OF_OBJECTIVE[objective]
    assert {field: told(getattr(settings, field)) for field in expected} == expected


def test_by_default_masks_are_searched_under_black_and_confirmed_under_blur_and_the_mean():
    method = ELIME()
    assert split_fill(method.fill) == ("black", "blur", "image-mean")
    assert method.settings.most_passes == 3


@pytest.mark.parametrize("game", ["preservation", "deletion"])
@pytest.mark.parametrize("objective", OF_OBJECTIVE)
def test_what_a_mask_is_worth(objective, game):
    quarter = jnp.log(3.0)  # the log-odds of a probability of 3/4, and less those of 1/4
    response = Response(
        log_odds=jnp.array([quarter, -quarter]), area=jnp.array([0.125, 1.0]), predicted=jnp.zeros(2, jnp.int32)
    )
    weight = 0.0 if objective == "pareto" else 0.5
    settings = ELIME(objective=objective, game=game, area_weight=weight, target_probability=0.7, fill="black").settings
    probability, area = np.array([0.75, 0.25]), np.array([0.125, 1.0])
    if game == "deletion":
        probability, area = 1 - probability, 1 - area
    expected = np.stack([probability, -area], axis=1) if objective == "pareto" else probability - 0.5 * area
    np.testing.assert_allclose(settings.fitness(response), expected, rtol=1e-6)
    np.testing.assert_array_equal(settings.goal(response), probability > 0.7)


SETTINGS_OF_OPTIONS = {
    "elites of one's own": ({"elites": 7}, {"elites": 7}),
    "elites of a single objective": ({"elites": 7, **SINGLE}, {"elites": 7}),
    "no elites": ({"elites": 0}, {"elites": 0}),
    "mu+lambda": ({"survival": "mu+lambda", **SINGLE}, {"elites": 24, "survival": generational}),
    "nothing designed": ({"designed": 0.0}, {"designed": 1}),
    "half designed": ({"evaluations": 120}, {"designed": 4, "population": 16, "generations": 16}),
    "a share designed": ({"designed": 0.2}, {"designed": 2}),
    "100 designed": ({"evaluations": 400, "population": 2}, {"designed": 50}),
    "few evaluations": ({"evaluations": 4}, {"population": 3, "generations": 2}),
    "nothing guided": ({"guided": 0.0}, {"guide": None, "brood": 8}),
    "all guided": ({"guided": 1.0}, {"guide": (nested_masks, {"count": 24, "removed": False})}),
    "a share guided": ({"guided": 0.4}, {"guide": (nested_masks, {"count": 10, "removed": False})}),
    "half guided of half": ({"foldover": True}, {"guide": (nested_masks, {"count": 6, "removed": False})}),
    "guided to one objective": ({"guided": 0.25, **SINGLE}, {"guide": (nested_masks, {"count": 6, "removed": False})}),
    "no brood": ({"brood": 1}, {"brood": 1, "preselection": None}),
    "a brood of two": (
        {"brood": 2, **SINGLE},
        {"brood": 2, "preselection": (expected_quality, {"game": "preservation"})},
    ),
    "what is removed": (
        {"game": "deletion"},
        {
            "guide": (nested_masks, {"count": 12, "removed": True}),
            "preselection": (expected_quality, {"game": "deletion"}),
        },
    ),
    "flips": ({"flips": 2.5}, {"mutation": (bit_flip, {"flips": 2.5})}),
    "patience": ({"patience": 5}, {"patience": 5}),
    "converged": ({"stop": "converged"}, {"least_gain": 0.0008}),
    "larger tournaments": ({"tournament_size": 4}, {"selection": (tournament, {"size": 4})}),
    "long genomes": ({"max_segments": 129}, {"words": 5}),
}


@pytest.mark.parametrize("name", SETTINGS_OF_OPTIONS)
def test_an_option_is_what_the_search_is_told(name):
    options, expected = SETTINGS_OF_OPTIONS[name]
    settings = ELIME(fill="black", **options).settings
    assert {field: told(getattr(settings, field)) for field in expected} == expected


def test_the_plain_preset_is_one_random_population_and_its_children(toy_classifier, toy_images):
    method = ELIME(**PLAIN_GA, evaluations=80, segmentation=Grid(4, 4), max_segments=32)
    settings = method.settings
    assert (settings.designed, settings.guide, settings.preselection, settings.elites) == (1, None, None, 0)
    targets = Targets.of(np.full(8, -1, np.int32))
    words, batch = make_batch(np.zeros((8, 2), np.uint32), toy_images, targets)
    states = method.begin(image_keys(KEY, words), toy_classifier, batch).states
    kept = np.asarray(unpack(states.population, 16))
    assert kept.mean() == pytest.approx(0.5, abs=0.05)
    assert 0.05 < np.std(kept.sum(axis=2) / 16) < 0.2, "binomial, not of varied density"
    result = explain(KEY, toy_classifier, toy_images, method=method)
    assert np.all(np.asarray(result.evaluations) <= 80)
    assert np.all(np.asarray(result.history)[:, 1] > -1)
