"""The keys of rows, against folding by hand."""

import jax
import numpy as np

from xaijax.batch import image_keys

KEY = jax.random.key(5)
IDS = np.array([[0, 0], [0, 1], [1, 0], [2**32 - 1, 7]], np.uint32)


def numbers(keys):
    return [tuple(row) for row in np.asarray(jax.random.key_data(keys)).tolist()]


def test_a_key_folds_in_both_halves_of_an_id():
    by_hand = [jax.random.fold_in(jax.random.fold_in(KEY, int(upper)), int(lower)) for upper, lower in IDS]
    assert numbers(image_keys(KEY, IDS)) == [numbers(key[None])[0] for key in by_hand]


def test_each_repeat_has_a_key_of_its_own_and_the_first_that_of_no_repeats():
    repeats = np.arange(4, dtype=np.uint32)
    words = np.concatenate([np.repeat(IDS, 4, axis=0), np.tile(repeats, 4)[:, None]], axis=1)
    found = numbers(image_keys(KEY, words))
    assert len(set(found)) == 16
    assert found[::4] == numbers(image_keys(KEY, IDS))
