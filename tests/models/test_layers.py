"""The lowerings and the folding compute what the plain definitions do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from tests.models.published import random_array
from xaijax.classifier import Classifier, Taps
from xaijax.convolution import convolve, max_pool, mean_pool, spatial_padding
from xaijax.models.architectures import ARCHITECTURES
from xaijax.models.layers import ConvNorm, ShapesOnly, fold_batch_norms, image_by_image
from xaijax.models.mobilenet import InvertedResidual
from xaijax.models.weights import fill_module, flat_state, from_torch_layout

FAMILIES = ["scenes-resnet", "scenes-densenet", "scenes-mobilenet", "mobilenet_v3_small_050", "mobilenet_v1"]
RANDOM = np.random.default_rng(0)


def build(name, *, channels=3, num_classes=4):
    """Builds a network and fills it with random NumPy arrays, which compiles nothing."""
    options = {"num_classes": num_classes, "channels": channels, "padding": "symmetric"}
    module = nnx.eval_shape(lambda: ARCHITECTURES[name].build(**options, rngs=ShapesOnly()))
    arrays = {}
    for path, variable in flat_state(module).items():
        key = path.replace("var", "running_var").replace("scale", "weight")
        shape = variable.shape if len(variable.shape) != 4 else [variable.shape[i] for i in (3, 2, 0, 1)]
        arrays[path] = from_torch_layout(random_array(key, tuple(shape))).reshape(variable.shape)
    fill_module(module, arrays, {}, source=name)
    return module


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("size", "channels", "groups"), [(1, 6, 1), (3, 6, 6), (5, 6, 6), (3, 6, 1), (3, 6, 2), (3, 3, 1)]
)
def test_convolve_is_the_sum_over_the_window(size, channels, groups, stride, padding):
    x = RANDOM.normal(size=(2, 7, 8, channels)).astype(np.float32)
    kernel = RANDOM.normal(size=(size, size, channels // groups, 6)).astype(np.float32)
    pads = spatial_padding((7, 8), (size, size), stride, padding)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    height, width = ((padded.shape[axis] - size) // stride + 1 for axis in (1, 2))
    expected = np.zeros((2, height, width, 6))
    for row in range(height):
        for column in range(width):
            window = padded[:, row * stride : row * stride + size, column * stride : column * stride + size]
            for out in range(6):
                first = out // (6 // groups) * (6 // groups)
                inputs = window[..., first : first + 6 // groups]
                expected[:, row, column, out] = (inputs * kernel[..., out]).sum(axis=(1, 2, 3))
    got = convolve(jnp.asarray(x), jnp.asarray(kernel), stride=stride, groups=groups, padding=padding)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("groups", [1, 3])
def test_gradient_of_convolve_is_the_librarys(groups, size, stride, padding):
    x = jnp.asarray(RANDOM.normal(size=(2, 7, 8, 3)), jnp.float32)
    kernel = jnp.asarray(RANDOM.normal(size=(size, size, 3 // groups, 4 if groups == 1 else 3)), jnp.float32)
    pads = spatial_padding((7, 8), (size, size), stride, padding)
    axes = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}

    def library(x, kernel):
        return lax.conv_general_dilated(x, kernel, (stride, stride), pads, **axes)

    out, expected = jax.vjp(library, x, kernel)
    _, got = jax.vjp(lambda x, kernel: convolve(x, kernel, stride=stride, groups=groups, padding=padding), x, kernel)
    gradient = jnp.asarray(RANDOM.normal(size=out.shape), jnp.float32)
    for one, other in zip(got(gradient), expected(gradient), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_same_padding_is_tensorflows():
    assert spatial_padding((224, 225), (3, 3), 2, "same") == ((0, 1), (1, 1))
    assert spatial_padding((224, 225), (3, 3), 1, "same") == ((1, 1), (1, 1))
    assert spatial_padding((224, 224), (3, 3), 2, "symmetric") == ((1, 1), (1, 1))


def test_pools():
    x = jnp.arange(25.0).reshape(1, 5, 5, 1)
    np.testing.assert_array_equal(max_pool(x, 3, 2, "symmetric")[0, :, :, 0], [[6, 8, 9], [16, 18, 19], [21, 23, 24]])
    np.testing.assert_array_equal(mean_pool(x, 2)[0, :, :, 0], [[3, 5], [13, 15]])


@pytest.mark.parametrize("padding", ["symmetric", "same"])
@pytest.mark.parametrize(("size", "stride"), [(3, 2), (2, 2), (3, 1), (5, 3)])
@pytest.mark.parametrize("shape", [(7, 8), (12, 11), (1, 1)])
def test_max_pool_has_the_bits_of_xlas_windows(shape, size, stride, padding):
    x = jnp.asarray(RANDOM.normal(size=(2, *shape, 3)), jnp.float32)
    pads = ((0, 0), *spatial_padding(shape, (size, size), stride, padding), (0, 0))
    expected = lax.reduce_window(x, -jnp.inf, lax.max, (1, size, size, 1), (1, stride, stride, 1), pads)
    np.testing.assert_array_equal(max_pool(x, size, stride, padding), expected)


def count_loops(layer, x):
    return str(jax.make_jaxpr(layer)(x)).count("scan[")


def test_what_outgrows_the_cache_is_seen_image_by_image_and_is_the_same():
    block = InvertedResidual(3, 3, stride=1, expansion=6, padding="symmetric", rngs=nnx.Rngs(0))
    fold_batch_norms(block)
    x = jnp.asarray(RANDOM.normal(size=(3, 128, 128, 3)), jnp.float32)
    assert count_loops(lambda x: image_by_image(block, x), x) == 1
    np.testing.assert_allclose(image_by_image(block, x), block(x), rtol=1e-4, atol=1e-4)
    for little in (x[:, ::4, ::4], x[:1]):
        assert count_loops(lambda x: image_by_image(block, x), little) == 0


def test_batch_norms_that_are_not_folded_see_all_images():
    layer = ConvNorm(3, 16, rngs=nnx.Rngs(0))
    layer.norm.use_running_average = False
    x = jnp.asarray(RANDOM.normal(size=(2, 128, 128, 3)), jnp.float32)
    np.testing.assert_array_equal(image_by_image(layer, x), layer(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_folding_changes_nothing(name):
    images = jnp.asarray(RANDOM.normal(size=(2, 37, 35, 3)), jnp.float32)
    module = build(name)
    plain = Classifier.from_nnx(module, num_classes=4)
    expected = plain(images)
    fold_batch_norms(module)
    assert not any(isinstance(part, nnx.BatchNorm) for _, part in nnx.iter_graph(module))
    got = Classifier.from_nnx(module, num_classes=4)(images)
    assert np.abs(got - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("name", FAMILIES)
def test_taps_are_returned_and_can_be_perturbed(name):
    module = build(name)
    fold_batch_norms(module)
    classifier = Classifier.from_nnx(module, num_classes=4)
    images = jnp.asarray(RANDOM.uniform(size=(1, 33, 33, 3)), jnp.float32)
    shapes = jax.eval_shape(lambda: classifier.apply(classifier.params, images, taps=classifier.taps))[1]
    assert tuple(sorted(shapes)) == tuple(sorted(classifier.taps))
    last = classifier.taps[-1]

    def gradient(params):
        def score(change):
            logits, activations = classifier.apply(params, images, taps=(last,), perturbations={last: change})
            return logits[0, 1], activations[last]

        return jax.grad(score, has_aux=True)(jnp.zeros(shapes[last].shape, jnp.float32))

    change, activation = jax.eval_shape(gradient, classifier.params)
    assert change.shape == activation.shape
    if name == "scenes-resnet":  # the others need a longer compilation, and say no more
        assert np.abs(jax.jit(gradient)(classifier.params)[0]).max() > 0
    with pytest.raises(ValueError, match="no tap of this classifier, whose taps are stem"):
        jax.eval_shape(lambda: classifier.apply(classifier.params, images, taps=("layer4",)))


def test_mobilenet_v3_small_has_the_notebooks_taps():
    module = build("mobilenet_v3_small_050")
    assert {"stem", "block5", "block9", "stage1", "last"} <= set(module.tap_names)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("name", ["scenes-densenet", "mobilenet_v3_small_050"])
def test_forward_lowers_for_every_platform_without_constants(name, platform):
    module = build(name)
    fold_batch_norms(module)
    classifier = Classifier.from_nnx(module, num_classes=4, dtype="bfloat16")
    images = jax.ShapeDtypeStruct((4, 64, 64, 3), jnp.uint8)
    exported = jax.export.export(jax.jit(lambda c, x: c(x)), platforms=[platform])(classifier, images)
    text = str(exported.mlir_module())
    assert "dense_resource" not in text
    assert len(text) < 400_000
    library_depthwise = f"feature_group_count = {48 if 'v3' in name else 64}" in text
    assert not (library_depthwise and platform == "cpu")


@pytest.mark.parametrize("channels", [1, 5])
def test_any_number_of_channels(channels):
    module = build("scenes-mobilenet", channels=channels, num_classes=2)
    images = jnp.asarray(RANDOM.uniform(size=(1, 32, 32, channels)), jnp.float32)
    assert Classifier.from_nnx(module, num_classes=2, channels=channels)(images).shape == (1, 2)


def test_bfloat16_computes_in_it_and_gives_float32_logits():
    module = build("scenes-resnet")
    fold_batch_norms(module)
    images = jnp.asarray(RANDOM.uniform(size=(2, 64, 64, 3)), jnp.float32)
    full = Classifier.from_nnx(module, num_classes=4)(images)
    half = Classifier.from_nnx(module, num_classes=4, dtype="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(half.params)} == {jnp.dtype("bfloat16")}
    _, activations = jax.eval_shape(lambda: half.apply(half.params, images, taps=("stage3",)))
    assert activations["stage3"].dtype == jnp.bfloat16
    logits = half(images)
    assert logits.dtype == jnp.float32
    assert np.abs(logits - full).max() <= 5e-2 * np.abs(full).max()


def test_gradient_of_max_pool_is_xlas_where_maxima_are_single():
    x = jnp.asarray(RANDOM.permutation(2 * 7 * 7 * 3).reshape(2, 7, 7, 3), jnp.float32)

    def plain(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 1), (0, 0)))

    weights = jnp.asarray(RANDOM.normal(size=(2, 4, 4, 3)), jnp.float32)
    own = jax.grad(lambda x: jnp.sum(weights * max_pool(x, 3, 2, "symmetric")))(x)
    np.testing.assert_allclose(own, jax.grad(lambda x: jnp.sum(weights * plain(x)))(x), rtol=1e-6)


def test_taps_without_names_are_silent():
    assert Taps()("stem", jnp.ones(2)).shape == (2,)
