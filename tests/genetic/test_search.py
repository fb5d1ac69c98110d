"""The search: a mixed batch in one compiled loop, and each of its images replayed alone in plain Python.

Every image looks for a hidden genome; its evaluation counts the genes that agree, so that responses are exact.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from xaijax.genetic import search
from xaijax.genetic.bit_genome import pack, unpack
from xaijax.genetic.crossover import uniform
from xaijax.genetic.mutation import bit_flip
from xaijax.genetic.search import CONVERGED, EXHAUSTED, GENERATION_LIMIT, RUNNING, SPENT, STALLED, SearchState
from xaijax.genetic.selection import tournament

SETTINGS = search.Settings(
    evaluations=1200,
    population=24,
    generations=60,
    words=2,
    selection=functools.partial(tournament, size=3),
    elites=6,
    crossover=uniform,
    mutation=functools.partial(bit_flip, flips=1.0),
    fitness=lambda values: values,
)
VALUE = jax.ShapeDtypeStruct((), jnp.float32)
LENGTHS = np.array([32, 5, 9, 1, 20, 64, 20], np.int32)
ONEMAX, SHORT, FEW_MASKS, ONE_GENE, NAN, LONG, EMPTY_PLACE = range(7)
ACTIVE = np.arange(7) != EMPTY_PLACE
KEYS = jax.random.split(jax.random.key(0), 7)
HIDDEN = np.random.default_rng(0).random((7, 64)) < np.array([1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])[:, None]
RIVAL = pack(jnp.asarray(HIDDEN))
LOSING = np.arange(7) == NAN  # the image that answers NaN to a genome with its first gene set, infinity with its second


def agreement(genome, hidden, losing, length):
    """Counts the genes in use that agree with the hidden genome; for one genome of one image."""
    bits, wanted = unpack(genome, 64), unpack(hidden, 64)
    count = jnp.sum((bits == wanted) & (jnp.arange(64) < length), dtype=jnp.float32)
    return jnp.where(losing & bits[0], jnp.nan, jnp.where(losing & bits[1], jnp.inf, count))


of_generation = jax.vmap(agreement, in_axes=(0, None, None, None))


def start(settings, keys, lengths, active):
    return jax.vmap(functools.partial(search.init, settings, values=VALUE))(keys, lengths, active)


@pytest.fixture(scope="module")
def final():
    """The states of the batch after the search."""

    @jax.jit
    def whole_search(keys, lengths, active):
        evaluate = jax.vmap(of_generation)
        states = start(SETTINGS, keys, lengths, active)
        ask, tell = (functools.partial(step, SETTINGS) for step in (search.ask, search.tell))
        return search.run(ask, tell, states, lambda states, genomes: evaluate(genomes, RIVAL, LOSING, states.space))

    return whole_search(KEYS, LENGTHS, ACTIVE)


@pytest.fixture(scope="module")
def replays():
    """Every image alone: its states, one a generation, and the genomes that were evaluated."""
    return [replay(image) for image in range(len(LENGTHS))]


init = jax.jit(functools.partial(search.init, values=VALUE), static_argnums=0)
ask = jax.jit(search.ask, static_argnums=0)
tell = jax.jit(search.tell, static_argnums=0)
evaluate_generation = jax.jit(of_generation)


def replay(image):
    state = init(SETTINGS, KEYS[image], LENGTHS[image], ACTIVE[image])
    states, evaluated = [state], []
    while state.stop_reason == RUNNING:
        state, genomes = ask(SETTINGS, state)
        responses = np.array(evaluate_generation(genomes, RIVAL[image], LOSING[image], LENGTHS[image]))
        responses[~np.asarray(state.new)] = 1e9  # what nobody may read
        evaluated += [int(low) | int(high) << 32 for low, high in np.asarray(genomes)[np.asarray(state.new)]]
        state = tell(SETTINGS, state, responses)
        states.append(state)
    return states, evaluated


def leaves(state: SearchState):
    return jax.tree.leaves(state.replace(key=jax.random.key_data(state.key)))


def test_a_mixed_batch_gives_each_image_what_it_gets_alone(final, replays):
    assert len({len(states) for states, _ in replays}) >= 4, "the images end at different times"
    for image, (states, _) in enumerate(replays):
        alone, among_others = leaves(states[-1]), leaves(jax.tree.map(lambda leaf, i=image: leaf[i], final))
        for one, other in zip(alone, among_others, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=f"image {image}")


def test_each_search_ends_for_its_own_reason(final):
    np.testing.assert_array_equal(
        final.stop_reason, [SPENT, EXHAUSTED, GENERATION_LIMIT, EXHAUSTED, SPENT, SPENT, GENERATION_LIMIT]
    )
    assert int(final.archive.count[EMPTY_PLACE]) == 0


def test_the_hidden_genome_is_found(final):
    # OneMax keeps its optimum, the whole mask, out of the population: one gene less is the best there is.
    assert float(final.fitness[ONEMAX, 0]) == 31
    assert float(final.fitness[FEW_MASKS, 0]) == 9
    assert float(final.fitness[LONG, 0]) >= 60


def test_no_genome_is_evaluated_twice_and_the_budget_holds(replays):
    for states, evaluated in replays:
        assert len(set(evaluated)) == len(evaluated) == int(states[-1].archive.count) <= SETTINGS.evaluations


def test_the_whole_mask_comes_first_and_is_no_member_of_the_population(replays):
    for image in (ONEMAX, LONG):
        states, evaluated = replays[image]
        whole = (1 << int(LENGTHS[image])) - 1
        assert evaluated[0] == whole
        assert 0 not in evaluated
        population = np.asarray(states[-1].population, np.uint64)
        assert not np.any(population[:, 0] | population[:, 1] << np.uint64(32) == whole)


def test_a_short_genome_has_every_mask_evaluated(replays):
    assert replays[SHORT][1] == [31, *range(1, 31)]
    assert replays[ONE_GENE][1] == [1]


def test_history_never_falls_and_is_nan_after_the_end(final):
    for image in np.flatnonzero(ACTIVE):
        generations = int(final.generation[image]) - 1
        history = np.asarray(final.history[image])
        assert np.all(np.diff(history[:generations]) >= 0)
        assert np.all(np.isnan(history[generations:]))
        if generations:
            assert history[generations - 1] == final.fitness[image, 0]


@pytest.mark.parametrize("gene", [0, 1])
def test_what_is_not_finite_loses(final, replays, gene):
    survived = np.isfinite(final.fitness[NAN])
    assert np.all(survived[:6])
    assert not np.any(np.asarray(final.population[NAN, :, 0])[survived] >> gene & 1)
    assert np.all(np.diff(survived.astype(int)) <= 0), "the lost come last"
    assert any(genome >> gene & 1 for genome in replays[NAN][1][1:]), "some of the evaluated have the gene"


def test_an_ended_search_does_not_change(replays):
    ended = replays[SHORT][0][-1]
    state, _ = ask(SETTINGS, ended)
    assert not state.new.any()
    responses = np.full((SETTINGS.population,), 7, np.float32)
    told = tell(SETTINGS, state, responses)
    for before, after in zip(leaves(ended), leaves(told), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_genome_whose_masks_are_too_many_for_the_budget_is_evolved():
    small = dataclasses.replace(SETTINGS, evaluations=20, population=8, generations=5)
    assert small.enumerated == 4, "2^4 - 2 masks and the whole one are within 20 evaluations, 2^5 - 2 are not"
    assert SETTINGS.enumerated == 8
    assert dataclasses.replace(SETTINGS, generations=3).enumerated == 6, "72 genomes hold 62 masks and not 126"
    state = init(small, KEYS[SHORT], LENGTHS[SHORT], True).replace(generation=jnp.int32(1))
    _, genomes = ask(small, state)
    np.testing.assert_array_equal(genomes, state.population)
    # Counting from 1 to 8 would have left the last gene out of all.
    assert 2 <= sum(np.asarray(genomes)[:, 0] >> 4 & 1) <= 6


def generations(settings, image, count):
    """Returns the states and the genomes of the first generations after the whole mask's."""
    state, found = init(settings, KEYS[image], LENGTHS[image], True), []
    for number in range(count + 1):
        state, genomes = ask(settings, state)
        state = tell(settings, state, evaluate_generation(genomes, RIVAL[image], False, LENGTHS[image]))
        if number:
            found.append((state, np.asarray(genomes)))
    return found


def test_designed_generations_come_before_any_child():
    plain, designed = (dataclasses.replace(SETTINGS, designed=count) for count in (1, 3))
    found = generations(designed, LONG, 4)
    drawn = np.asarray(found[0][0].drawn)
    assert drawn.shape == (72, 2)
    for number in range(3):
        np.testing.assert_array_equal(found[number][1], drawn[24 * number : 24 * (number + 1)])
    assert not any(np.array_equal(found[3][1], drawn[24 * number : 24 * (number + 1)]) for number in range(3))
    np.testing.assert_array_equal(generations(plain, LONG, 1)[0][1], drawn[:24])


@pytest.mark.slow
@pytest.mark.parametrize("population", [24, 7])
def test_every_other_child_is_the_complement_of_the_one_before(population):
    settings = dataclasses.replace(SETTINGS, foldover=True, population=population, elites=2)
    for _, genomes in generations(settings, ONEMAX, 3)[1:]:
        pairs = genomes[: population // 2 * 2].reshape(-1, 2, 2)
        np.testing.assert_array_equal(pairs[:, 0, 0] ^ pairs[:, 1, 0], np.uint32(2**32 - 1))
        assert not np.any(genomes[:, 1])


@pytest.mark.slow
def test_guided_children_stand_first_and_those_that_are_known_are_mutated():
    fresh = np.array([[0xF0F0, 1], [0x0F0F, 2], [0xFFFF, 3]], np.uint32)
    settings = dataclasses.replace(SETTINGS, guide=lambda key, archive, length, needed, context: jnp.asarray(fresh))
    first, second = generations(settings, LONG, 3)[1:]
    np.testing.assert_array_equal(first[1][:3], fresh)
    assert not any(np.array_equal(genome, known) for genome, known in zip(second[1][:3], fresh, strict=True))
    flipped = np.unpackbits((second[1][:3] ^ fresh).view(np.uint8), axis=1).sum(axis=1)
    assert np.all((flipped >= 1) & (flipped <= 8))


@pytest.mark.slow
def test_the_most_promising_of_a_brood_is_evaluated():
    def lowest(archive, genomes, needed, context):
        return -genomes[:, 0].astype(jnp.float32)

    plain, screened = (dataclasses.replace(SETTINGS, preselection=lowest, brood=brood) for brood in (1, 8))
    first, second = (
        np.median([np.median(genomes[:, 0]) for _, genomes in generations(settings, LONG, 4)[2:]])
        for settings in (plain, screened)
    )
    assert second < first
    for _, genomes in generations(screened, LONG, 4)[2:]:
        assert len(np.unique(genomes, axis=0)) == len(genomes)


@pytest.mark.slow
def test_a_guide_sees_the_archive_and_the_context():
    def guide(key, archive, length, needed, context):
        best = jnp.argmax(jnp.where(jnp.arange(len(archive.values)) < archive.count, archive.values, -jnp.inf))
        return (archive.genomes[best] ^ context)[None]

    settings = dataclasses.replace(SETTINGS, guide=guide)
    context = jnp.array([1, 0], jnp.uint32)
    state = search.init(settings, KEYS[LONG], LENGTHS[LONG], jnp.bool_(True), VALUE, context=context)
    for _ in range(2):
        state, genomes = ask(settings, state)
        state = tell(settings, state, evaluate_generation(genomes, RIVAL[LONG], False, LENGTHS[LONG]))
    archive = state.archive
    best = np.asarray(archive.genomes)[np.argmax(np.asarray(archive.values)[: int(archive.count)])]
    _, genomes = ask(settings, state)
    np.testing.assert_array_equal(genomes[0], best ^ np.asarray(context))


def test_what_a_search_does_where_it_is_not_told():
    assert SETTINGS.patience is SETTINGS.goal is SETTINGS.passes is SETTINGS.guide is SETTINGS.preselection is None
    assert (SETTINGS.most_passes, SETTINGS.designed, SETTINGS.brood, SETTINGS.retries) == (1, 1, 1, 3)
    assert not SETTINGS.foldover


def ended_where_all_are_worth(worth, **options):
    """Returns the state of a search that ended, all of each generation being worth the same."""
    settings = dataclasses.replace(SETTINGS, population=4, elites=1, designed=2, **options)
    state = init(settings, KEYS[LONG], LENGTHS[LONG], True)
    for value in worth:
        if state.stop_reason != RUNNING:
            break
        state, _ = ask(settings, state)
        state = tell(settings, state, np.full(4, value, np.float32))
    return state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worth", "generations"),
    [
        # The whole mask, 2 designed generations, and the 3 of children that patience allows.
        ([9, 0, 0, 0, 0, 0, 0, 0, 0], 6),
        ([9, 0, 1, 1, 1, 1, 1, 1, 1], 6),
        # Children that gain begin the count anew.
        ([9, 0, 0, 0, 0, 1, 1, 1, 1], 9),
    ],
)
def test_patience_is_the_number_of_generations_of_children_without_gain(worth, generations):
    state = ended_where_all_are_worth(worth, patience=3)
    assert state.stop_reason == STALLED
    assert state.generation == generations


@pytest.mark.parametrize(
    ("worth", "generations"),
    [
        # The whole mask and two designed generations, then children that gain 0.5 in two generations at least.
        ([9, 0, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.375, 1.375], 9),
        ([9, 0, 0, 0.25, 0.375, 0.375], 5),
        # Gains of the initial design do not count, nor does a gain that is as large as the least.
        ([9, 0, 1, 1, 1.5, 1.5, 1.5], 7),
        ([9, 0, 0, 0.5, 0.5, 0.5], 6),
    ],
)
def test_a_search_converges_where_two_generations_of_children_gain_little(worth, generations):
    state = ended_where_all_are_worth(worth, least_gain=0.0625)
    assert state.stop_reason == CONVERGED
    assert state.generation == generations


@pytest.mark.slow
def test_long_genomes_which_are_hashed_are_told_apart_as_short_ones_are():
    settings = dataclasses.replace(SETTINGS, words=6, evaluations=400, generations=40, elites=24)
    hidden = np.random.default_rng(1).random(160) < 0.5
    state, evaluated = init(settings, KEYS[LONG], jnp.int32(160), True), []
    agreement = jax.jit(lambda genomes: jnp.sum(unpack(genomes, 160) == hidden[None], axis=1, dtype=jnp.float32))
    while state.stop_reason == RUNNING:
        state, genomes = ask(settings, state)
        evaluated += [tuple(genome) for genome in np.asarray(genomes)[np.asarray(state.new)].tolist()]
        responses = np.where(state.new, agreement(genomes), 1e9).astype(np.float32)  # what nobody may read
        state = tell(settings, state, responses)
        if state.generation > 1:
            np.testing.assert_array_equal(state.fitness, agreement(state.population))
            np.testing.assert_array_equal(state.history[state.generation - 2], state.fitness[0])
            best = state.archive.genomes[state.champions[state.generation - 2]]
            np.testing.assert_array_equal(best, state.population[0])
    assert state.stop_reason == SPENT
    assert len(set(evaluated)) == len(evaluated) == 400
    np.testing.assert_array_equal(state.archive.genomes, np.array(evaluated, np.uint32))
    assert not np.any(state.archive.genomes[:, 5])
    assert state.fitness[0] >= 100
