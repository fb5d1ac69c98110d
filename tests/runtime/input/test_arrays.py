"""Images in arrays."""

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
