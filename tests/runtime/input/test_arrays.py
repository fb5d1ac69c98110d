"""Images in arrays."""

import os

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, names_of, pixels_of
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_sources


@pytest.mark.parametrize("kind", ["npy", "npz", "one in an npz", "floats", "grey"])
def test_an_array_stands_for_its_rows(tmp_path, kind):
    path, pixels = tmp_path / "images.npz", PIXELS
    if kind == "npy":
        path = tmp_path / "images.npy"
        np.save(path, PIXELS)
    elif kind == "npz":
        np.savez(path, labels=np.arange(3), images=PIXELS)
    elif kind == "one in an npz":
        np.savez(path, PIXELS)
    elif kind == "floats":
        np.savez(path, images=PIXELS.astype(np.float32) / 255)
    else:
        np.savez(path, images=PIXELS[..., 0])
        pixels = np.repeat(PIXELS[..., :1], 3, axis=3)
    found = find_sources([path])
    assert names_of(found) == [f"{path}[{row}]" for row in range(3)]
    assert [source.stem for source in found] == ["images_0", "images_1", "images_2"]
    np.testing.assert_array_equal(pixels_of(found), pixels)
    assert len({source.read()[1] for source in found}) == 3
    assert np.asarray(found[0].read(channels=1)[0]).shape == (6, 8)


def test_pixels_that_are_none_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", np.full((2, 4, 4, 3), 1.5))
    with pytest.raises(UnreadableImageError, match=r"is float64 \(4, 4, 3\); give uint8"):
        find_sources([tmp_path / "images.npy"])[0].read()


def test_an_array_that_is_cut_short_costs_only_the_rows_that_are_gone(tmp_path):
    np.save(tmp_path / "images.npy", PIXELS)
    found = find_sources([tmp_path / "images.npy"])
    found[0].read()
    os.truncate(tmp_path / "images.npy", (tmp_path / "images.npy").stat().st_size - PIXELS[0].size - 1)
    np.testing.assert_array_equal(found[0].read()[0], PIXELS[0])
    for source in found[1:]:
        with pytest.raises(UnreadableImageError, match=r"images\.npy ends before its row \d; write it again"):
            source.read()


def test_an_array_in_another_order_is_read_too(tmp_path):
    np.save(tmp_path / "images.npy", np.asfortranarray(PIXELS))
    np.testing.assert_array_equal(pixels_of(find_sources([tmp_path / "images.npy"])), PIXELS)


def test_sixteen_bits_and_floats_a_hair_outside_their_range_are_taken(tmp_path):
    np.save(tmp_path / "a.npy", PIXELS.astype(np.uint16) * 257)
    np.save(tmp_path / "b.npy", PIXELS.astype(np.float32) / 255 * 1.0001 - 2e-5)
    for name in ("a.npy", "b.npy"):
        np.testing.assert_array_equal(pixels_of(find_sources([tmp_path / name])), PIXELS)
