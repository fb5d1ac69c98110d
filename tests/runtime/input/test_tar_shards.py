"""Images in tar files."""

import io
import os
import tarfile

import numpy as np
import pytest

from tests.runtime.input.photographs import PIXELS, names_of, pixels_of
from xaijax.runtime.input import listing
from xaijax.runtime.input.decode import UnreadableImageError
from xaijax.runtime.input.listing import find_source, find_sources
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


def test_members_are_found_by_name_without_listing_the_file_for_each(tmp_path, monkeypatch):
    shard, listed = tmp_path / "many.tar", []
    members = listing.list_members

    def write(names):
        with tarfile.open(shard, "w") as tar:
            for name in names:
                info = tarfile.TarInfo(name)
                info.size = 3
                tar.addfile(info, io.BytesIO(name[:3].encode()))

    monkeypatch.setattr(listing, "list_members", lambda name: listed.append(name) or members(name))
    write([f"{number:03d}.png" for number in range(200)])
    found = [find_source(f"{shard}/{number:03d}.png") for number in range(200)]
    assert {source.size for source in found} == {3}
    assert len({source.offset for source in found}) == 200
    assert len(listed) == 1
    write(["000.png", "new.png"])
    os.utime(shard, ns=(1, 1))  # of another time, however fast this is
    assert find_source(f"{shard}/new.png").offset > 0
    assert len(listed) == 2
