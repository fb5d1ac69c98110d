"""Images in tar files."""

import io
import tarfile

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, names_of, pixels_of
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_sources
from xaijax.runtime.input.sources import Source


def test_a_shard_stands_for_its_members(photos, tmp_path):
    shard = tmp_path / "shard-0.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("deep/c.png", "notes.txt", "a.png"):
            tar.add(photos / name, name)
        tar.addfile(tarfile.TarInfo("empty.png"), io.BytesIO())
    found = find_sources([shard])
    assert names_of(found) == [f"{shard}/{name}" for name in ("deep/c.png", "a.png", "empty.png")]
    np.testing.assert_array_equal(pixels_of(found[:2]), PIXELS[[2, 0]])
    assert found[1].read()[1].sha256 == Source(str(photos / "a.png")).read()[1].sha256
    assert found[0].stem == "c"
    assert found[0].container == str(shard)
    with pytest.raises(UnreadableImageError, match=r"empty\.png is empty"):
        found[2].read()
