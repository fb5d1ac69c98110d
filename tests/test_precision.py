"""What stays float32 whatever the network computes in: log-odds, regressions and areas, at full precision."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.jaxprs import equations
from xaijax import Classifier
from xaijax.batch import make_batch
from xaijax.execution.compiled import explain_batch
from xaijax.execution.placement import Placement
from xaijax.fitness import Targets, respond
from xaijax.methods.registry import METHODS

FULL = (jax.lax.Precision.HIGHEST, jax.lax.Precision.HIGHEST)


def without_products(params, images):
    """A classifier whose own computation holds no matrix product."""
    return jnp.stack([params * images.mean(axis=(1, 2, 3)), images[:, :8].max(axis=(1, 2, 3))], axis=1)


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("grad-cam", "binary-masks")])
def test_no_matrix_product_beside_the_network_is_rounded(name, parallel):
    classifier = Classifier.from_function(
        without_products, jnp.float32(3), num_classes=2, input_size=(16, 16), dtype="bfloat16"
    )
    fields = {field.name for field in dataclasses.fields(METHODS[name])}
    method = METHODS[name](**{"evaluations": 40} if "evaluations" in fields else {})
    words, batch = make_batch(
        np.zeros((3, 2), np.uint32), np.zeros((3, 16, 16, 3), np.uint8), Targets.of(np.full((3,), -1, np.int32))
    )
    traced = jax.make_jaxpr(
        lambda batch: explain_batch(jax.random.key(0), words, classifier, batch, method, Placement(8, 1, parallel))
    )(batch)
    products = [equation for equation in equations(traced.jaxpr) if equation.primitive.name == "dot_general"]
    for product in products:
        assert {operand.aval.dtype for operand in product.invars} == {jnp.dtype("float32")}, product
        assert product.params["precision"] == FULL, product
    if name in ("elime", "lime", "kernel-shap", "rise"):
        assert products


def test_log_odds_of_bfloat16_logits_are_those_of_the_same_numbers_in_float32(toy_classifier):
    rounded = jnp.asarray(np.random.default_rng(0).normal(scale=9, size=(40, toy_classifier.num_classes)), jnp.bfloat16)
    logits, areas = rounded.astype(jnp.float32), jnp.linspace(0, 1, 40)
    found = respond(toy_classifier, logits, Targets.of(jnp.zeros((40,), jnp.int32)), areas)
    exact = np.asarray(logits, np.float64)
    wanted = exact[:, 0] - np.log(np.exp(exact[:, 1:]).sum(axis=1))
    assert found.log_odds.dtype == found.probability.dtype == found.area.dtype == jnp.float32
    np.testing.assert_allclose(found.log_odds, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.probability, 1 / (1 + np.exp(-wanted)), rtol=1e-5, atol=1e-6)
