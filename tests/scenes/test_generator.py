"""Scenes are a pure function of their key, and the embedded classifiers know them."""

import jax
import numpy as np
import pytest

from xaijax.models import load
from xaijax.models.zoo import EMBEDDED, is_embedded, names
from xaijax.scenes.generator import CLASSES, SIZE, generate
from xaijax.scenes.train import accuracy, draw_scenes

KEYS = jax.random.split(jax.random.key(5), 256)


@pytest.fixture(scope="module")
def scenes():
    return jax.device_get(generate(KEYS))


def test_a_scene_is_a_function_of_its_key(scenes):
    again = jax.device_get(generate(KEYS[::-1]))
    for field in ("image", "label", "mask"):
        np.testing.assert_array_equal(getattr(again, field)[::-1], getattr(scenes, field))


def test_scenes_vary_in_all_that_they_should(scenes):
    assert scenes.image.shape == (256, SIZE, SIZE, 3)
    assert scenes.image.dtype == np.uint8
    assert set(scenes.label) == set(range(len(CLASSES)))
    area = scenes.mask.mean(axis=(1, 2))
    assert area.min() > 0.01
    assert area.max() < 0.4
    assert area.max() > 5 * area.min()
    centres = np.array([np.argwhere(mask).mean(axis=0) for mask in scenes.mask])
    assert np.all(centres.std(axis=0) > 5)
    assert len({image.tobytes() for image in scenes.image}) == 256


def test_the_mask_is_where_the_object_is(scenes):
    without = jax.device_get(generate(KEYS, with_object=False))
    changed = np.any(scenes.image != without.image, axis=3)
    np.testing.assert_array_equal(without.label, scenes.label)
    assert np.mean(grown(scenes.mask)[changed]) > 0.999
    assert np.mean(changed[scenes.mask]) > 0.95


def test_shuffled_colour_changes_the_object_alone(scenes):
    shuffled = jax.device_get(generate(KEYS, shuffle_colour=True))
    changed = np.any(scenes.image != shuffled.image, axis=3)
    np.testing.assert_array_equal(shuffled.mask, scenes.mask)
    assert np.mean(grown(scenes.mask)[changed]) > 0.999
    assert np.mean(changed[scenes.mask]) > 0.9


def grown(masks):
    """Masks with the two pixels around them, which smooth edges and thin tips touch."""
    padded = np.pad(masks, ((0, 0), (2, 2), (2, 2)))
    return np.any([padded[:, r : r + SIZE, c : c + SIZE] for r in range(5) for c in range(5)], axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in names() if is_embedded(name)])
def test_an_embedded_classifier_knows_fresh_scenes_and_takes_no_shortcut(name):
    classifier = load(name)
    assert (EMBEDDED / name / "model.safetensors").stat().st_size <= 1_000_000
    key = jax.random.key(2026)
    assert accuracy(classifier, draw_scenes(key, 2000)) >= 0.97
    assert accuracy(classifier, draw_scenes(key, 500, shuffle_colour=True)) >= 0.95
    assert accuracy(classifier, draw_scenes(key, 500, with_object=False)) <= 0.2
