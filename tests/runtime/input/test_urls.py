"""Images at URLs."""

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, pixels_of
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_sources


def test_urls_are_fetched(photos):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("a.png", "deep/c.png", "notes.txt"):
        memory.pipe(f"/photos/{name}", (photos / name).read_bytes())
    found = find_sources(["memory:///photos"])
    np.testing.assert_array_equal(pixels_of(found), PIXELS[[0, 2]])
    np.testing.assert_array_equal(pixels_of(find_sources([found[1].name])), PIXELS[[2]])
    with pytest.raises(ValueError, match="does not exist"):
        find_sources(["memory:///gone.png"])
    memory.rm("/photos/a.png")
    with pytest.raises(UnreadableImageError, match="cannot be fetched"):
        found[0].read()
