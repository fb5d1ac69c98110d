"""ROAD's imputation against a direct solution of its linear system by SciPy."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from xaijax.metrics import impute

pytestmark = pytest.mark.quick_compile

RANDOM = np.random.default_rng(0)
fill_in = jax.jit(impute)


def direct(pixels, known):
    """Every unknown pixel is the weighted mean of its neighbours: a row of a linear system each."""
    height, width = known.shape
    unknown = [tuple(pixel) for pixel in np.argwhere(~known)]
    number = {pixel: index for index, pixel in enumerate(unknown)}
    entries, constants = [], np.zeros((len(unknown), pixels.shape[2]))
    for (y, x), row in number.items():
        near = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
        near = [(v, u) for v, u in near if 0 <= v < height and 0 <= u < width]
        weight = {(v, u): 1 / 6 if v == y or u == x else 1 / 12 for v, u in near}
        total = sum(weight.values())
        entries.append((row, row, 1.0))
        for v, u in near:
            if known[v, u]:
                constants[row] += weight[v, u] / total * pixels[v, u]
            else:
                entries.append((row, number[v, u], -weight[v, u] / total))
    rows, columns, values = zip(*entries, strict=True)
    solved = spsolve(coo_array((values, (rows, columns))).tocsc(), constants)
    result = pixels.astype(np.float64)
    result[~known] = np.reshape(solved, constants.shape)
    return result


def holes(size):
    """Returns what may be known of an image: scattered pixels, blobs, a strip and a corner, a tenth to a half of it."""
    smooth = gaussian_filter(RANDOM.random((size, size)), size / 15)
    y, x = np.mgrid[:size, :size]
    return {
        "scattered": RANDOM.random((size, size)) < 0.1,
        "blobs": smooth > np.quantile(smooth, 0.5),
        "few blobs": smooth > np.quantile(smooth, 0.9),
        "strip": x < size / 10,
        "corner": (x < size * 0.3) & (y < size * 0.3),
    }


@pytest.mark.parametrize("name", holes(4))
def test_it_solves_the_system(name):
    known = holes(60)[name]
    pixels = RANDOM.random((60, 60, 3)).astype(np.float32)
    imputed = np.asarray(fill_in(np.where(known[..., None], pixels, np.float32(np.nan)), known))
    np.testing.assert_array_equal(imputed[known], pixels[known])
    np.testing.assert_allclose(imputed, direct(pixels, known), atol=1e-3)


@pytest.mark.parametrize("name", ["few blobs", "strip", "corner"])
def test_it_solves_the_system_at_full_size(name):
    known = holes(224)[name]
    pixels = RANDOM.random((224, 224, 3)).astype(np.float32)
    np.testing.assert_allclose(fill_in(pixels, known), direct(pixels, known), atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(hnp.arrays(np.uint8, (7, 10, 2)), hnp.arrays(np.bool_, (7, 10)))
def test_what_it_imputes_lies_between_what_is_known(pixels, known):
    pixels = pixels.astype(np.float32) / 255
    imputed = np.asarray(fill_in(pixels, known))
    if not known.any():
        np.testing.assert_array_equal(imputed, 0)
        return
    np.testing.assert_array_equal(imputed[known], pixels[known])
    assert (imputed >= pixels[known].min(axis=0) - 1e-3).all()
    assert (imputed <= pixels[known].max(axis=0) + 1e-3).all()
    if not known.all():
        np.testing.assert_allclose(imputed, direct(pixels, known), atol=1e-3)
