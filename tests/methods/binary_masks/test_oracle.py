"""Evolving Binary Masks against its oracle in NumPy, with the notebook's operators and with the defaults."""

import functools

import flax.nnx as nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import xaijax
from tests.methods.binary_masks.oracle import Oracle
from xaijax import BinaryMasks, Stage
from xaijax.batch import Batch
from xaijax.fitness import Targets
from xaijax.genetic.square_genome import unpack_squares
from xaijax.methods.binary_masks.as_published import as_in_the_notebook
from xaijax.models.architectures import ARCHITECTURES
from xaijax.scenes.generator import generate

pytestmark = pytest.mark.quick_compile

STAGES = (Stage(4, (30, 35, 40), generations=4), Stage(12, (5, 8, 11), generations=6))
SMALL = {"stages": STAGES, "population": 6, "evaluations": 400}
METHODS = {
    "notebook": functools.partial(as_in_the_notebook, taps=None),
    "defaults": functools.partial(BinaryMasks, fill="black"),
}


def random_mobilenet():
    module = ARCHITECTURES["mobilenet_v3_small"].build(num_classes=10, rngs=nnx.Rngs(0))
    return xaijax.Classifier.from_nnx(module, num_classes=10)


def test_methods_as_published_are_equal_so_that_they_share_programs():
    assert as_in_the_notebook() == as_in_the_notebook() != as_in_the_notebook(keep=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("network", ["embedded", "mobilenet_v3_small"])
def test_archive_and_scores_equal_the_oracles(network, name):
    embedded = network == "embedded"
    classifier = xaijax.models.load("scenes-resnet") if embedded else random_mobilenet()
    method = METHODS[name](**SMALL)
    image = jax.device_get(generate(jax.random.split(jax.random.key(2), 1))).image
    batch = Batch(images=jnp.asarray(image), targets=Targets.of(jnp.array([-1])), active=jnp.array([True]))
    key = jax.random.key(7)

    @jax.jit
    def search(classifier, batch):
        begun = method.begin(key[None], classifier, batch)
        evolved = method.advance(begun, classifier, batch, micro_batch=4)
        masks = jax.vmap(functools.partial(method.decode, jax.tree.map(lambda leaf: leaf[0], evolved.states.context)))
        decoded = jax.lax.map(lambda genome: masks(genome[None])[0], evolved.states.archive.genomes[0])
        fitness = method.settings.fitness(jax.tree.map(lambda leaf: leaf[0], evolved.states.archive.values))
        return evolved, decoded, fitness, method.finish(evolved, batch)

    evolved, masks, fitness, result = jax.device_get(search(classifier, batch))

    @jax.jit
    def look(params, images):
        logits, activations = classifier.apply(params, images, method._taps(classifier))
        return logits[0], [activation[0] for activation in activations.values()]

    fill = np.broadcast_to(evolved.scenario.fills[0], image[0].shape)
    oracle = Oracle(
        method,
        lambda masked: jax.device_get(look(classifier.params, np.float32(masked)[None])),
        np.float32(image[0]) / np.float32(255),
        fill,
        key,
        by_notebook=name == "notebook",
    )
    oracle.run()
    archive = evolved.states.archive
    known = list(oracle.known.values())
    assert len(known) > 40
    assert archive.count[0] == 1 + len(known)
    genomes = archive.genomes[0, 1 : 1 + len(known)]
    rows, columns, radii = (np.asarray(part) for part in unpack_squares(genomes[:, 1:]))
    for index, one in enumerate(known):
        count = len(one.squares)
        np.testing.assert_array_equal(
            np.stack([rows[index, :count], columns[index, :count], radii[index, :count]], axis=1), one.squares
        )
        np.testing.assert_array_equal(masks[1 + index], one.mask)
    np.testing.assert_allclose(fitness[1 : 1 + len(known)], [oracle.fitness(one) for one in known], atol=1e-5)
    assert {one.stage for one in known} == {0, 1}
    expected = oracle.score_matrix() if method.score == "matrix" else oracle.evidence()
    np.testing.assert_allclose(result.score[0], expected, atol=1e-3)
    history = result.history[0][~np.isnan(result.history[0])]
    np.testing.assert_allclose(history, [oracle.fitness(one) for one in oracle.generations], atol=1e-5)
